//! Results that are made of many runs: what a sweep, a comparison of processes, a hunt for defects leaves to be told.

use std::time::Duration;

use harness::hunt::FEW;
use harness::report::RunReport;
use harness::sweep::{Swept, Tally};
use harness::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::text::Step;
use crate::verdicts::Verdicts;

/// A sweep, and what became of its findings in fresh processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sweep {
    /// Counts and the reports of runs that did not pass.
    pub swept: Swept,
    /// Failed runs that were run again in a fresh process; not all, if there are many.
    pub again: Vec<Confirmed>,
    /// Whether it is a part of what was asked: a person stopped it before its end, or files of it are missing.
    pub interrupted: bool,
    /// Real time it took; zero of what was run at several times or places.
    pub wall: Duration,
    /// Threads; zero likewise.
    pub jobs: usize,
    /// What is missing of it, in words, where it was taken together from files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What became of each seed.
    #[serde(default)]
    pub verdicts: Verdicts,
}

/// A scenario of which more runs than this, in percent, prove nothing makes a sweep vacuous. Some seeds draw a run too
/// short or too gentle for one promise or another; the other seeds put it to the test.
pub const MOST_VACUOUS_PERCENT: u64 = 10;

/// Whether so many of a scenario's runs proved nothing that chance does not explain it: all of them, or three standard
/// deviations of a binomial count more than [`MOST_VACUOUS_PERCENT`].
pub fn is_idle(tally: &Tally) -> bool {
    let (runs, share) = (tally.runs as f64, MOST_VACUOUS_PERCENT as f64 / 100.0);
    let chance = 3.0 * (runs * share * (1.0 - share)).sqrt();
    tally.vacuous > 0 && (tally.vacuous == tally.runs || tally.vacuous as f64 > runs * share + chance)
}

impl Sweep {
    /// What it amounts to.
    pub fn verdict(&self) -> Verdict {
        if self.swept.total().failed > 0 || self.again.iter().any(|c| !c.again.same()) {
            Verdict::Fail
        } else if self.swept.scenarios.is_empty() || self.swept.scenarios.values().any(is_idle) || self.interrupted {
            Verdict::Vacuous
        } else {
            Verdict::Pass
        }
    }
}

/// A failed run and its second life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// How the second life compares.
    pub again: Again,
}

/// How a run in a fresh process compares with the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "again", rename_all = "snake_case")]
pub enum Again {
    /// The same run, event for event.
    Same {
        /// The hash of its history.
        trace: u64,
    },
    /// Another run: the suite itself is at fault.
    Differs {
        /// The hash of the first history.
        first: u64,
        /// The hash of the second.
        second: u64,
    },
    /// The process ended without a report.
    Died {
        /// What it said.
        said: String,
    },
}

impl Again {
    /// Whether it was the same run.
    pub fn same(&self) -> bool {
        matches!(self, Again::Same { .. })
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Again::Same { trace } => format!("the same run in a fresh process, trace {trace:016x}"),
            Again::Differs { first, second } => {
                format!("NOT THE SAME RUN in a fresh process: trace {first:016x}, then {second:016x}")
            }
            Again::Died { said } => format!("NOT THE SAME RUN: a fresh process left no report: {said}"),
        }
    }
}

/// Pairs of processes that should have played the same run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Determinism {
    /// Pairs whose events were equal byte for byte.
    pub equal: u64,
    /// Events compared.
    pub events: u64,
    /// Pairs that were not equal, or could not be compared.
    pub unequal: Vec<Unequal>,
    /// Whether a person stopped it before its end.
    pub interrupted: bool,
    /// Real time it took.
    pub wall: Duration,
}

/// What a gate has come to: its steps in order, and what is left of each; nothing of a step that was not done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gate {
    /// What it amounts to.
    pub verdict: Verdict,
    /// How each step ended.
    pub steps: Vec<Step>,
    /// The same seeds in two processes.
    pub determinism: Option<Determinism>,
    /// Hunts for planted defects.
    pub planted: Option<Vec<Hunted>>,
    /// Seeds that once failed, and fail again.
    pub back: Vec<RunReport>,
    /// Runs that cost another amount than the policy says, in words.
    #[serde(default)]
    pub costs: Vec<String>,
    /// New seeds.
    pub sweep: Option<Sweep>,
}

/// Two processes that did not play the same run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unequal {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The line in which they differ, from 1.
    pub line: u64,
    /// The lines before, equal in both.
    pub before: Vec<String>,
    /// The first process's line.
    pub first: String,
    /// The second's.
    pub second: String,
}

/// What several hunts for one planted defect amount to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hunted {
    /// The defect.
    pub defect: String,
    /// Where it was hunted.
    pub scenario: String,
    /// The invariants that may find it.
    pub expected: Vec<String>,
    /// Those that did.
    pub found_by: Vec<String>,
    /// Others that cried out in seeds where no expected one did.
    pub others: Vec<String>,
    /// How many hunts there were.
    pub hunts: u64,
    /// How many found it.
    pub found: u64,
    /// Seeds run until found: the median hunt.
    pub seeds_median: u64,
    /// CPU time until found: the median hunt.
    pub cpu_median: Duration,
    /// CPU time until found: nine hunts in ten took no longer.
    pub cpu_p90: Duration,
    /// Strikes in the smallest plan that still shows it.
    pub strikes: Option<usize>,
    /// Those of them that are no steps of a recipe, which is a sequence by design.
    pub drawn: Option<usize>,
    /// The command that plays the smallest run.
    pub replay: Option<String>,
}

impl Hunted {
    /// Whether every hunt found it by an invariant that claims to.
    pub fn complete(&self) -> bool {
        self.hunts > 0 && self.found == self.hunts
    }

    /// Whether its smallest plan is small enough to show what the defect needs: at most [`FEW`] strikes, the steps of a
    /// recipe not counted.
    pub fn small(&self) -> bool {
        self.drawn.is_none_or(|drawn| drawn <= FEW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_alone_makes_no_scenario_idle() {
        for (runs, most) in [(1, 0), (2, 1), (9, 3), (110, 20), (1000, 128), (41_000, 4282)] {
            assert!(!is_idle(&Tally { runs, vacuous: most, ..Tally::default() }), "{most} of {runs}");
            assert!(is_idle(&Tally { runs, vacuous: most + 1, ..Tally::default() }), "{most} + 1 of {runs}");
        }
    }
}
