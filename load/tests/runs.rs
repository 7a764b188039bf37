//! Whole runs: against a broker of ours, and against stores that lose, repeat and reorder what they have acknowledged.

#![expect(clippy::disallowed_methods, reason = "a broker on a thread of its own")]

use std::future::{Ready, ready};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use broker::config::{BrokerConfig, GroupConfig};
use broker::env::real::{RealEnv, block_on};
use bytes::Bytes;
use load::driver::{Consumer, Driver, Producer};
use load::events::{Event, What};
use load::kafka::Kafka;
use load::machine::Machine;
use load::outcome::{Flag, Outcome};
use load::run::run;
use load::spec::{Drive, Keys, Protocol, Reading, Spec};
use load::stamp::Stamp;
use load::workloads;

/// What a store does to a record that it has acknowledged, by its place: how it is read.
type Treatment = fn(usize, Vec<Bytes>) -> Vec<Bytes>;

/// One partition, in memory.
#[derive(Clone)]
struct Store {
    records: Arc<Mutex<Vec<Bytes>>>,
    treatment: Treatment,
}

struct Writer(Store);
struct Reader(Store, usize);

impl Driver for Store {
    type Producer = Writer;
    type Consumer = Reader;

    async fn prepare(&self, _: &Spec) -> io::Result<()> {
        Ok(())
    }

    async fn producer(&self, _: &Spec) -> io::Result<Writer> {
        Ok(Writer(self.clone()))
    }

    async fn consumer(&self, _: &Spec, _: usize) -> io::Result<Reader> {
        Ok(Reader(self.clone(), 0))
    }

