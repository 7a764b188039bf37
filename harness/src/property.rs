//! Properties over a simulated cluster: strategies for plans, workloads and log settings, and the judge.
//!
//! ```no_run
//! # use harness::{property, scenario::{Scenario, Setup}};
//! # use proptest::prelude::*;
//! # static MY_SCENARIO: Scenario = Scenario { name: "x", about: "", setup: |_| Setup::one_topic("t", 1) };
//! proptest! {
//!     #[test]
//!     fn nothing_acknowledged_is_lost(spec in property::specs(&MY_SCENARIO)) {
//!         property::holds(&spec)?;
//!     }
//! }
//! ```
//! A failure shrinks to the fewest, shortest strikes that still break the promise, and prints the line that replays it.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use broker::config::LogConfig;

use crate::plan::{Plan, Strike, Trigger};
use crate::run::{Overrides, RunSpec, run};
use crate::scenario::{Load, Menace, Scenario};
use crate::verdict::{Severity, Verdict};

/// Strikes in a drawn plan, at most.
const MOST_STRIKES: usize = 6;

/// Plans of up to six strikes from `menu` within `strikes_ms`. Shrinks to fewer, earlier and shorter strikes.
pub fn plans(menu: Vec<Menace>, strikes_ms: u64) -> BoxedStrategy<Plan> {
    if menu.is_empty() {
        return Just(Plan::default()).boxed();
    }
    let strike = proptest::sample::select(menu).prop_flat_map(move |m| strikes(m, strikes_ms));
    let number = |strikes: Vec<Strike>| {
        let numbered = strikes.into_iter().zip(0..).map(|(s, id)| Strike { id, ..s });
        Plan { strikes: numbered.collect() }
    };
    prop::collection::vec(strike, 0..=MOST_STRIKES).prop_map(number).boxed()
}

/// Single strikes of one menace.
pub fn strikes(menace: Menace, strikes_ms: u64) -> impl Strategy<Value = Strike> {
    let at = (0..strikes_ms.max(1)).prop_map(|ms| Trigger::At { ms });
    let trigger = match menace.after {
        [] => at.boxed(),
        marks => {
            let latest = 0..strikes_ms.max(1);
            let nth = (proptest::sample::select(marks), 1u64..60, latest).prop_map(|(of, n, by_ms)| Trigger::Nth {
                of,
                n,
                by_ms,
            });
            prop_oneof![at, nth].boxed()
        }
    };
    let (duration, force) = (menace.duration_ms, menace.force);
    (trigger, duration.0..=duration.1, force.0..=force.1, any::<u64>()).prop_map(
        move |(trigger, duration_ms, force, salt)| Strike {
            id: 0,
            trigger,
            fault: menace.fault.into(),
            target: menace.target,
            duration_ms,
            until: Vec::new(),
            force,
            salt,
        },
    )
}

/// Workloads around `base`: more or fewer producers, rates, sizes, waits.
pub fn loads(base: Load) -> impl Strategy<Value = Load> {
    (1u32..4, 20u64..150, 40u64..600, 0u64..25, 0usize..3, 0u64..=1000).prop_map(
        move |(producers, rate, bytes, linger_ms, fetch, keyless_per_mille)| Load {
            producers,
            rate,
            value_bytes: (40, bytes.max(40)),
            linger_ms,
            keyless_per_mille,
            fetch_bytes: [512, 16 << 10, 1 << 20][fetch],
            ..base.clone()
        },
    )
}

/// Log settings around `base`: segments and indexes from tiny to ordinary.
pub fn logs(base: LogConfig) -> impl Strategy<Value = LogConfig> {
    (9u32..21, 0u32..13).prop_map(move |(segment, index)| LogConfig {
        segment_bytes: 1 << segment,
        index_interval_bytes: 1 << index,
        ..base.clone()
    })
}

/// Whole runs of `scenario`: any seed, any plan from its menu, any workload and log settings around its own.
pub fn specs(scenario: &'static Scenario) -> impl Strategy<Value = RunSpec> {
    any::<u16>().prop_flat_map(move |seed| {
        let seed = u64::from(seed);
        let setup = RunSpec::new(scenario, seed).setup();
        let log = setup.topics.first().map(|t| t.log.clone()).unwrap_or_default();
        (plans(setup.menu, setup.times.strikes_ms), loads(setup.load), logs(log)).prop_map(move |(plan, load, log)| {
            let with = Overrides { plan: Some(plan), load: Some(load), log: Some(log) };
            RunSpec { with, ..RunSpec::new(scenario, seed) }
        })
    })
}

/// Runs `spec` and asks that nothing be violated. The error says what broke, the strikes that did it, and how to replay.
pub fn holds(spec: &RunSpec) -> Result<(), TestCaseError> {
    let report = run(spec, None);
    if report.verdict != Verdict::Fail {
        return Ok(());
    }
    let mut text = String::new();
    for f in report.findings.iter().filter(|f| f.severity == Severity::Violation) {
        text.push_str(&format!("{}: {}\n", f.invariant, f.what));
    }
    for s in report.strikes.iter().filter(|s| s.at.is_some()) {
        text.push_str(&format!("  strike {}: {} ({})\n", s.strike.id, s.strike.fault, s.on));
    }
    Err(TestCaseError::fail(format!("{text}replay: {}", report.replay)))
}
