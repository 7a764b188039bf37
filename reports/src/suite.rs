//! Results as CI systems show them: a scenario is a suite, an invariant a case of it, and a case that failed says how to play
//! it again. [`crate::junit`], [`crate::github`] and [`crate::summary`] write them down.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::report::RunReport;
use harness::verdict::{Finding, Severity, Verdict};

use crate::outcome::{Determinism, Hunted, Sweep, is_idle};
use crate::text;

/// Cases that belong together.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// The scenario, or the step of a gate.
    pub name: String,
    /// CPU time of its runs.
    pub cpu: Duration,
    /// What became of each, by name.
    pub cases: BTreeMap<String, End>,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It holds; what that rests on.
    Kept(String),
    /// No run had anything to do with it, and none had to.
    Skipped,
    /// It was never put to the test, or not often enough.
    Untested(Told),
    /// It does not hold.
    Broken(Told),
}

/// A case that is no pass, explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// One sentence with the numbers.
    pub what: String,
    /// The events that show it, in order.
    pub story: Vec<String>,
    /// The command that plays it again; empty if there is none.
    pub replay: String,
}

impl Suite {
    fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn with(mut self, case: impl Into<String>, end: End) -> Self {
        self.cases.insert(case.into(), end);
        self
    }
}

/// What the same work costs beside what it should: each run a case, broken by how it differs, if it does.
pub fn costs<'a>(runs: impl Iterator<Item = (&'a str, Option<String>)>) -> Suite {
    let end = |differs: Option<String>| match differs {
        None => End::Kept("it costs what the baseline says".into()),
        Some(what) => End::Broken(Told { what, ..Told::default() }),
    };
    runs.fold(Suite::new("costs"), |suite, (run, differs)| suite.with(run, end(differs)))
}

/// How fast this build is beside another one.
pub fn pace(what: &str, verdict: Verdict, line: &str) -> Suite {
    let told = Told { what: line.into(), ..Told::default() };
    let end = match verdict {
        Verdict::Pass => End::Kept(told.what),
        Verdict::Vacuous => End::Untested(told),
        Verdict::Fail => End::Broken(told),
    };
    Suite::new("pace").with(what, end)
}

/// A suite for each scenario of a sweep.
pub fn sweep(sweep: &Sweep) -> Vec<Suite> {
    let mut suites: Vec<Suite> = sweep.swept.scenarios.keys().map(|scenario| of_scenario(sweep, scenario)).collect();
    if sweep.interrupted {
        let stopped = sweep.missing.is_empty().then(|| "it was stopped before its end".into());
        let why = stopped.unwrap_or_else(|| sweep.missing.join("; "));
        suites.push(undone("sweep", &format!("{why}: a partial result")));
    } else if suites.is_empty() {
        suites.push(undone("sweep", "there was nothing to run"));
    }
    suites
}

fn of_scenario(sweep: &Sweep, scenario: &str) -> Suite {
    let reports = |verdict| sweep.swept.reports.iter().filter(move |r| r.scenario == scenario && r.verdict == verdict);
    let tally = sweep.swept.scenarios.get(scenario).copied().unwrap_or_default();
    let mut suite = Suite { cpu: Duration::from_nanos(tally.cpu_ns), ..Suite::new(scenario) };
    for (id, judged) in sweep.swept.invariants.get(scenario).into_iter().flatten() {
        let seen = format!("put to the test {} times in {} of {} runs", judged.count, judged.runs, tally.runs);
        suite.cases.insert(id.clone(), if judged.runs == 0 { End::Skipped } else { End::Kept(seen) });
    }
    if is_idle(&tally) {
        let all: Vec<_> = findings(reports(Verdict::Vacuous), Severity::Vacuous).collect();
        // The first seed is told.
        for (report, finding) in all.into_iter().rev() {
            let told = told(report, finding, &format!("in {} of {} runs", tally.vacuous, tally.runs));
            suite.cases.insert(finding.invariant.clone(), End::Untested(told));
        }
    }
    let mut broken: BTreeMap<&str, Vec<(&RunReport, &Finding)>> = BTreeMap::new();
    for (report, finding) in findings(reports(Verdict::Fail), Severity::Violation) {
        broken.entry(&finding.invariant).or_default().push((report, finding));
    }
    for (id, all) in broken {
        let (report, finding) = all[0];
        let mut seeds: Vec<u64> = all.iter().map(|(report, _)| report.seed).collect();
        seeds.dedup();
        let told = told(report, finding, &format!("in {} of {} runs", seeds.len(), tally.runs));
        suite.cases.insert(id.into(), End::Broken(told));
    }
    for confirmed in sweep.again.iter().filter(|again| again.scenario == scenario && !again.again.same()) {
        let replay = reports(Verdict::Fail).find(|r| r.seed == confirmed.seed).map_or("", |r| r.replay.as_str());
        let what = format!("seed {}: {}", confirmed.seed, confirmed.again.words());
        let told = Told { what, story: Vec::new(), replay: replay.into() };
        suite.cases.insert("the same run again".into(), End::Broken(told));
    }
    suite
}

