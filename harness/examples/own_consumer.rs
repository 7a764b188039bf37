//! A consumer of the reader's own under a plan: it counts what it is handed while the broker loses power around it, and
//! must have seen every record by the end, each at its own offset.
//!
//! `cargo run --release -p logquake-harness --example own_consumer`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;
use harness::client::consumer::{Consumer, ConsumerConfig, Position};
use harness::client::{Client, Settings};
use harness::history::Phase;
use harness::plan::Target;
use harness::run::{Guest, RunSpec, Stage, run_with};
use harness::scenario::{Menace, Scenario, Setup};
use harness::sim::env::SimEnv;

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
    let settings = Settings { bootstrap: stage.bootstrap.clone(), ..Settings::default() };
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

fn main() {
    for seed in 0..10 {
        let seen = Seen::default();
        let theirs = seen.clone();
        let guest = Guest(Rc::new(move |env, stage| Box::pin(my_consumer(env, stage, theirs.clone()))));
        let report = run_with(&RunSpec::new(&SCENARIO, seed), Some(guest), None);
        let offsets = seen.borrow();
        let gaps = offsets.keys().zip(0..).filter(|(offset, n)| **offset != *n).count();
        println!("seed {seed}: {:?}, the guest saw {} records, {gaps} gaps", report.verdict, offsets.len());
        assert_eq!(gaps, 0, "{}", report.replay);
    }
}
