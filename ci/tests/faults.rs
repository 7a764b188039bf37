//! Brokers of ours that are killed and frozen under load: what was done to them is seen, and nothing acknowledged is lost by it.

use std::path::Path;

use broker::config::FlushPolicy;
use load::arrivals::Arrivals;
use load::cluster::Cluster;
use load::events::{Event, What};
use load::kafka::Kafka;
use load::run::run_on;
use load::spec::{Drive, Keys, Reading, Spec};

#[test]
fn what_is_done_to_a_broker_shows_and_costs_no_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(Path::new(env!("CARGO_BIN_EXE_logquake")), dir.path(), 1).expect("a broker");
    let events = [(What::Kill, 300), (What::Freeze, 2500), (What::BusyDisk, 4500)]
        .map(|(what, at)| Event::fault(what, 0, at, 400));
    let spec = Spec {
        partitions: 2,
        keys: Keys::Even(100),
        idempotent: true,
        flush: FlushPolicy::Always,
        drive: Drive::Open { rate: 500.0, arrivals: Arrivals::Fixed },
        reading: Reading::Tail { groups: 1 },
        measure_ms: 6500,
        warm_up_ms: 500,
        events: events.into(),
        ..Spec::default()
    };
    let (kafka, machine) = (Kafka::new(cluster.addresses.clone(), "faults"), cluster.machine());
    let done = run_on(&kafka, &spec, &machine, "own", &mut (), Some(&mut cluster)).expect("a run");
    let (outcome, c) = (&done.outcome, done.outcome.checks);
    assert!(c.acked > 1000 && c.failed == 0, "{outcome}");
    assert_eq!((c.lost, c.duplicated, c.disordered), (0, 0, 0), "{outcome}");
    let told: Vec<What> = outcome.episodes.iter().map(|episode| episode.what).collect();
    assert_eq!(told, events.map(|event| event.what), "{outcome}");
    // However fast this machine is: nobody can have answered for so long.
    for silent in &outcome.episodes[..2] {
        assert!(silent.all_silent_ms > 350.0 && silent.silent_ms >= silent.all_silent_ms, "{outcome}");
        assert!(silent.publish.max > 350_000 && silent.unread_ms > Some(350.0), "{outcome}");
    }
    drop(cluster);
    assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 0, "files are left");
}

#[test]
fn others_brokers_are_left_alone() {
    let spec = Spec { events: vec![Event::fault(What::Kill, 0, 100, 100)], ..Spec::default() };
    let kafka = Kafka::new(vec!["127.0.0.1:1".into()], "faults");
    let refused = load::run::run(&kafka, &spec, &load::machine::Machine::default(), "kafka://", &mut ());
    assert!(refused.err().is_some_and(|why| why.to_string().contains("left alone")));
}
