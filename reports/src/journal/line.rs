//! The lines of a journal.

use harness::invariant;
use harness::report::{Cost, Evidence, RunReport};
use harness::verdict::{Promise, Verdict};
use serde::{Deserialize, Serialize};

use crate::outcome::Confirmed;

/// What was asked, and of which program. Journals that differ in it are of different sweeps, but for the part that each is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The program that ran: its version and a checksum of its executable.
    pub program: String,
    /// Names of the scenarios; runs refer to them by their place.
    pub scenarios: Vec<String>,
    /// The seeds of each, from the first to before the second.
    pub seeds: (u64, u64),
    /// Which part of the seeds, and of how many: as `--shard`.
    pub shard: (u64, u64),
    /// Ids of invariants; counts of runs are in this order.
    pub invariants: Vec<String>,
}

impl Header {
    /// Of a sweep by this program.
    pub fn new(program: String, scenarios: Vec<String>, seeds: (u64, u64), shard: (u64, u64)) -> Self {
        let invariants = invariant::ALL.iter().map(|row| row.id.to_string()).collect();
        Self { program, scenarios, seeds, shard, invariants }
    }

    /// Why a journal with the other header is of another sweep, if it is.
    pub fn differs(&self, other: &Self) -> Option<String> {
        let seeds = |(from, until): (u64, u64)| {
            if until == u64::MAX { format!("{from} and on") } else { format!("{from}..{until}") }
        };
        if self.program != other.program {
            return Some(format!("made by another program: {}, not {}", other.program, self.program));
        }
        if self.scenarios != other.scenarios {
            let count = |of: &Self| of.scenarios.len();
            let lacks = |of: &Self, all: &Self| all.scenarios.iter().find(|name| !of.scenarios.contains(name)).cloned();
            let (new, gone) = (lacks(self, other), lacks(other, self));
            let told = [new.map(|name| format!("with {name}")), gone.map(|name| format!("without {name}"))];
            let told: Vec<String> = told.into_iter().flatten().collect();
            let told = if told.is_empty() { "in another order".into() } else { told.join(" and ") };
            return Some(format!("of other scenarios: {}, not {}, {told}", count(other), count(self)));
        }
        if self.seeds != other.seeds {
            return Some(format!("of other seeds: {}, not {}", seeds(other.seeds), seeds(self.seeds)));
        }
        if self.shard.1 != other.shard.1 {
            return Some(format!("one of {} parts, not of {}", other.shard.1, self.shard.1));
        }
        (self.invariants != other.invariants).then(|| "of other invariants".into())
    }
}

/// A line of a journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Sweep(Header),
    /// A run that did not pass, and its report.
    Told(Run, Box<RunReport>),
    /// A failed run in a fresh process.
    Again(Confirmed),
    /// This part has used up its budget: runs that it lacks were not asked for.
    Spent(u64),
    /// A run; it is written without a name.
    #[serde(skip)]
    Run(Run),
}

impl Line {
    /// Reads one. Most lines are runs, and those are arrays.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        if text.first() == Some(&b'[') {
            serde_json::from_slice(text).map(Self::Run)
        } else {
            serde_json::from_slice(text)
        }
    }

    /// As it is written, with its end.
    pub fn text(&self) -> serde_json::Result<String> {
        match self {
            Self::Run(run) => crate::json::line(run),
            other => crate::json::line(other),
        }
    }
}

/// What is left of a run that is merely counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Row", from = "Row")]
pub struct Run {
    /// The place of its scenario in the header.
    pub scenario: usize,
    /// The seed.
    pub seed: u64,
    /// What it amounts to.
    pub verdict: Verdict,
    /// The hash of its history.
    pub trace: u64,
    /// Expected losses.
    pub expected: u64,
    /// World time, nanoseconds.
    pub world_ns: u64,
    /// How often each invariant was put to the test, in the header's order: so many, or -n for n that had nothing to judge.
    counts: Vec<i64>,
    /// CPU time, nanoseconds: all else of two runs with one seed is equal.
    pub cpu_ns: u64,
}

/// A run as it is written.
type Row = (usize, u64, Verdict, u64, u64, u64, Vec<i64>, u64);

impl From<Run> for Row {
    fn from(run: Run) -> Row {
        let Run { scenario, seed, verdict, trace, expected, world_ns, counts, cpu_ns } = run;
        (scenario, seed, verdict, trace, expected, world_ns, counts, cpu_ns)
    }
}

impl From<Row> for Run {
    fn from((scenario, seed, verdict, trace, expected, world_ns, counts, cpu_ns): Row) -> Run {
        Run { scenario, seed, verdict, trace, expected, world_ns, counts, cpu_ns }
    }
}

impl Run {
    /// Of a report; `None` if that is of none of the header's scenarios.
    pub fn of(report: &RunReport, header: &Header) -> Option<Self> {
        let mut counts = Vec::new();
        for id in &header.invariants {
            match (report.evidence.iter().find(|e| e.invariant == *id), counts.last_mut()) {
                (Some(evidence), _) => counts.push(i64::try_from(evidence.count).unwrap_or(i64::MAX)),
                (None, Some(last)) if *last < 0 => *last -= 1,
                (None, _) => counts.push(-1),
            }
        }
        Some(Self {
            scenario: header.scenarios.iter().position(|name| *name == report.scenario)?,
            seed: report.seed,
            verdict: report.verdict,
            trace: report.trace,
            expected: report.evidence.iter().map(|e| e.expected).sum(),
            world_ns: report.cost.world_ns,
            counts,
            cpu_ns: report.cost.cpu_ns,
        })
    }

    /// A report with as much as a sweep counts of it.
    pub(super) fn report(&self, header: &Header) -> RunReport {
        let scenario = header.scenarios.get(self.scenario).cloned().unwrap_or_default();
        let replay = format!("logquake run {scenario} --seed {}", self.seed);
        let cost = Cost { world_ns: self.world_ns, cpu_ns: self.cpu_ns, ..Cost::default() };
        RunReport {
            scenario,
            seed: self.seed,
            keep: None,
            planted: None,
            verdict: self.verdict,
            findings: Vec::new(),
            evidence: self.evidence(header),
            phases: Vec::new(),
            strikes: Vec::new(),
            outages: Vec::new(),
            groups: Vec::new(),
            knobs: Vec::new(),
            partitions: Vec::new(),
            cost,
            trace: self.trace,
            replay,
        }
    }

    fn evidence(&self, header: &Header) -> Vec<Evidence> {
        let (mut ids, mut rows) = (header.invariants.iter(), Vec::new());
        for count in &self.counts {
            match u64::try_from(*count) {
                Ok(count) => rows.extend(ids.next().map(|id| evidence(id, count))),
                Err(_) => {
                    ids = ids
                        .as_slice()
                        .get(usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)..)
                        .unwrap_or(&[])
                        .iter()
                }
            }
        }
        // A sweep counts expected losses of all invariants together.
        if let Some(first) = rows.first_mut() {
            first.expected = self.expected;
        }
        rows
    }
}

fn evidence(id: &str, count: u64) -> Evidence {
    let (about, promise) = (String::new(), Promise::Safety);
    Evidence { invariant: id.into(), about, promise, count, violations: 0, expected: 0 }
}