    async fn remove(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Producer for Writer {
    type Ack = Ready<bool>;

    async fn send(&self, _: Option<Bytes>, value: Bytes) -> Option<(usize, Ready<bool>)> {
        self.0.records.lock().unwrap().push(value);
        Some((0, ready(true)))
    }

    async fn flush(&self) {}
}

impl Consumer for Reader {
    async fn poll(&mut self, into: &mut Vec<(i32, Stamp)>) -> io::Result<()> {
        let records = self.0.records.lock().unwrap()[self.1..].to_vec();
        let from = self.1;
        self.1 += records.len();
        let read = (self.0.treatment)(from, records);
        into.extend(read.iter().filter_map(|value| Some((0, Stamp::read(value)?))));
        if read.is_empty() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// A run over such a store.
fn stored(treatment: Treatment) -> Outcome {
    let store = Store { records: Arc::default(), treatment };
    let drive = Drive::Open { rate: 5000.0, arrivals: load::arrivals::Arrivals::Poisson };
    let spec = Spec { record_bytes: 100, drive, idempotent: true, measure_ms: 200, warm_up_ms: 100, ..Spec::default() };
    run(&store, &spec, &Machine::default(), "a store", &mut ()).unwrap().outcome
}

#[test]
fn a_store_that_keeps_its_word_is_not_accused() {
    let outcome = stored(|_, records| records);
    let c = outcome.checks;
    assert!(c.sent > 0 && (c.acked, c.read, c.failed) == (c.sent, c.sent, 0), "{outcome}");
    assert_eq!((c.lost, c.duplicated, c.disordered), (0, 0, 0), "{outcome}");
}

#[test]
fn what_a_store_loses_is_counted() {
    let outcome = stored(|from, records| {
        let kept = records.into_iter().enumerate().filter(|(at, _)| (from + at) % 100 != 7);
        kept.map(|(_, record)| record).collect()
    });
    let lost = outcome.checks.sent.div_ceil(100).abs_diff(outcome.checks.lost);
    assert!(
        outcome.checks.lost > 0 && lost <= 1 && outcome.flags.contains(&Flag::Lost(outcome.checks.lost)),
        "{outcome}"
    );
    assert!(!outcome.is_result());
}

#[test]
fn what_a_store_repeats_or_reorders_is_counted() {
    let twice = stored(|_, records| records.into_iter().flat_map(|record| [record.clone(), record]).collect());
    assert_eq!(twice.checks.duplicated, twice.checks.sent, "{twice}");
    assert!(twice.flags.contains(&Flag::Duplicated(twice.checks.sent)), "{twice}");
    let back = stored(|_, mut records| {
        records.reverse();
        records
    });
    assert!(back.flags.iter().any(|flag| matches!(flag, Flag::Disordered(_))), "{back}");
}

/// A broker of ours on a thread of its own, as long as `with` runs.
fn with_broker<T>(with: impl FnOnce(String, &Path) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("127.0.0.1:{}", held.local_addr().unwrap().port());
    drop(held);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let groups = GroupConfig { initial_rebalance_delay: Duration::ZERO, ..GroupConfig::default() };
    let config = BrokerConfig { listen: listen.clone(), groups, ..BrokerConfig::default() };
    let data = dir.path().to_owned();
    let (serves, is_serving) = std::sync::mpsc::channel();
    let node = thread::spawn(move || {
        block_on(async {
            let mut stopped = stopped;
            let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
            let beside = |_| async move { serves.send(()).unwrap() };
            broker::node::live::serve(RealEnv::new(data).unwrap(), config, stop, beside).await.unwrap();
        })
        .unwrap();
    });
    is_serving.recv().unwrap();
    let done = with(listen, dir.path());
    stop.send(true).unwrap();
    node.join().unwrap();
    done
}

/// The first and the last case of every workload that needs one broker, briefly: what it asks for works, and nothing is lost on the way.
#[test]
fn every_workload_runs_against_a_broker_of_ours() {
    with_broker(|listen, data| {
        let ends = |of: &workloads::Workload| {
            let all: Vec<_> =
                workloads::named(of.name).unwrap().into_iter().filter(|(_, case)| case.nodes() == 1).collect();
            let last = all.len() - 1;
            all.into_iter().enumerate().filter(move |(at, _)| *at == 0 || *at == last).map(|(_, case)| case)
        };
        for (name, mut case) in workloads::ALL.iter().flat_map(ends) {
            (case.spec.measure_ms, case.spec.warm_up_ms) = (100, 100);
            // What happens takes longer, and needs brokers that can be killed.
            case.spec.events.clear();
            if let Reading::CatchUp { megabytes, .. } | Reading::Backlog { megabytes, .. } = &mut case.spec.reading {
                *megabytes = 5;
            }
            let kafka = Kafka::new(vec![listen.clone()], "runs");
            // Elsewhere gigabytes would be written to warm the memory.
            let cold = matches!(case.spec.reading, Reading::CatchUp { cold: true, .. });
            let machine = Machine { pids: vec![std::process::id()], data: cold.then(|| data.to_owned()) };
            let done = run(&kafka, &case.spec, &machine, &name, &mut ()).unwrap();
            let (outcome, c) = (&done.outcome, done.outcome.checks);
            assert!(c.acked > 0 && c.failed == 0, "{name}: {outcome}");
            assert_eq!((c.lost, c.disordered), (0, 0), "{name}: {outcome}");
            assert!(case.spec.compacted || c.read >= c.acked, "{name}: {outcome}");
        }
    });
}

#[test]
fn groups_and_producers_share_the_work() {
    with_broker(|listen, _| {
        let spec = Spec {
            partitions: 5,
            producers: 3,
            consumers: 2,
            keys: Keys::Even(50),
            drive: Drive::Open { rate: 2000.0, arrivals: load::arrivals::Arrivals::Fixed },
            reading: Reading::Tail { groups: 3 },
            measure_ms: 300,
            warm_up_ms: 100,
            ..Spec::default()
        };
        let kafka = Kafka::new(vec![listen], "shared");
        let done = run(&kafka, &spec, &Machine::default(), "own", &mut ()).unwrap();
        let (outcome, c) = (&done.outcome, done.outcome.checks);
        assert_eq!((c.lost, c.duplicated, c.disordered, c.failed, c.read), (0, 0, 0, 0, c.acked), "{outcome}");
        let told = outcome.end_to_end.unwrap();
        assert_eq!(told.count, 3 * outcome.publish.count, "each group reads everything: {outcome}");
        // As what draws the other bench's charts takes it.
        let omb = load::omb::result("shared", &done);
        let all = |name: &str| omb[name].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
        let (published, consumed) = (all("publishRate"), all("consumeRate"));
        assert!(published.len() == consumed.len() && consumed[0] > 2.0 * published[0], "{published:?}, {consumed:?}");
        assert_eq!(omb["aggregatedPublishDelayLatencyMax"].as_f64(), Some(outcome.delay.max as f64), "{outcome}");
        assert!(omb["aggregatedPublishLatency99999pct"].as_f64() > Some(0.0), "{outcome}");
        assert!(told.p50 >= outcome.publish.p50 / 2 && told.p50 <= told.p99 && told.p99 <= told.max, "{outcome}");
    });
}

#[test]
fn members_of_a_group_come_and_go_and_leave_nothing_out() {
    with_broker(|listen, _| {
        let events = [Event::group(What::Join, 200), Event::group(What::Leave, 2500)];
        let spec = Spec {
            partitions: 4,
            consumers: 2,
            keys: Keys::Even(50),
            drive: Drive::Open { rate: 1000.0, arrivals: load::arrivals::Arrivals::Fixed },
            reading: Reading::Group { protocol: Protocol::Cooperative },
            measure_ms: 5000,
            warm_up_ms: 3000,
            events: events.into(),
            ..Spec::default()
        };
        let kafka = Kafka::new(vec![listen], "group");
        let done = run(&kafka, &spec, &Machine::default(), "own", &mut ()).unwrap();
        let (outcome, c) = (&done.outcome, done.outcome.checks);
        assert!(c.acked > 3000, "{outcome}");
        assert_eq!((c.lost, c.disordered, c.failed), (0, 0, 0), "{outcome}");
        // Whoever takes a partition over begins where its predecessor committed, not at the beginning.
        assert!(c.duplicated < c.acked / 2, "{outcome}");
        let told: Vec<What> = outcome.episodes.iter().map(|episode| episode.what).collect();
        assert_eq!(told, [What::Join, What::Leave], "{outcome}");
    });
}

/// What a backlog leaves: all read, and the prediction beside what came of it.
#[test]
fn a_backlog_is_worked_off_while_producers_go_on() {
    with_broker(|listen, _| {
        let spec = Spec {
            partitions: 2,
            producers: 2,
            drive: Drive::Open { rate: 2000.0, arrivals: load::arrivals::Arrivals::Fixed },
            reading: Reading::Backlog { groups: 2, megabytes: 20, drain_percent: 100 },
            measure_ms: 500,
            warm_up_ms: 200,
            ..Spec::default()
        };
        let kafka = Kafka::new(vec![listen], "backlog");
        let done = run(&kafka, &spec, &Machine::default(), "own", &mut ()).unwrap();
        let (outcome, c) = (&done.outcome, done.outcome.checks);
        assert_eq!((c.lost, c.duplicated, c.disordered, c.failed, c.read), (0, 0, 0, 0, c.acked), "{outcome}");
        let backlog = outcome.backlog.unwrap();
        assert!(backlog.drained && backlog.records >= 19_532 + 500 && backlog.predicted_s.is_some(), "{outcome}");
        assert!(backlog.before.count > 500 && backlog.during.count > 0, "{outcome}");
    });
}
