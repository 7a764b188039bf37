//! The gate: five steps in the order in which trust is built, each told when it ends, then one table and one exit code.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use harness::run::{RunSpec, run};
use harness::verdict::Verdict;
use reports::outcome::Gate;
use reports::suite::{self, Suite};
use reports::text::{self, Step};
use scenarios::known;

use super::costs::{self, Policy};
use super::limits::Hang;
use super::pace::{Against, Paced};
use super::results::Open;
use super::{meta, planted, progress, sweep};
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

/// The gate's steps, by name.
const STEPS: [(&str, Do); 5] =
    [("meta", determinism), ("planted", defects), ("known seeds", known_seeds), ("costs", costs), ("sweep", explore)];

/// Its steps beside another build: nothing but how fast this one is.
const AGAINST: [(&str, Do); 2] = [("simulated CPU", simulated), ("live CPU", live)];

/// About three minutes on two cores.
pub const USUAL: Scale =
    Scale { meta_seeds: 2, hunt: Duration::from_secs(60), sweep: Duration::from_secs(60), from: 0 };
/// Under a minute on two cores.
pub const QUICK: Scale =
    Scale { meta_seeds: 1, hunt: Duration::from_secs(20), sweep: Duration::from_secs(10), from: 0 };

/// How it is done.
pub struct How {
    /// Threads.
    pub jobs: usize,
    /// When a run counts as hung.
    pub hang: Hang,
    /// Whether all of it is told as JSON in the end, rather than step by step.
    pub json: bool,
    /// What costs are held to.
    pub policy: Policy,
    /// Another build to be compared with, and nothing else to be done.
    pub against: Option<Against>,
}

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

/// Does a step, and leaves in the gate what there is of it.
type Do = fn(&Scale, &How, &mut Gate) -> anyhow::Result<Left>;

/// Goes through the gate.
pub fn gate(scale: &Scale, how: &How, results: Open) -> anyhow::Result<Exit> {
    let mut exit = Exit::Pass;
    let mut suites = Vec::new();
    let mut gate = Gate {
        verdict: exit.verdict(),
        steps: Vec::new(),
        determinism: None,
        planted: None,
        back: Vec::new(),
        costs: Vec::new(),
        sweep: None,
    };
    let say = |text: &str| if how.json { Ok(()) } else { screen::out(text) };
    let steps = if how.against.is_some() { &AGAINST[..] } else { &STEPS };
    for (name, step) in steps {
        let wall = Wall::start();
        // A step that could not be done is no pass, and no reason to leave the others out.
        let left = step(scale, how, &mut gate).unwrap_or_else(|e| Left::undone(name, format!("{e:#}")));
        let done = Step { name: (*name).into(), verdict: left.exit.verdict(), detail: left.line, wall: wall.elapsed() };
        if left.exit == Exit::Pass || left.report.is_empty() {
            say(&text::step_done(&done, screen::width()))?;
        } else {
            // The full report says in its last line what the step's line would say.
            say(&format!("{}{}\n", text::step_begun(name), left.report))?;
        }
        exit = exit.min(left.exit);
        suites.extend(left.suites);
        gate.steps.push(done);
        if interrupt::asked().load(Ordering::Relaxed) {
            exit = exit.min(Exit::Incomplete);
            break;
        }
    }
    say(&format!("\n{}", text::summary(&gate.steps, exit.verdict(), screen::width())))?;
    gate.verdict = exit.verdict();
    if how.json {
        screen::out(&reports::json::pretty(&gate)?)?;
    }
    let lines: Vec<String> = gate.steps.iter().map(|step| format!("{}: {}", step.name, step.detail)).collect();
    results.write(exit.verdict(), &lines.join("; "), &suites)?;
    Ok(exit)
}

fn determinism(scale: &Scale, how: &How, gate: &mut Gate) -> anyhow::Result<Left> {
    let outcome = meta::meta(&ask::chosen(&[]), 0..scale.meta_seeds, how.jobs)?;
    let left = Left {
        report: text::determinism(&outcome, screen::width()),
        line: text::determinism_line(&outcome),
        suites: vec![suite::determinism(&outcome)],
        exit: meta::exit(&outcome),
    };
    gate.determinism = Some(outcome);
    Ok(left)
}