fn findings<'a>(
    reports: impl Iterator<Item = &'a RunReport>,
    severity: Severity,
) -> impl Iterator<Item = (&'a RunReport, &'a Finding)> {
    reports.flat_map(move |report| {
        report.findings.iter().filter(move |f| f.severity == severity).map(move |finding| (report, finding))
    })
}

fn told(report: &RunReport, finding: &Finding, often: &str) -> Told {
    let what = format!("{often}; seed {}: {}", report.seed, finding.what);
    Told { what, story: finding.story.clone(), replay: report.replay.clone() }
}

/// Pairs of processes that should have played the same run.
pub fn determinism(outcome: &Determinism) -> Suite {
    let line = text::determinism_line(outcome);
    let untested = outcome.interrupted || outcome.equal == 0;
    let all = if untested && outcome.unequal.is_empty() {
        End::Untested(Told { what: line, ..Told::default() })
    } else {
        End::Kept(line)
    };
    let suite = Suite::new("meta");
    if outcome.unequal.is_empty() {
        return suite.with("every seed is one run", all);
    }
    outcome.unequal.iter().fold(suite, |suite, pair| {
        let first = pair.line.saturating_sub(pair.before.len() as u64);
        let mut story: Vec<String> = (first..).zip(&pair.before).map(|(n, line)| format!("{n}   {line}")).collect();
        story.extend([format!("{} - {}", pair.line, pair.first), format!("{} + {}", pair.line, pair.second)]);
        let what = format!("two processes with the same seed differ in line {} of their histories", pair.line);
        let replay = format!("logquake meta {} --seeds {}", pair.scenario, pair.seed);
        suite.with(format!("{} seed {}", pair.scenario, pair.seed), End::Broken(Told { what, story, replay }))
    })
}

/// Hunts for planted defects.
pub fn hunts(all: &[Hunted]) -> Suite {
    all.iter().fold(Suite::new("planted"), |suite, row| {
        let end = if row.complete() {
            End::Kept(format!("found by {} in {} of {} hunts", row.found_by.join(" "), row.found, row.hunts))
        } else {
            let replay = format!("logquake planted {}", row.defect);
            End::Broken(Told { what: text::missed(row), story: Vec::new(), replay })
        };
        suite.with(&row.defect, end)
    })
}

/// One seed that once showed a bug, played again: the bug, and the run.
pub fn known(suite: Suite, cause: &str, report: &RunReport) -> Suite {
    let name = format!("{} seed {}", report.scenario, report.seed);
    let violation = report.findings.iter().find(|f| f.severity == Severity::Violation);
    let end = match violation.filter(|_| report.verdict == Verdict::Fail) {
        // Retention may leave nothing for some invariant to look at: what failed once is back only if it fails.
        None => End::Kept("what it once showed is not back".into()),
        Some(finding) => {
            let what = format!("{} is broken again: {}. What it was: {cause}", finding.invariant, finding.what);
            End::Broken(Told { what, story: finding.story.clone(), replay: report.replay.clone() })
        }
    };
    suite.with(name, end)
}

/// The suite that [`known`] adds to.
pub fn known_seeds() -> Suite {
    Suite::new("known seeds")
}

/// A step of which nothing came.
pub fn undone(step: &str, why: &str) -> Suite {
    Suite::new(step).with("done", End::Untested(Told { what: why.into(), ..Told::default() }))
}

/// Cases that are kept, untested, broken.
pub fn count<'a>(suites: impl IntoIterator<Item = &'a Suite>) -> [usize; 3] {
    let mut counts = [0; 3];
    for end in suites.into_iter().flat_map(|suite| suite.cases.values()) {
        match end {
            End::Kept(_) => counts[0] += 1,
            End::Untested(_) => counts[1] += 1,
            End::Broken(_) => counts[2] += 1,
            End::Skipped => {}
        }
    }
    counts
}

#[cfg(test)]
pub(crate) mod tests {
    use harness::sweep::Swept;

    use super::*;
    use crate::outcome::{Again, Confirmed, Unequal};
    use crate::text::fixture;
    use crate::verdicts::Verdicts;

