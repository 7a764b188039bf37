//! What a benchmark measured of a broker, taken from its JSON.

use ::load::codecs::Codecs;
use ::load::outcome::Outcome;
use ::load::rounds::Rounds;
use ::load::spec::{Drive, Reading, Spec};
use ::load::statistics::Spread;
use broker::config::FlushPolicy;
use broker::record::Compression;
use serde::Deserialize;
use serde_json::Value;

use super::given::{Given, Inputs, Refused, Source};
use super::input::{self, Row};

/// Takes the inputs that `json` has measured, which `file` is the name of: what `bench log --json`, `bench cluster --json`,
/// `bench load --json` or `bench codecs --json` has printed.
///
/// Of the log: what it writes and syncs. Of the cluster: what brokers' processors take for a GB that comes in or goes out. Of
/// load: what a broker, a partition and a consumer do, and what processors take for it, by the rounds that are results.
pub(super) fn measured(inputs: &mut Inputs, json: &str, file: &str) -> Result<(), Refused> {
    let value: Value = serde_json::from_str(json).map_err(|e| Refused(format!("{file} is no JSON: {e}")))?;
    if let Some(all) = loads(&value) {
        return under_load(inputs, &all, file);
    }
    if let Ok(codecs) = Codecs::deserialize(&value) {
        return compression(inputs, &codecs, file);
    }
    let taken = log(&value).or_else(|| cluster(&value));
    let Some((row, low, nominal, high)) = taken else {
        let what =
            "none of what `logquake bench log`, `bench cluster`, `bench load` and `bench codecs` print with --json";
        return Err(Refused(format!("{file} is {what}")));
    };
    let source = Source::Measured(file.into());
    let given = Given { low: low.min(nominal), nominal, high: high.max(nominal), source };
    inputs.set(row, &format!("in {file}"), given)
}

fn loads(value: &Value) -> Option<Vec<Rounds>> {
    let all = value.as_array().filter(|all| !all.is_empty() && all.iter().all(|one| one.get("outcomes").is_some()))?;
    all.iter().map(|one| Rounds::deserialize(one).ok()).collect()
}

/// Of one's own records. Which codec one has chosen, the file must say.
fn compression(inputs: &mut Inputs, all: &Codecs, file: &str) -> Result<(), Refused> {
    let [made] = all.codecs.as_slice() else {
        let names: Vec<&str> = all.codecs.iter().map(|made| made.codec.name()).collect();
        let why = format!("{file} is of several codecs ({}): measure the one in use with --codec", names.join(", "));
        return Err(Refused(why));
    };
    let source = Source::Measured(format!("{file}, {} of {}", made.codec.name(), all.sample));
    let given = Given { low: made.ratio.least, nominal: made.ratio.median, high: made.ratio.most, source };
    inputs.set(&input::COMPRESSION.row, &format!("in {file}"), given)
}

/// What a case says of an input: of one round, if it says anything.
type Says = fn(&Outcome) -> Option<f64>;

/// What is taken of cases that are run as fast as it goes; of several that say something, the one that gives most.
const LOADS: &[(&Row, Says)] = &[
    (&input::BROKER_RATE.row, |of| Some(of.megabytes * 1e6 * replicas(&of.spec)).filter(|_| appends(&of.spec))),
    (&input::PARTITION_RATE.row, |of| Some(of.rate).filter(|_| appends(&of.spec) && of.spec.partitions == 1)),
    (&input::CONSUMER_RATE.row, |of| {
        let consumers = of.spec.consumers as f64;
        match of.spec.reading {
            Reading::CatchUp { .. } => Some(of.rate / consumers),
            Reading::Backlog { .. } => Some(of.backlog?.catch_up / consumers),
            _ => None,
        }
    }),
    (&input::DISK_RATE.row, |of| {
        let durable = of.spec.flush == FlushPolicy::Always && matches!(of.spec.drive, Drive::Closed { .. });
        let grows = of.spec.retain_megabytes.is_none();
        Some(of.megabytes * 1e6).filter(|_| durable && grows && of.spec.reading == Reading::Afterwards)
    }),
    // What compresses has fewer bytes on the wire than its values have.
    (&input::CPU_PER_GB.row, |of| {
        let plain = of.spec.compression.0 == Compression::None;
        let ways = match of.spec.reading {
            Reading::CatchUp { .. } => Some(1.0),
            // Each replica takes it in, and the leader hands it out to the others.
            _ => Some(2.0 * replicas(&of.spec) - 1.0).filter(|_| appends(&of.spec)),
        };
        Some(of.cpu_s_per_gb? * 1e-9 / ways?).filter(|_| plain)
    }),
];

/// Whether it appends as fast as it goes, and waits for no disk.
fn appends(spec: &Spec) -> bool {
    let fast = matches!(spec.drive, Drive::Closed { .. }) && spec.reading == Reading::Afterwards;
    fast && spec.flush == FlushPolicy::Never && spec.acks == -1
}

/// Brokers that share a machine share what it does.
fn replicas(spec: &Spec) -> f64 {
    f64::from(spec.replication)
}