fn defects(scale: &Scale, how: &How, gate: &mut Gate) -> anyhow::Result<Left> {
    ask::needs_planted()?;
    let order = planted::Order { ids: vec![], budget: scale.hunt, hunts: 1, jobs: how.jobs, hang: how.hang };
    let hunted = planted::planted(&order)?;
    let left = Left {
        report: text::planted(&hunted, screen::width()),
        line: text::planted_line(&hunted),
        suites: vec![suite::hunts(&hunted)],
        exit: planted::exit(&hunted),
    };
    gate.planted = Some(hunted);
    Ok(left)
}

fn known_seeds(_: &Scale, how: &How, gate: &mut Gate) -> anyhow::Result<Left> {
    let mut left = Left { report: String::new(), line: known_line(), suites: Vec::new(), exit: Exit::Pass };
    let mut seeds = suite::known_seeds();
    let dog = how.hang.watchdog();
    let bar = progress::bar("known seeds", known::ALL.len() as u64);
    for known in known::ALL {
        let scenario = ask::known_scenario(known.scenario)?;
        let spec = RunSpec::new(scenario, known.seed);
        let report = dog.over(&spec, || run(&spec, None));
        bar.inc(1);
        seeds = suite::known(seeds, known.cause, &report);
        // What failed once is back only if it fails: retention may leave nothing for some invariant to look at.
        if report.verdict == Verdict::Fail {
            left.report.push_str(&text::run(&report, known.cause, screen::width()));
            left.line = format!("{} seed {} is back: {}", known.scenario, known.seed, known.cause);
            left.exit = left.exit.min(Exit::of(&report));
            gate.back.push(report);
        }
    }
    bar.finish_and_clear();
    left.suites.push(seeds);
    Ok(left)
}

fn known_line() -> String {
    match known::ALL.len() {
        0 => "none is recorded yet".into(),
        n => format!("{n} seeds that once failed pass"),
    }
}

fn costs(_: &Scale, how: &How, gate: &mut Gate) -> anyhow::Result<Left> {
    let held = progress::busy("costs", || costs::held(&how.policy, how.hang))?;
    let differs: Vec<String> =
        held.iter().filter_map(|(run, differs)| Some(format!("{run}: {}", differs.as_ref()?))).collect();
    let line = match differs.first() {
        None => format!("{} runs cost exactly what the policy says", held.len()),
        Some(first) => format!("{} of {} runs cost another amount: {first}", differs.len(), held.len()),
    };
    let report = if differs.is_empty() { String::new() } else { costs::told(&differs) };
    gate.costs.clone_from(&differs);
    let suites = vec![suite::costs(held.iter().map(|(run, differs)| (run.as_str(), differs.clone())))];
    Ok(Left { report, line, suites, exit: if differs.is_empty() { Exit::Pass } else { Exit::Cost } })
}

fn simulated(_: &Scale, how: &How, _: &mut Gate) -> anyhow::Result<Left> {
    beside("simulated CPU", how, Against::simulated)
}

fn live(_: &Scale, how: &How, _: &mut Gate) -> anyhow::Result<Left> {
    beside("live CPU", how, Against::live)
}

fn beside(step: &str, how: &How, compare: fn(&Against) -> anyhow::Result<Paced>) -> anyhow::Result<Left> {
    let against = how.against.as_ref().context("there is no other build")?;
    let Paced { verdict, line } = compare(against)?;
    let exit = match verdict {
        Verdict::Pass => Exit::Pass,
        Verdict::Vacuous => Exit::Incomplete,
        Verdict::Fail => Exit::Cost,
    };
    let suites = vec![suite::pace(step, verdict, &line)];
    Ok(Left { report: String::new(), line, suites, exit })
}

fn explore(scale: &Scale, how: &How, gate: &mut Gate) -> anyhow::Result<Left> {
    let order = sweep::Order {
        scenarios: ask::chosen(&[]),
        seeds: scale.from..u64::MAX,
        budget: Some(scale.sweep),
        shard: Shard(1, 1),
        jobs: how.jobs,
        hang: how.hang,
    };
    let outcome = sweep::sweep(&order, order.journal(None)?)?;
    let left = Left {
        report: text::sweep(&outcome, screen::width()),
        line: text::sweep_line(&outcome),
        suites: suite::sweep(&outcome),
        exit: Exit::of_sweep(&outcome),
    };
    gate.sweep = Some(outcome);
    Ok(left)
}
