//! Many runs on every core: the catalogue over a range of seeds.
//!
//! Each run owns its thread while it lasts; results do not depend on which, and come out sorted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::report::RunReport;
use crate::run::{RunSpec, run};
use crate::scenario::Scenario;
use crate::verdict::Verdict;

/// What to sweep.
pub struct Sweep<'a> {
    /// Which scenarios.
    pub scenarios: &'a [&'static Scenario],
    /// Which seeds, of each scenario.
    pub seeds: Range<u64>,
    /// Threads.
    pub jobs: usize,
    /// Only runs whose number (seed) belongs to this shard: `(k, n)`, k from 1; seed `s` belongs to `s mod n + 1`.
    pub shard: (u64, u64),
    /// Set it, and no new run begins.
    pub stop: &'a AtomicBool,
}

/// One run in a watcher's view.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    /// A run begins on worker `usize`.
    Begins(usize, &'a RunSpec),
    /// It has ended.
    Ends(usize, &'a RunReport),
}

/// What a sweep amounts to.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Swept {
    /// A row for each scenario.
    pub scenarios: BTreeMap<String, Tally>,
    /// By scenario and invariant, how often it was put to the test.
    pub invariants: BTreeMap<String, BTreeMap<String, Judged>>,
    /// Reports of runs that did not pass, sorted by scenario and seed; at most [`MOST_KEPT`].
    pub reports: Vec<RunReport>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// Reports kept by a sweep at most, those of failed runs first; beyond, runs are only counted.
pub const MOST_KEPT: usize = 1000;

/// The counts of one scenario.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that proved nothing.
    pub vacuous: u64,
    /// Expected losses counted.
    pub expected: u64,
    /// World time, nanoseconds.
    pub world_ns: u64,
    /// CPU time, nanoseconds.
    pub cpu_ns: u64,
}

/// What there was of one invariant in one scenario.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Judged {
    /// How often it was put to the test.
    pub count: u64,
    /// In how many runs.
    pub runs: u64,
}

impl Sweep<'_> {
    /// Runs them all, or until stopped. `watch` is called from the workers.
    pub fn run(&self, watch: &(dyn Fn(Step<'_>) + Sync)) -> Swept {
        let next = AtomicU64::new(0);
        let swept = Mutex::new(Swept::default());
        rayon::ThreadPoolBuilder::new().num_threads(self.jobs).build().map_or_else(
            |_| self.work(0, &next, &swept, watch),
            |pool| pool.broadcast(|ctx| self.work(ctx.index(), &next, &swept, watch)).into_iter().collect(),
        );
        let mut swept = swept.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        swept.reports.sort_by(|a, b| (&a.scenario, a.seed).cmp(&(&b.scenario, b.seed)));
        swept.stopped = self.stop.load(Ordering::Relaxed);
        swept
    }

    /// Seeds go round the scenarios, so that a sweep cut short has seen something of each.
    fn work(&self, worker: usize, next: &AtomicU64, swept: &Mutex<Swept>, watch: &(dyn Fn(Step<'_>) + Sync)) {
        let names = self.scenarios.len() as u64;
        let total = (self.seeds.end.saturating_sub(self.seeds.start)).saturating_mul(names);
        while !self.stop.load(Ordering::Relaxed) {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= total {
                return;
            }
            let seed = self.seeds.start + n / names;
            if seed % self.shard.1.max(1) + 1 != self.shard.0 {
                continue;
            }
            let Some(scenario) = usize::try_from(n % names).ok().and_then(|i| self.scenarios.get(i)) else { return };
            let spec = RunSpec::new(scenario, seed);
            watch(Step::Begins(worker, &spec));
            let report = run(&spec, None);
            watch(Step::Ends(worker, &report));
            swept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(report);
        }
    }
}

impl Swept {
    /// Counts one run.
    pub fn add(&mut self, report: RunReport) {
        let tally = self.scenarios.entry(report.scenario.clone()).or_default();
        tally.runs += 1;
        tally.failed += u64::from(report.verdict == Verdict::Fail);
        tally.vacuous += u64::from(report.verdict == Verdict::Vacuous);
        tally.expected += report.evidence.iter().map(|e| e.expected).sum::<u64>();
        tally.world_ns += report.cost.world_ns;
        tally.cpu_ns += report.cost.cpu_ns;
        let invariants = self.invariants.entry(report.scenario.clone()).or_default();
        for evidence in &report.evidence {
            let judged = invariants.entry(evidence.invariant.clone()).or_default();
            judged.count += evidence.count;
            judged.runs += u64::from(evidence.count > 0);
        }
        if report.verdict == Verdict::Pass {
            return;
        }
        if self.reports.len() < MOST_KEPT {
            self.reports.push(report);
        } else if report.verdict == Verdict::Fail
            && let Some(place) = self.reports.iter_mut().find(|kept| kept.verdict != Verdict::Fail)
        {
            // A long sweep has thousands of vacuous runs: they must not crowd out what it looks for.
            *place = report;
        }
    }

    /// All scenarios together.
    pub fn total(&self) -> Tally {
        self.scenarios.values().fold(Tally::default(), |a, b| Tally {
            runs: a.runs + b.runs,
            failed: a.failed + b.failed,
            vacuous: a.vacuous + b.vacuous,
            expected: a.expected + b.expected,
            world_ns: a.world_ns + b.world_ns,
            cpu_ns: a.cpu_ns + b.cpu_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Cost;

    fn report(seed: u64, verdict: Verdict) -> RunReport {
        RunReport {
            scenario: "steady".into(),
            seed,
            keep: None,
            planted: None,
            verdict,
            findings: Vec::new(),
            evidence: Vec::new(),
            phases: Vec::new(),
            strikes: Vec::new(),
            knobs: Vec::new(),
            partitions: Vec::new(),
            cost: Cost::default(),
            trace: 0,
            outages: Vec::new(),
            groups: Vec::new(),
            replay: String::new(),
        }
    }

    #[test]
    fn failed_runs_are_kept_before_vacuous_ones() {
        let mut swept = Swept::default();
        (0..MOST_KEPT as u64 + 7).for_each(|seed| swept.add(report(seed, Verdict::Vacuous)));
        (0..3).for_each(|seed| swept.add(report(90_000 + seed, Verdict::Fail)));
        let failed = || swept.reports.iter().filter(|r| r.verdict == Verdict::Fail).count();
        assert_eq!((swept.reports.len(), failed()), (MOST_KEPT, 3));
        (0..MOST_KEPT as u64).for_each(|seed| swept.add(report(91_000 + seed, Verdict::Fail)));
        assert!(swept.reports.iter().all(|r| r.verdict == Verdict::Fail));
        let total = swept.total();
        assert_eq!(
            (total.failed, total.vacuous, swept.reports.len()),
            (MOST_KEPT as u64 + 3, MOST_KEPT as u64 + 7, MOST_KEPT)
        );
    }
}