fn under_load(inputs: &mut Inputs, all: &[Rounds], file: &str) -> Result<(), Refused> {
    let void: Vec<&str> = all.iter().filter(|rounds| rounds.results() == 0).map(|one| one.workload.as_str()).collect();
    let aside = if void.is_empty() { String::new() } else { format!("; no result and not taken: {}", void.join(", ")) };
    let mut any = false;
    for (row, says) in LOADS {
        let spread = |rounds: &Rounds| {
            let results = rounds.outcomes.iter().filter(|of| of.is_result());
            let values: Vec<f64> = results.filter_map(says).collect();
            (!values.is_empty()).then(|| (Spread::of(&values), values.len()))
        };
        let each = all.iter().filter_map(|rounds| Some((rounds, spread(rounds)?)));
        let Some((rounds, (of, n))) = each.max_by(|a, b| a.1.0.median.total_cmp(&b.1.0.median)) else { continue };
        let source = format!("{file}, {}, {n} of {} rounds{aside}", rounds.workload, rounds.outcomes.len());
        let given = Given { low: of.least, nominal: of.median, high: of.most, source: Source::Measured(source) };
        inputs.set(row, &format!("in {file}"), given)?;
        any = true;
    }
    if any {
        return Ok(());
    }
    let why = if aside.is_empty() { "; no case of it runs as fast as it goes or catches up".into() } else { aside };
    Err(Refused(format!("{file} says nothing of a broker's, a partition's or a consumer's rate{why}")))
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
    use ::load::machine::Used;
    use ::load::outcome::{Checks, Figures, Flag};
    use ::load::spec::Codec;

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

    /// A case of which each round came to so many records a second, the first of them flagged if so.
    fn rounds(workload: &str, spec: &Spec, rates: &[u64], flag: Option<Flag>) -> Rounds {
        let one = |rate: &u64| {
            let figures = Figures { counted: *rate, seconds: 1.0, checks: Checks::default(), pages_us: [None; 2] };
            Outcome::new(spec, "own", Used::default(), Vec::new(), figures)
        };
        let mut outcomes: Vec<Outcome> = rates.iter().map(one).collect();
        outcomes[0].flags.extend(flag);
        Rounds::of(workload.into(), outcomes)
    }

    fn taken(all: &[Rounds]) -> Result<Inputs, Refused> {
        let mut inputs = Inputs::default();
        measured(&mut inputs, &serde_json::to_string(all).expect("JSON"), "load.json").map(|()| inputs)
    }

    #[test]
    fn what_is_no_result_is_not_taken_and_named() {
        let catch_up =
            Spec { reading: Reading::CatchUp { megabytes: 1, cold: false }, consumers: 2, ..Spec::default() };
        let many = Spec { partitions: 4, ..Spec::default() };
        let all = [
            rounds("append", &Spec::default(), &[9_000_000, 1_000_000, 1_200_000], Some(Flag::Unsteady)),
            rounds("append-4", &many, &[2_000_000], None),
            rounds("warm", &catch_up, &[3_000_000], None),
            rounds("bad", &Spec::default(), &[7_000_000], Some(Flag::FallsBehind)),
        ];
        let inputs = taken(&all).expect("results");
        let given = |row: &'static Row| inputs.get(row).cloned().expect("it was measured");
        let partition = given(&input::PARTITION_RATE.row);
        assert_eq!((partition.low, partition.nominal, partition.high), (1e6, 1.1e6, 1.2e6));
        let told = "measured: load.json, append, 2 of 3 rounds; no result and not taken: bad";
        assert_eq!(partition.source.to_string(), told);
        assert_eq!(given(&input::BROKER_RATE.row).nominal, 2e6 * 1024.0);
        assert_eq!(given(&input::CONSUMER_RATE.row).nominal, 1.5e6);
        assert_eq!(given(&input::DISK_RATE.row).source.to_string()[..7], *"default");
        let refused = taken(&all[3..]).expect_err("nothing that counts");
        assert!(refused.0.contains("not taken: bad"), "{refused}");
    }

    #[test]
    fn what_processors_take_is_of_the_dearest_way() {
        let replicated = Spec { replication: 3, ..Spec::default() };
        let catch_up = Spec { reading: Reading::CatchUp { megabytes: 1, cold: false }, ..Spec::default() };
        let zstd = Spec { compression: Codec(Compression::Zstd), ..Spec::default() };
        let took = |workload: &str, spec: &Spec, seconds: f64| {
            let mut rounds = rounds(workload, spec, &[1000], None);
            rounds.outcomes[0].cpu_s_per_gb = Some(seconds);
            rounds
        };
        let all = [took("three", &replicated, 10.0), took("read", &catch_up, 0.5), took("zstd", &zstd, 90.0)];
        let inputs = taken(&all).expect("results");
        let given = inputs.get(&input::CPU_PER_GB.row).expect("it was measured");
        // Three times in and twice out.
        assert!((given.nominal - 2e-9).abs() < 1e-15, "{given:?}");
        assert!(given.source.to_string().contains("three"), "{given:?}");
    }

    #[test]
    fn a_codec_is_taken_with_its_range() {
        let lines: String = (0..900).map(|n| format!("user {} clicked on page {}\n", n * 7919, n % 7)).collect();
        let records = ::load::codecs::records(&lines.into(), None);
        let of = |codecs: &[Codec]| {
            let all = Codecs::of("clicks.txt".into(), &records, 4096, codecs).expect("records");
            let mut inputs = Inputs::default();
            measured(&mut inputs, &serde_json::to_string(&all).expect("JSON"), "codecs.json").map(|()| (inputs, all))
        };
        let (inputs, all) = of(&[Codec(Compression::Zstd)]).expect("one codec");
        let given = inputs.get(&input::COMPRESSION.row).expect("it was measured");
        let ratio = all.codecs[0].ratio;
        assert_eq!((given.low, given.nominal, given.high), (ratio.least, ratio.median, ratio.most));
        assert_eq!(given.source.to_string(), "measured: codecs.json, zstd of clicks.txt");
        let refused = of(&Codec::all()).expect_err("which one?");
        assert!(refused.0.contains("--codec"), "{refused}");
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
