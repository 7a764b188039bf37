//! A property over a simulated cluster, in twenty lines: whatever strikes, nothing acknowledged is lost.
//!
//! `cargo run --release -p logquake-harness --example property`. A failure shrinks to the fewest strikes that still
//! break the promise, and prints them.

use harness::plan::{Mark, Target};
use harness::property;
use harness::run::RunSpec;
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

fn main() -> std::process::ExitCode {
    match check(20, |_| {}) {
        Ok(()) => println!("20 runs: every promise kept"),
        Err(broken) => {
            println!("{broken}");
            return std::process::ExitCode::FAILURE;
        }
    }
    std::process::ExitCode::SUCCESS
}

/// So many runs, each changed by `change`. The error says what broke, and by which fewest strikes.
fn check(cases: u32, change: impl Fn(&mut RunSpec)) -> Result<(), String> {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let holds = |mut spec: RunSpec| {
        change(&mut spec);
        property::holds(&spec)
    };
    runner.run(&property::specs(&SCENARIO), holds).map_err(|broken| broken.to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_promised_is_kept() {
        super::check(3, |_| {}).expect("kept");
    }

    /// A property that cannot fail proves nothing.
    #[cfg(feature = "planted")]
    #[test]
    fn a_broker_that_lies_is_found() {
        let lies = |spec: &mut harness::run::RunSpec| spec.planted = Some(broker::planted::Defect::Canary);
        let broken = super::check(3, lies).expect_err("found");
        assert!(broken.contains("replay: logquake run example --seed"), "{broken}");
    }
}
