//! A consumer of the reader's own under a plan: it counts what it is handed while the broker loses power around it, and
//! must have seen, without a gap and each at its own offset, every record that was acknowledged before the strikes began.
//!
//! `cargo run --release -p logquake-harness --example own_consumer`

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;
use harness::client::consumer::{Consumer, ConsumerConfig, Position};
use harness::client::{Client, Settings};
use harness::history::{Event, Kind, Phase, Reply};
use harness::plan::Target;
use harness::run::{Guest, RunSpec, Stage, run_with};
use harness::scenario::{Menace, Scenario, Setup};
use harness::sim::env::SimEnv;
use harness::verdict::Verdict;

static SCENARIO: Scenario = Scenario { name: "own_consumer", about: "power losses around a guest", setup };

fn setup(_: &mut harness::seed::Draw) -> Setup {
    let mut setup = Setup::one_topic("orders", 1);
    setup.contract.power_loss = true;
    let power = Menace {
        fault: "power_loss",
        target: Target::Broker,
        count: (2, 3),
        duration_ms: (50, 500),
        force: (0, 0),
        after: &[],
    };
    setup.menu = vec![power];
    setup
}

/// What the guest has seen: offset to value.
type Seen = Rc<RefCell<BTreeMap<i64, Vec<u8>>>>;

/// The code under test. It is started anew whenever its host is, like any process.
async fn my_consumer(env: SimEnv, stage: Rc<Stage>, seen: Seen) {
    while !stage.ready() {
        env.sleep(Duration::from_millis(10)).await;
    }
    // A broker that lost its power does not say so: whoever waits for it must lose patience.
    let patience = Duration::from_millis(500);
    let (bootstrap, connect_timeout) = (stage.bootstrap.clone(), patience);
    let settings = Settings { bootstrap, connect_timeout, request_timeout: patience * 2, ..Settings::default() };
    let consumer = Consumer::new(Client::new(env.clone(), settings), ConsumerConfig::default());
    let assigned = consumer.assign(stage.partitions[0].clone(), Position::Offset(0), env.now()).await;
    assigned.expect("an offset needs no look-up");
    while stage.phase() < Phase::Audit {
        for polled in consumer.poll(Duration::from_secs(1)).await {
            for record in polled.records {
                let value = record.value.map(|v| v.to_vec()).unwrap_or_default();
                let before = seen.borrow_mut().insert(record.offset, value.clone());
                assert!(before.is_none_or(|b| b == value), "offset {} changed its value", record.offset);
            }
        }
    }
}

/// One run; the error says what the guest should have seen and has not, or what the run itself has found.
fn check(seed: u64) -> Result<usize, String> {
    let (seen, acked) = (Seen::default(), RefCell::new(BTreeSet::new()));
    let theirs = seen.clone();
    let guest = Guest(Rc::new(move |env, stage| Box::pin(my_consumer(env, stage, theirs.clone()))));
    let struck = Cell::new(false);
    let mut tap = |event: &Event| match event.kind {
        Kind::Phase { phase: Phase::Strikes } => struck.set(true),
        Kind::Return { reply: Reply::Sent { offset }, .. } if !struck.get() => drop(acked.borrow_mut().insert(offset)),
        _ => {}
    };
    let report = run_with(&RunSpec::new(&SCENARIO, seed), Some(guest), Some(&mut tap));
    if report.verdict != Verdict::Pass {
        return Err(format!("{:?}: {:?}\n{}", report.verdict, report.findings, report.replay));
    }
    missing(&acked.borrow(), &seen.borrow()).map_err(|why| format!("{why}\n{}", report.replay))
}

/// How many records were seen: every one of those acknowledged, and no gap between any two.
fn missing(acked: &BTreeSet<i64>, seen: &BTreeMap<i64, Vec<u8>>) -> Result<usize, String> {
    if acked.is_empty() {
        return Err("nothing was acknowledged".into());
    }
    if let Some(offset) = acked.iter().find(|offset| !seen.contains_key(offset)) {
        return Err(format!("the record acknowledged at offset {offset} was never seen"));
    }
    match seen.keys().zip(0..).find(|(offset, n)| **offset != *n) {
        Some((offset, n)) => Err(format!("after offset {} comes {offset}", n - 1)),
        None => Ok(seen.len()),
    }
}

fn main() -> ExitCode {
    for seed in 0..10 {
        match check(seed) {
            Ok(count) => println!("seed {seed}: the guest saw {count} records without a gap"),
            Err(why) => {
                println!("seed {seed}: {why}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::{check, missing};

    #[test]
    fn the_guest_sees_every_record() {
        assert!(check(0).expect("a sound run") > 10);
    }

    #[test]
    fn a_guest_that_misses_a_record_is_found() {
        let seen = |offsets: &[i64]| offsets.iter().map(|offset| (*offset, Vec::new())).collect();
        assert_eq!(missing(&[0, 1, 2].into(), &seen(&[0, 1, 2, 3])), Ok(4));
        assert!(missing(&[0, 1, 2].into(), &seen(&[0, 1])).is_err(), "the last");
        assert!(missing(&[0, 3].into(), &seen(&[0, 1, 3])).is_err(), "a gap");
        assert!(missing(&[].into(), &seen(&[])).is_err(), "nothing at all");
    }
}