    /// A sweep in which one scenario is broken, another proves nothing, and one holds.
    pub(crate) fn mixed() -> Sweep {
        let mut swept = Swept::default();
        for seed in 0..8 {
            swept.add(RunReport { seed, ..fixture::passed() });
            swept.add(RunReport { seed, scenario: "quiet".into(), ..fixture::vacuous() });
        }
        for seed in [3, 5] {
            swept.add(RunReport { seed, scenario: "power_loss".into(), ..fixture::failed() });
        }
        let again = Again::Differs { first: 1, second: 2 };
        let again = vec![Confirmed { scenario: "power_loss".into(), seed: 5, again }];
        // As a sweep would have it: what became of each seed.
        let runs = (0..8).map(|seed| ("broker_crash", seed, Verdict::Pass));
        let runs = runs.chain([3, 5].map(|seed| ("power_loss", seed, Verdict::Fail)));
        let verdicts = Verdicts::of(runs.chain((0..8).map(|seed| ("quiet", seed, Verdict::Vacuous))));
        Sweep { swept, again, interrupted: false, wall: Duration::from_secs(9), jobs: 2, missing: vec![], verdicts }
    }

    #[test]
    fn a_scenario_is_a_suite_and_an_invariant_a_case() {
        let suites = sweep(&mixed());
        let names: Vec<_> = suites.iter().map(|suite| suite.name.as_str()).collect();
        assert_eq!(names, [fixture::passed().scenario.as_str(), "power_loss", "quiet"]);
        let evidence = fixture::passed().evidence;
        for row in &evidence {
            assert_eq!(suites[0].cases[&row.invariant] == End::Skipped, row.count == 0, "{row:?}");
        }
        assert_eq!(suites[0].cases.len(), evidence.len());
        let finding = &fixture::failed().findings[0];
        let End::Broken(told) = &suites[1].cases[&finding.invariant] else { panic!("{:?}", suites[1]) };
        assert!(
            told.what.starts_with("in 2 of 2 runs; seed 3: ") && told.what.ends_with(&finding.what),
            "{}",
            told.what
        );
        assert_eq!((&told.story, &told.replay), (&finding.story, &fixture::failed().replay));
        assert!(
            matches!(&suites[1].cases["the same run again"], End::Broken(told) if told.what.contains("NOT THE SAME"))
        );
        assert!(matches!(&suites[2].cases["W16"], End::Untested(told) if told.what.starts_with("in 8 of 8 runs")));
    }

    #[test]
    fn a_vacuous_run_by_chance_spoils_no_case() {
        let mut by_chance = mixed();
        for seed in 0..40 {
            by_chance.swept.add(RunReport { seed, scenario: "quiet".into(), ..fixture::passed() });
        }
        let [_, untested, broken] = count(&sweep(&by_chance)[2..]);
        assert_eq!((untested, broken), (0, 0));
    }

    #[test]
    fn what_was_cut_short_is_no_pass() {
        let cut = Sweep { interrupted: true, ..mixed() };
        assert_eq!(count(&sweep(&cut))[1], count(&sweep(&mixed()))[1] + 1);
        assert_eq!(count(&sweep(&Sweep { swept: Swept::default(), again: vec![], ..mixed() })), [0, 1, 0]);
    }

    #[test]
    fn every_pair_that_differs_is_a_case() {
        let mut pairs = Determinism { equal: 4, events: 9, unequal: vec![], interrupted: false, wall: Duration::ZERO };
        assert_eq!(count([&determinism(&pairs)]), [1, 0, 0]);
        pairs.equal = 0;
        assert_eq!(count([&determinism(&pairs)]), [0, 1, 0]);
        let [before, first, second] = ["a", "b", "c"].map(String::from);
        let unequal = Unequal { scenario: "steady".into(), seed: 7, line: 12, before: vec![before], first, second };
        pairs.unequal = vec![unequal];
        let suite = determinism(&pairs);
        let End::Broken(told) = &suite.cases["steady seed 7"] else { panic!("{suite:?}") };
        assert_eq!(told.story, ["11   a", "12 - b", "12 + c"]);
        assert_eq!(told.replay, "logquake meta steady --seeds 7");
    }

    #[test]
    fn a_known_seed_is_broken_only_if_it_fails() {
        let suite = known(known_seeds(), "the cause", &fixture::vacuous());
        let suite = known(suite, "the cause", &RunReport { seed: 99, ..fixture::failed() });
        assert_eq!(count([&suite]), [1, 0, 1]);
    }
}
