//! The gate: four steps in the order in which trust is built, each told when it ends, then one table and one exit code.

use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::run::{RunSpec, run};
use harness::verdict::Verdict;
use reports::suite::{self, Suite};
use reports::text::{self, Step};
use scenarios::known;

use super::limits::Hang;
use super::results::Open;
use super::{meta, planted, sweep};
use crate::exit::Exit;
use crate::shard::Shard;
use crate::wall::Wall;
use crate::{ask, interrupt, screen};

/// How much of each.
pub struct Scale {
    /// Seeds of every scenario that are compared between processes.
    pub meta_seeds: u64,
    /// CPU time for each planted defect.
    pub hunt: Duration,
    /// Real time for the sweep.
    pub sweep: Duration,
    /// The sweep's first seed.
    pub from: u64,
}

/// About three minutes on two cores.
pub const USUAL: Scale =
    Scale { meta_seeds: 4, hunt: Duration::from_secs(60), sweep: Duration::from_secs(60), from: 0 };
/// Under a minute on two cores.
pub const QUICK: Scale =
    Scale { meta_seeds: 1, hunt: Duration::from_secs(20), sweep: Duration::from_secs(10), from: 0 };

/// What a step leaves: the full report if something is wrong, one line, its cases, and what it amounts to.
struct Left {
    report: String,
    line: String,
    suites: Vec<Suite>,
    exit: Exit,
}

impl Left {
    /// A step that could not be done.
    fn undone(step: &str, why: String) -> Self {
        let suites = vec![suite::undone(step, &why)];
        Self { report: String::new(), line: why, suites, exit: Exit::Incomplete }
    }
}

/// Goes through the gate.
pub fn gate(scale: &Scale, jobs: usize, hang: Hang, results: Open) -> anyhow::Result<Exit> {
    let mut exit = Exit::Pass;
    let (mut steps, mut suites) = (Vec::new(), Vec::new());
    let all: [(&str, &dyn Fn() -> anyhow::Result<Left>); 4] = [
        ("meta", &|| determinism(scale, jobs)),
        ("planted", &|| defects(scale, jobs, hang)),
        ("known seeds", &|| known_seeds(hang)),
        ("sweep", &|| explore(scale, jobs, hang)),
    ];
    for (name, step) in all {
        let wall = Wall::start();
        // A step that could not be done is no pass, and no reason to leave the others out.
        let left = step().unwrap_or_else(|e| Left::undone(name, format!("{e:#}")));
        let done = Step { name: name.into(), verdict: left.exit.verdict(), detail: left.line, wall: wall.elapsed() };
        if left.exit == Exit::Pass || left.report.is_empty() {
            screen::out(&text::step_done(&done, screen::width()))?;
        } else {
            // The full report says in its last line what the step's line would say.
            screen::out(&format!("{}{}\n", text::step_begun(name), left.report))?;
        }
        exit = exit.min(left.exit);
        suites.extend(left.suites);
        steps.push(done);
        if interrupt::asked().load(Ordering::Relaxed) {
            exit = exit.min(Exit::Incomplete);
            break;
        }
    }
    screen::out(&format!("\n{}", text::summary(&steps, exit.verdict(), screen::width())))?;
    let lines: Vec<String> = steps.iter().map(|step| format!("{}: {}", step.name, step.detail)).collect();
    results.write(exit.verdict(), &lines.join("; "), &suites)?;
    Ok(exit)
}

fn determinism(scale: &Scale, jobs: usize) -> anyhow::Result<Left> {
    let outcome = meta::meta(&ask::chosen(&[]), 0..scale.meta_seeds, jobs)?;
    Ok(Left {
        report: text::determinism(&outcome, screen::width()),
        line: text::determinism_line(&outcome),
        suites: vec![suite::determinism(&outcome)],
        exit: meta::exit(&outcome),
    })
}

fn defects(scale: &Scale, jobs: usize, hang: Hang) -> anyhow::Result<Left> {
    ask::needs_planted()?;
    let order = planted::Order { ids: vec![], budget: scale.hunt, hunts: 1, jobs, hang };
    let hunted = planted::planted(&order)?;
    Ok(Left {
        report: text::planted(&hunted, screen::width()),
        line: text::planted_line(&hunted),
        suites: vec![suite::hunts(&hunted)],
        exit: planted::exit(&hunted),
    })
}

fn known_seeds(hang: Hang) -> anyhow::Result<Left> {
    let mut left = Left { report: String::new(), line: known_line(), suites: Vec::new(), exit: Exit::Pass };
    let mut seeds = suite::known_seeds();
    let dog = hang.watchdog();
    for known in known::ALL {
        let scenario = ask::known_scenario(known.scenario)?;
        let spec = RunSpec::new(scenario, known.seed);
        let report = dog.over(&spec, || run(&spec, None));
        seeds = suite::known(seeds, known.cause, &report);
        // What failed once is back only if it fails: retention may leave nothing for some invariant to look at.
        if report.verdict == Verdict::Fail {
            left.report.push_str(&text::run(&report, known.cause, screen::width()));
            left.line = format!("{} seed {} is back: {}", known.scenario, known.seed, known.cause);
            left.exit = left.exit.min(Exit::of(&report));
        }
    }
    left.suites.push(seeds);
    Ok(left)
}

fn known_line() -> String {
    match known::ALL.len() {
        0 => "none is recorded yet".into(),
        n => format!("{n} seeds that once failed pass"),
    }
}

fn explore(scale: &Scale, jobs: usize, hang: Hang) -> anyhow::Result<Left> {
    let order = sweep::Order {
        scenarios: ask::chosen(&[]),
        seeds: scale.from..u64::MAX,
        budget: Some(scale.sweep),
        shard: Shard(1, 1),
        jobs,
        hang,
    };
    let outcome = sweep::sweep(&order)?;
    Ok(Left {
        report: text::sweep(&outcome, screen::width()),
        line: text::sweep_line(&outcome),
        suites: suite::sweep(&outcome),
        exit: Exit::of_sweep(&outcome),
    })
}
