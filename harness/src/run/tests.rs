//! The runner over a small scenario: whole runs, twice the same, with strikes and without.

use super::{RunSpec, run};
use crate::history::Event;
use crate::plan::{Mark, Target};
use crate::scenario::{Menace, Scenario, Setup};
use crate::seed::Draw;
use crate::verdict::{Severity, Verdict};

static CALM: Scenario = Scenario { name: "calm", about: "no faults", setup: |_| Setup::one_topic("t", 2) };
static STORM: Scenario = Scenario { name: "storm", about: "kills and power losses", setup: storm };

fn storm(_: &mut Draw) -> Setup {
    let strike = |fault, after| Menace {
        fault,
        target: Target::Broker,
        count: (1, 2),
        duration_ms: (50, 500),
        force: (0, 0),
        after,
    };
    let mut setup = Setup::one_topic("t", 2);
    setup.contract.power_loss = true;
    setup.menu = vec![strike("process_crash", &[Mark::Appended]), strike("power_loss", &[Mark::Acked])];
    setup
}

fn events(spec: &RunSpec) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tap = |e: &Event| events.push(e.clone());
    run(spec, Some(&mut tap));
    events
}

#[test]
fn a_calm_run_passes_with_evidence_for_every_row() {
    let report = run(&RunSpec::new(&CALM, 1), None);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
    assert!(report.cost.acked > 100, "{:?}", report.cost);
    assert!(report.cost.delivered > report.cost.acked, "{:?}", report.cost);
}

#[test]
fn a_stormy_run_keeps_its_promises_and_says_what_struck() {
    for seed in 0..5 {
        let report = run(&RunSpec::new(&STORM, seed), None);
        assert_eq!(report.verdict, Verdict::Pass, "seed {seed}: {:#?}", report.findings);
        assert!(report.strikes.iter().any(|s| s.at.is_some() && s.healed.is_some()), "{:?}", report.strikes);
    }
}

#[test]
fn the_same_spec_is_the_same_run_event_for_event() {
    for seed in 0..3 {
        let spec = RunSpec::new(&STORM, seed);
        let (here, there) = (events(&spec), std::thread::scope(|s| s.spawn(|| events(&spec.clone())).join()));
        assert!(here == there.expect("the run does not panic"), "seed {seed} differs between two threads");
    }
}

#[test]
fn another_seed_is_another_run() {
    let trace = |seed| run(&RunSpec::new(&STORM, seed), None).trace;
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_kept_subset_strikes_with_that_subset_only() {
    let whole = run(&RunSpec::new(&STORM, 4), None);
    let keep: Vec<u32> = whole.strikes.iter().take(1).map(|s| s.strike.id).collect();
    let part = run(&RunSpec { keep: Some(keep.clone()), ..RunSpec::new(&STORM, 4) }, None);
    let ids: Vec<u32> = part.strikes.iter().map(|s| s.strike.id).collect();
    assert_eq!(ids, keep);
}

#[test]
fn without_any_strike_a_scenario_that_needs_one_is_vacuous() {
    static NEEDY: Scenario = Scenario {
        name: "needy",
        about: "needs a strike and has none",
        setup: |_| Setup { least_strikes: 1, ..Setup::one_topic("t", 1) },
    };
    let report = run(&RunSpec::new(&NEEDY, 1), None);
    assert_eq!(report.verdict, Verdict::Vacuous);
    assert!(report.findings.iter().any(|f| f.severity == Severity::Vacuous && f.invariant == "M6"));
}
