//! A property over a simulated cluster, in twenty lines: whatever strikes, nothing acknowledged is lost.
//!
//! `cargo run --release -p logquake-harness --example property`. A failure shrinks to the fewest strikes that still
//! break the promise, and prints them.

use harness::plan::{Mark, Target};
use harness::property;
use harness::scenario::{Menace, Scenario, Setup};
use proptest::test_runner::{Config, TestRunner};

static SCENARIO: Scenario = Scenario { name: "example", about: "kills and power losses while records are sent", setup };

fn setup(_: &mut harness::seed::Draw) -> Setup {
    let strike = |fault, after| Menace {
        fault,
        target: Target::Broker,
        count: (1, 2),
        duration_ms: (50, 500),
        force: (0, 0),
        after,
    };
    let mut setup = Setup::one_topic("orders", 2);
    setup.contract.power_loss = true;
    setup.menu = vec![strike("process_crash", &[Mark::Appended]), strike("power_loss", &[Mark::Acked])];
    setup
}

fn main() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(20) });
    match runner.run(&property::specs(&SCENARIO), |spec| property::holds(&spec)) {
        Ok(()) => println!("20 runs: every promise kept"),
        Err(broken) => println!("{broken}"),
    }
}
