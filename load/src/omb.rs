//! OpenMessaging Benchmark's files: its workloads are read as they are, and results can be written as its JSON, so that what
//! draws its charts draws ours. Field names: openmessaging/benchmark, `Workload.java` and `TestResult.java`.

use serde_json::{Map, Value, json};

use crate::arrivals::{Arrivals, SECOND};
use crate::outcome::Outcome;
use crate::recorder::{Histograms, INTERVAL, Timed};
use crate::run::Done;
use crate::spec::{Drive, Keys, Reading, Spec};
use crate::statistics::figure;
use crate::steady::Window;
use crate::workloads::Case;

/// A workload file. What it does not know is refused: a word that is skipped is a load that nobody asked for.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Workload {
    name: String,
    #[serde(default = "one")]
    topics: u32,
    partitions_per_topic: u32,
    message_size: usize,
    #[serde(default)]
    key_distributor: Distributor,
    #[serde(default)]
    use_randomized_payloads: bool,
    #[serde(default)]
    random_bytes_ratio: f64,
    #[serde(default)]
    randomized_payload_pool_size: u32,
    #[serde(default)]
    payload_file: Option<String>,
    #[serde(default = "one")]
    subscriptions_per_topic: u32,
    #[serde(default = "one")]
    consumer_per_subscription: u32,
    #[serde(default = "one")]
    producers_per_topic: u32,
    #[serde(default)]
    producer_rate: f64,
    #[serde(default, rename = "consumerBacklogSizeGB")]
    consumer_backlog_size_gb: f64,
    #[serde(default = "all")]
    backlog_drain_ratio: f64,
    #[serde(default = "minutes")]
    test_duration_minutes: f64,
    #[serde(default = "warm_up")]
    warmup_duration_minutes: f64,
}

fn one() -> u32 {
    1
}

fn all() -> f64 {
    1.0
}

fn minutes() -> f64 {
    5.0
}

