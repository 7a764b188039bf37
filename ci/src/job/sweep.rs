//! A sweep with its bar, its budget, its watchdog, and a fresh process for what failed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::report::RunReport;
use harness::run::RunSpec;
use harness::scenario::Scenario;
use harness::sweep::{Step, Sweep, Swept};
use harness::verdict::{Severity, Verdict};
use indicatif::ProgressBar;
use rayon::prelude::*;
use reports::outcome::{self, Confirmed};

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

/// Sweeps.
pub fn sweep(order: &Order) -> anyhow::Result<outcome::Sweep> {
    let wall = Wall::start();
    let stop = AtomicBool::new(false);
    let watch = Watch::new(order, &stop, wall);
    let sweep = Sweep {
        scenarios: &order.scenarios,
        seeds: order.seeds.clone(),
        jobs: order.jobs,
        shard: (order.shard.0, order.shard.1),
        stop: &stop,
    };
    let dog = order.hang.watchdog();
    let swept = sweep.run(&|step| match step {
        Step::Begins(worker, spec) => dog.begins(worker, spec),
        Step::Ends(worker, report) => {
            dog.ends(worker);
            watch.ended(report);
        }
    });
    watch.bar.finish_and_clear();
    let interrupted = interrupt::asked().load(Ordering::Relaxed);
    let swept_in = wall.elapsed();
    let again = if interrupted { Vec::new() } else { confirmed(&swept, order.jobs)? };
    Ok(outcome::Sweep { swept, again, interrupted, wall: swept_in, jobs: order.jobs })
}

/// Runs failed seeds again: first one of each scenario and invariant, then the others, as far as it is bounded.
fn confirmed(swept: &Swept, jobs: usize) -> anyhow::Result<Vec<Confirmed>> {
    let failed: Vec<&RunReport> = swept.reports.iter().filter(|r| r.verdict == Verdict::Fail).collect();
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
    runs: AtomicU64,
    findings: AtomicU64,
    world_ns: AtomicU64,
    cpu_ns: AtomicU64,
}

fn findings_in_words(count: u64) -> String {
    match count {
        0 => "no findings".into(),
        1 => "1 finding".into(),
        n => format!("{n} findings"),
    }
}

impl<'a> Watch<'a> {
    fn new(order: &'a Order, stop: &'a AtomicBool, wall: Wall) -> Self {
        interrupt::asked();
        let (Range { start, end }, Shard(k, of)) = (order.seeds.clone(), order.shard);
        // Seeds below `end` whose remainder is the shard's, as the sweep picks them.
        let below = |end: u64| end.saturating_add(of - k) / of;
        let seeds = if order.budget.is_some() { 0 } else { below(end).saturating_sub(below(start)) };
        let total = match order.budget {
            Some(budget) => u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            None => seeds.saturating_mul(order.scenarios.len() as u64),
        };
        let zero = AtomicU64::default;
        let bar = progress::bar("sweep", total);
        Self { order, stop, wall, bar, runs: zero(), findings: zero(), world_ns: zero(), cpu_ns: zero() }
    }

    fn ended(&self, report: &RunReport) {
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
        if spent || interrupt::asked().load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
