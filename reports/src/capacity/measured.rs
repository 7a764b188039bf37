//! What a benchmark measured of a broker, taken from its JSON.

use serde_json::Value;

use super::given::{Given, Inputs, Refused, Source};
use super::input::{self, Row};

/// Takes the inputs that `json` has measured, which `file` is the name of: what `bench log --json` or `bench cluster --json`
/// has printed.
///
/// Of the log: what it writes and syncs. Of the cluster: what brokers' processors take for a GB that comes in or goes out.
pub(super) fn measured(inputs: &mut Inputs, json: &str, file: &str) -> Result<(), Refused> {
    let value: Value = serde_json::from_str(json).map_err(|e| Refused(format!("{file} is no JSON: {e}")))?;
    let taken = log(&value).or_else(|| cluster(&value));
    let Some((row, low, nominal, high)) = taken else {
        let what = "neither from `logquake bench log --json` nor from `logquake bench cluster --json`";
        return Err(Refused(format!("{file} is {what}")));
    };
    let source = Source::Measured(file.into());
    let given = Given { low: low.min(nominal), nominal, high: high.max(nominal), source };
    inputs.set(row, &format!("in {file}"), given)
}

type Taken = (&'static Row, f64, f64, f64);

/// Group commits, which are durable; least and most by the rounds' ratios to the machine's own limit.
fn log(value: &Value) -> Option<Taken> {
    let commit = value.get("commit")?;
    let mb = |of: f64| of * 1e6;
    let (own, plain) = (commit.get("log")?.as_f64()?, commit.get("plain")?.as_f64()?);
    let ratio = |at: usize| commit.get("ratio")?.get(at)?.as_f64();
    Some((&input::DISK_RATE.row, mb(plain * ratio(1)?), mb(own), mb(plain * ratio(2)?)))
}

/// With one replica each GB comes in once; with three it comes in three times and goes out twice. The nominal one is three
/// replicas with the largest batches.
fn cluster(value: &Value) -> Option<Taken> {
    let rows = value.get("rows")?.as_array()?;
    let of = |row: &Value, turn: &str, gigabytes: f64| Some(row.get(turn)?.get("nodes")?.as_f64()? / gigabytes * 1e-9);
    let mut all = Vec::new();
    for row in rows {
        all.extend([of(row, "one", 1.0)?, of(row, "three", 5.0)?]);
    }
    let nominal = *all.last()?;
    let (low, high) = all.iter().fold((nominal, nominal), |(low, high), one| (one.min(low), one.max(high)));
    Some((&input::CPU_PER_GB.row, low, nominal, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_benchmarks_measured_is_taken() {
        let mut inputs = Inputs::default();
        let json = r#"{"commit": {"log": 900.0, "plain": 1000.0, "ratio": [0.9, 0.8, 0.95]}}"#;
        assert_eq!(measured(&mut inputs, json, "log.json"), Ok(()));
        let given = inputs.get(&input::DISK_RATE.row).cloned();
        let source = Source::Measured("log.json".into());
        assert_eq!(given, Some(Given { low: 8e8, nominal: 9e8, high: 9.5e8, source }));
        let json = r#"{"rows": [{"one": {"nodes": 2.0}, "three": {"nodes": 8.0}},
                                {"one": {"nodes": 1.0}, "three": {"nodes": 5.0}}]}"#;
        assert_eq!(measured(&mut inputs, json, "cluster.json"), Ok(()));
        let given = inputs.get(&input::CPU_PER_GB.row).expect("it was measured");
        assert_eq!([given.low, given.nominal, given.high].map(|each| (each * 1e11).round()), [100.0, 100.0, 200.0]);
    }

    #[test]
    fn anything_else_is_refused() {
        for json in ["", "{}", "[]", "7", r#"{"commit": {}}"#, r#"{"rows": []}"#, r#"{"rows": [{}]}"#] {
            assert!(measured(&mut Inputs::default(), json, "x.json").is_err(), "{json}");
        }
        let beyond = r#"{"commit": {"log": 0.0, "plain": 0.0, "ratio": [1, 1, 1]}}"#;
        let refused = measured(&mut Inputs::default(), beyond, "x.json").expect_err("a disk that writes nothing");
        assert!(refused.0.contains("disk-rate"), "{refused}");
    }
}