fn warm_up() -> f64 {
    1.0
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Distributor {
    #[default]
    NoKey,
    KeyRoundRobin,
    RandomNano,
}

/// Its gigabytes.
const GIB: f64 = (1u64 << 30) as f64;

/// Distinct keys of `KEY_ROUND_ROBIN` and `RANDOM_NANO`.
const KEYS: u64 = 1_000_000;

/// The workload in `text`, and what of it is done otherwise here.
pub fn read(text: &str) -> Result<(Case, Vec<String>), String> {
    let of: Workload =
        serde_saphyr::from_str(text).map_err(|e| format!("it is no workload of OpenMessaging Benchmark: {e}"))?;
    let mut otherwise = Vec::new();
    if of.topics > 1 {
        otherwise.push(format!("its {} topics are one topic of as many partitions in all", of.topics));
    }
    if of.producer_rate == 0.0 {
        otherwise.push(
            "producerRate 0 is as fast as it goes; `bench search` finds the highest rate that is sustained".into(),
        );
    }
    if of.payload_file.is_some() || of.randomized_payload_pool_size > 0 {
        otherwise.push(
            "payloads are made by us, with as much randomness (payloadFile and the pool's size are not used)".into(),
        );
    }
    let counted = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let all = |per_topic: u32| per_topic.saturating_mul(of.topics);
    let drive = match of.producer_rate {
        0.0 => Drive::Closed { in_flight: 8192 },
        rate => Drive::Open { rate, arrivals: Arrivals::Fixed },
    };
    let reading = match of.subscriptions_per_topic {
        groups if of.consumer_backlog_size_gb > 0.0 => {
            otherwise.push(
                "its backlog is written as fast as it goes, before the rate begins, and the run ends when it is drained".into(),
            );
            // Gibibytes of all subscriptions together.
            let megabytes = milli(of.consumer_backlog_size_gb * GIB / 1e9 / f64::from(groups.max(1)));
            let drain_percent = percent(of.backlog_drain_ratio).max(1);
            Reading::Backlog { groups: counted(groups.max(1)), megabytes, drain_percent }
        }
        0 => Reading::Afterwards,
        groups => Reading::Tail { groups: counted(groups) },
    };
    let spec = Spec {
        partitions: i32::try_from(all(of.partitions_per_topic)).unwrap_or(i32::MAX),
        record_bytes: of.message_size,
        random_percent: if of.use_randomized_payloads { percent(of.random_bytes_ratio) } else { 100 },
        keys: if matches!(of.key_distributor, Distributor::NoKey) { Keys::None } else { Keys::Even(KEYS) },
        producers: counted(all(of.producers_per_topic)),
        consumers: counted(of.consumer_per_subscription.max(1)),
        drive,
        reading,
        measure_ms: milli(of.test_duration_minutes * 60.0),
        warm_up_ms: milli(of.warmup_duration_minutes * 60.0),
        ..Spec::default()
    };
    spec.refused().map_or(Ok((Case::new(of.name.clone(), spec), otherwise)), |why| Err(format!("{}: {why}", of.name)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn percent(ratio: f64) -> u8 {
    (ratio * 100.0).clamp(0.0, 100.0) as u8
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn milli(thousands: f64) -> u64 {
    (thousands * 1000.0).clamp(0.0, 1e12) as u64
}

/// Intervals of ours in one of its own: what draws its charts takes figures to be ten seconds apart.
const PERIOD: usize = 20;

/// A result in its form: latencies in milliseconds, but how late the generator was in microseconds; a figure for each ten seconds,
/// and for what is left of the last.
pub fn result(name: &str, done: &Done) -> Value {
    let Outcome { spec, checks, windows, target, .. } = &done.outcome;
    let (all, intervals) = (done.recorder.measured(), during(windows, done.recorder.intervals()));
    let seconds = |intervals: usize| figure(intervals as u64 * INTERVAL) / figure(SECOND);
    let periods: Vec<(Histograms, f64)> = intervals.chunks(PERIOD).map(|of| (merged(of), seconds(of.len()))).collect();
    let rate = |what| periods.iter().map(|(of, seconds)| figure(of.of(what).len()) / seconds).collect::<Vec<f64>>();
    let windows: Vec<&[Window]> = windows.chunks(PERIOD).collect();
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.into(), value));
    put("workload", json!(name));
    put("driver", json!(target));
    put("messageSize", json!(spec.record_bytes));
    put("topics", json!(1));
    put("partitions", json!(spec.partitions));
    put("producersPerTopic", json!(spec.producers));
    put("consumersPerTopic", json!(spec.consumers * spec.groups()));
    put("publishRate", json!(rate(Timed::Publish)));
    put("consumeRate", json!(rate(Timed::EndToEnd)));
    put(
        "publishErrorRate",
        json!(windows.iter().map(|_| figure(checks.failed) / done.outcome.seconds).collect::<Vec<_>>()),
    );
    let lag = |of: &&[Window]| of.last().map_or(0, |window| window.lag);
    put("backlog", json!(windows.iter().map(lag).collect::<Vec<_>>()));
    for (what, prefix, unit) in [
        (Timed::Publish, "PublishLatency", 1.0),
        (Timed::Delay, "PublishDelayLatency", 1e3),
        (Timed::EndToEnd, "EndToEndLatency", 1.0),
    ] {
        for (suffix, of) in FIGURES {
            put(&format!("aggregated{prefix}{suffix}"), json!(of(all, what) * unit));
            let series: Vec<f64> = periods.iter().map(|(period, _)| of(period, what) * unit).collect();
            put(&format!("{}{}{suffix}", prefix[..1].to_lowercase(), &prefix[1..]), json!(series));
        }
        let quantiles = all
            .of(what)
            .iter_quantiles(5)
            .map(|at| (format!("{}", at.percentile()), ms(at.value_iterated_to()) * unit));
        put(
            &format!("aggregated{prefix}Quantiles"),
            Value::Object(quantiles.map(|(at, ms)| (at, json!(ms))).collect()),
        );
    }
    Value::Object(fields)
}

type Figure = fn(&Histograms, Timed) -> f64;

/// The intervals of these windows: the clock began before them, while the machine was warmed, and goes on while the rest is read.
fn during<'a>(windows: &[Window], intervals: &'a [Histograms]) -> &'a [Histograms] {
    let begun = windows.first().map_or(0, |first| first.at_ms * (SECOND / 1000) / INTERVAL);
    let begun = usize::try_from(begun).unwrap_or(usize::MAX).min(intervals.len());
    &intervals[begun..begun.saturating_add(windows.len()).min(intervals.len())]
}

fn merged(intervals: &[Histograms]) -> Histograms {
    let mut all = Histograms::default();
    intervals.iter().for_each(|of| all.merge(of));
    all
}

const FIGURES: [(&str, Figure); 9] = [
    ("Avg", |all, what| all.of(what).mean() / 1e3),
    ("50pct", |all, what| ms(all.of(what).value_at_quantile(0.5))),
    ("75pct", |all, what| ms(all.of(what).value_at_quantile(0.75))),
    ("95pct", |all, what| ms(all.of(what).value_at_quantile(0.95))),
    ("99pct", |all, what| ms(all.of(what).value_at_quantile(0.99))),
    ("999pct", |all, what| ms(all.of(what).value_at_quantile(0.999))),
    ("9999pct", |all, what| ms(all.of(what).value_at_quantile(0.9999))),
    ("99999pct", |all, what| ms(all.of(what).value_at_quantile(0.99999))),
    ("Max", |all, what| ms(all.of(what).max())),
];

fn ms(us: u64) -> f64 {
    figure(us) / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::machine::Used;
    use crate::outcome::{Checks, Figures};
    use crate::recorder::{Measured, Recorder};

    #[test]
    fn a_workload_file_is_read_as_it_is() {
        let text = "\
# a comment
name: 1 topic / 16 partitions / 1Kb

topics: 1
partitionsPerTopic: 16
keyDistributor: \"KEY_ROUND_ROBIN\"
messageSize: 1024
useRandomizedPayloads: true
randomBytesRatio: 0.5
randomizedPayloadPoolSize: 1000
payloadFile: \"payload/payload-1Kb.data\"
subscriptionsPerTopic: 2
consumerPerSubscription: 3
producersPerTopic: 4
producerRate: 50000
consumerBacklogSizeGB: 0
testDurationMinutes: 15
";
        let (case, otherwise) = read(text).unwrap();
        let spec = Spec {
            partitions: 16,
            record_bytes: 1024,
            random_percent: 50,
            keys: Keys::Even(KEYS),
            producers: 4,
            consumers: 3,
            drive: Drive::Open { rate: 50_000.0, arrivals: Arrivals::Fixed },
            reading: Reading::Tail { groups: 2 },
            measure_ms: 900_000,
            warm_up_ms: 60_000,
            ..Spec::default()
        };
        assert_eq!((case.name.as_str(), case.spec), ("1 topic / 16 partitions / 1Kb", spec));
        assert_eq!(otherwise.len(), 1, "{otherwise:?}");
    }

    #[test]
    fn a_backlog_is_of_all_subscriptions_together() {
        let least = "name: x\npartitionsPerTopic: 1\nmessageSize: 1000\nproducerRate: 500\nsubscriptionsPerTopic: 2\n";
        let (case, _) = read(&format!("{least}consumerBacklogSizeGB: 4\n")).unwrap();
        assert_eq!(case.spec.reading, Reading::Backlog { groups: 2, megabytes: 2147, drain_percent: 100 });
        let (case, _) = read(&format!("{least}consumerBacklogSizeGB: 1\nbacklogDrainRatio: 0.8\n")).unwrap();
        assert_eq!(case.spec.reading, Reading::Backlog { groups: 2, megabytes: 536, drain_percent: 80 });
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let least = "name: x\npartitionsPerTopic: 1\nmessageSize: 100\n";
        assert!(read(least).is_ok());
        assert!(read("name: x\n").unwrap_err().contains("partitionsPerTopic"));
        // It cannot search for a rate and build a backlog either.
        assert!(read(&format!("{least}consumerBacklogSizeGB: 5\n")).unwrap_err().contains("backlog"));
        assert!(read(&format!("{least}prodcerRate: 5\n")).unwrap_err().contains("prodcerRate"));
        assert!(read("name: x\npartitionsPerTopic: 1\nmessageSize: 10\n").unwrap_err().contains("record_bytes"));
    }

    #[test]
    fn figures_are_ten_seconds_apart_from_when_the_run_began() {
        // The clock ran for ten seconds before; 100 records in each half-second of 12 seconds, each read twice, 3 ms late.
        let (mut recorder, measured) = (Recorder::default(), Measured::default());
        let windows: Vec<Window> =
            (20..44).map(|at| Window { at_ms: at * 500, records: 100, lag: at, ..Window::default() }).collect();
        for now in (20..44).flat_map(|at| [at * INTERVAL; 100]) {
            for what in [Timed::Publish, Timed::Delay, Timed::EndToEnd, Timed::EndToEnd] {
                recorder.record(what, now - 3 * SECOND / 1000, now, &measured);
            }
        }
        let figures = Figures { counted: 0, seconds: 12.0, checks: Checks::default(), pages_us: [None; 2] };
        let outcome = Outcome::new(&Spec::default(), "own", Used::default(), windows, figures);
        let done = Done { started: UNIX_EPOCH, left: None, outcome, recorder };
        let said = result("a case", &done);
        assert_eq!((&said["publishRate"], &said["consumeRate"]), (&json!([200.0, 200.0]), &json!([400.0, 400.0])));
        assert_eq!((&said["backlog"], &said["publishErrorRate"]), (&json!([39, 43]), &json!([0.0, 0.0])));
        let us = said["publishDelayLatency99pct"].as_array().unwrap();
        assert!(
            us.len() == 2 && us.iter().all(|us| us.as_f64().is_some_and(|us| (us - 3000.0).abs() < 30.0)),
            "{us:?}"
        );
    }
}
