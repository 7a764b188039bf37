//! A sweep with its bar, its budget, its watchdog, and a fresh process for what failed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use harness::report::RunReport;
use harness::run::RunSpec;
use harness::scenario::Scenario;
use harness::sweep::{Step, Sweep};
use harness::verdict::Severity;
use indicatif::ProgressBar;
use rayon::prelude::*;
use reports::journal::Header;
use reports::outcome::{self, Confirmed};

use super::journal::{Journal, program};
use super::limits::Hang;
use super::{confirm, progress};
use crate::shard::Shard;
use crate::wall::Wall;
use crate::{ask, interrupt};

/// Failed runs that are run again in fresh processes; the report says how many were left out.
const MOST_CONFIRMED: usize = 100;

/// What to sweep, and how long.
pub struct Order {
    /// The scenarios.
    pub scenarios: Vec<&'static Scenario>,
    /// The seeds of each.
    pub seeds: Range<u64>,
    /// No run begins later than this.
    pub budget: Option<Duration>,
    /// Which part of the seeds.
    pub shard: Shard,
    /// Threads.
    pub jobs: usize,
    /// When a run counts as hung.
    pub hang: Hang,
}

impl Order {
    /// Where its results go: to a file too, if one is given, which is gone on with if it is there.
    pub fn journal(&self, path: Option<&Path>) -> anyhow::Result<Journal> {
        let scenarios = self.scenarios.iter().map(|scenario| scenario.name.into()).collect();
        // It takes a moment, and only a file can come from elsewhere.
        let program = if path.is_some() { program()? } else { String::new() };
        let header = Header::new(program, scenarios, (self.seeds.start, self.seeds.end), (self.shard.0, self.shard.1));
        Journal::new(header, path)
    }
}

/// Sweeps: what the journal has not.
pub fn sweep(order: &Order, journal: Journal) -> anyhow::Result<outcome::Sweep> {
    let wall = Wall::start();
    let stop = AtomicBool::new(false);
    let carried = !journal.known.is_empty();
    let left = journal.known.left();
    let watch = Watch::new(order, &left, &stop, wall, journal);
    let dog = order.hang.watchdog();
    for (seeds, places) in left {
        let scenarios: Vec<_> = places.into_iter().map(|at| order.scenarios[at]).collect();
        let Shard(part, of) = order.shard;
        let sweep = Sweep { scenarios: &scenarios, seeds, jobs: order.jobs, shard: (part, of), stop: &stop };
        sweep.run(&|step| match step {
            Step::Begins(worker, spec) => dog.begins(worker, spec),
            Step::Ends(worker, report) => {
                dog.ends(worker);
                watch.ended(report);
            }
        });
    }
    watch.bar.finish_and_clear();
    let interrupted = interrupt::asked().load(Ordering::Relaxed);
    let swept_in = wall.elapsed();
    let mut journal = watch.journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    journal.sound()?;
    if !interrupted {
        if stop.load(Ordering::Relaxed) {
            journal.spent()?;
        }
        let again = confirmed(journal.known.unconfirmed().collect(), order.jobs)?;
        journal.confirmed(again)?;
    }
    let mut outcome = journal.known.outcome();
    outcome.swept.stopped = stop.load(Ordering::Relaxed);
    // Of its own part all is known that is missing, and how long earlier attempts took is not.
    let (wall, jobs) = if carried { (Duration::ZERO, 0) } else { (swept_in, order.jobs) };
    Ok(outcome::Sweep { interrupted, wall, jobs, missing: Vec::new(), ..outcome })
}

/// Runs failed seeds again: first one of each scenario and invariant, then the others, as far as it is bounded.
fn confirmed(failed: Vec<&RunReport>, jobs: usize) -> anyhow::Result<Vec<Confirmed>> {
    let mut told = BTreeSet::new();
    let (first, others): (Vec<_>, Vec<_>) = failed.into_iter().partition(|r| {
        let gravest = r.findings.iter().find(|f| f.severity == Severity::Violation);
        told.insert((&r.scenario, gravest.map(|f| &f.invariant)))
    });
    let chosen: Vec<&RunReport> = first.into_iter().chain(others).take(MOST_CONFIRMED).collect();
    let bar = progress::bar("again", chosen.len() as u64);
    let one = |report: &&RunReport| {
        let spec = RunSpec::new(ask::known_scenario(&report.scenario).ok()?, report.seed);
        let again = confirm::again(&spec, report);
        bar.inc(1);
        Some(Confirmed { scenario: report.scenario.clone(), seed: report.seed, again })
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
    let again = pool.install(|| chosen.par_iter().filter_map(one).collect());
    bar.finish_and_clear();
    Ok(again)
}

/// What a person sees meanwhile, and when it must end.
struct Watch<'a> {
    order: &'a Order,
    stop: &'a AtomicBool,
    wall: Wall,
    bar: ProgressBar,
    journal: Mutex<Journal>,
    runs: AtomicU64,
    findings: AtomicU64,
    world_ns: AtomicU64,
    cpu_ns: AtomicU64,
}

/// Seeds, and places of the scenarios that are to be run with them.
type Left = (Range<u64>, Vec<usize>);

/// How many runs that is.
fn runs(left: &[Left], Shard(part, of): Shard) -> u64 {
    // Seeds below `end` whose remainder is the shard's, as the sweep picks them.
    let below = |end: u64| end.saturating_add(of - part) / of;
    let runs = |(seeds, places): &Left| {
        below(seeds.end).saturating_sub(below(seeds.start)).saturating_mul(places.len() as u64)
    };
    left.iter().map(runs).fold(0, u64::saturating_add)
}

fn findings_in_words(count: u64) -> String {
    match count {
        0 => "no findings".into(),
        1 => "1 finding".into(),
        n => format!("{n} findings"),
    }
}

impl<'a> Watch<'a> {
    fn new(order: &'a Order, left: &[Left], stop: &'a AtomicBool, wall: Wall, journal: Journal) -> Self {
        interrupt::asked();
        let total = match order.budget {
            Some(budget) => u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            None => runs(left, order.shard),
        };
        let (zero, journal) = (AtomicU64::default, Mutex::new(journal));
        let bar = progress::bar("sweep", total);
        Self { order, stop, wall, bar, journal, runs: zero(), findings: zero(), world_ns: zero(), cpu_ns: zero() }
    }

    fn ended(&self, report: &RunReport) {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.ended(report);
        let broken = journal.is_broken();
        drop(journal);
        let runs = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let new = report.findings.iter().filter(|f| f.severity == Severity::Violation).count() as u64;
        let findings = self.findings.fetch_add(new, Ordering::Relaxed) + new;
        let world = self.world_ns.fetch_add(report.cost.world_ns, Ordering::Relaxed);
        let cpu = self.cpu_ns.fetch_add(report.cost.cpu_ns, Ordering::Relaxed);
        let elapsed = self.wall.elapsed();
        self.bar.set_position(match self.order.budget {
            Some(_) => u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            None => runs,
        });
        let per_minute = runs as f64 * 60.0 / elapsed.as_secs_f64().max(0.001);
        let speed = world.checked_div(cpu).unwrap_or(0);
        self.bar.set_message(format!(
            "{runs} runs, {per_minute:.0}/min, {speed} s per CPU-s, {}",
            findings_in_words(findings)
        ));
        let spent = self.order.budget.is_some_and(|budget| elapsed >= budget);
        if spent || broken || interrupt::asked().load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
