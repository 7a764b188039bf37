//! Runs every invariant that a contract calls for over one history, in one pass.

use serde::{Deserialize, Serialize};

use broker::fact::Fact;
use broker::ids::{NodeId, TopicPartition};

use super::{ALL, Applies, Findings, Generations, Invariant, Kinds, Ledger, Row, Seen, View};
use crate::contract::Contract;
use crate::history::{Event, Kind, TpId};
use crate::report::Evidence;
use crate::verdict::{Finding, Promise, Severity, Verdict};

/// What a history is judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// What was promised and what might be done.
    pub contract: Contract,
    /// The partitions' names, by their number in the history.
    pub partitions: Vec<String>,
    /// Whether nodes state facts. Without them the white-box rows are left out.
    pub white_box: bool,
    /// With fewer strikes than this the run is vacuous.
    pub least_strikes: usize,
    /// Whether clients look up offsets by time: if none of their answers could be judged, the run is vacuous.
    #[serde(default)]
    pub by_time: bool,
    /// With fewer snapshots of the metadata fetched from a leader the run is vacuous.
    pub least_snapshots: u64,
}

impl Rules {
    /// Rules for a simulated run of so many partitions, named `p0`, `p1`, ...
    pub fn new(contract: Contract, partitions: u32) -> Self {
        let partitions = (0..partitions).map(|p| format!("p{p}")).collect();
        Self { contract, partitions, white_box: true, least_strikes: 0, by_time: false, least_snapshots: 0 }
    }
}

/// What a history amounts to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The gravest severity decides.
    pub verdict: Verdict,
    /// What was found, the gravest first; a few of each invariant in words.
    pub findings: Vec<Finding>,
    /// A row for each invariant that was called for: how often tested, what was counted.
    pub evidence: Vec<Evidence>,
    /// Events seen.
    pub events: u64,
}

impl Checked {
    /// The evidence row of an invariant, if it was called for.
    pub fn of(&self, id: &str) -> Option<&Evidence> {
        self.evidence.iter().find(|e| e.invariant == id)
    }

    /// Whether an invariant found its promise broken.
    pub fn violates(&self, id: &str) -> bool {
        self.of(id).is_some_and(|e| e.violations > 0)
    }

    /// The kind of promise broken, the gravest first: meta, then safety, then liveness. `None` if none is.
    pub fn broken(&self) -> Option<Promise> {
        let broken = |p| self.evidence.iter().any(|e| e.violations > 0 && e.promise == p);
        [Promise::Meta, Promise::Safety, Promise::Liveness].into_iter().find(|p| broken(*p))
    }
}

/// All invariants of one run, fed one event at a time.
pub struct Checker {
    rules: Rules,
    ledger: Ledger,
    generations: Generations,
    rows: Vec<(&'static Row, Box<dyn Invariant>)>,
    /// For each kind of event, the rows that want it.
    visits: Vec<Vec<usize>>,
    findings: Findings,
    events: u64,
}

impl Checker {
    /// Every invariant that the rules call for.
    pub fn new(rules: Rules) -> Self {
        Self::of(rules, ALL)
    }

    /// Only these invariants, as far as the rules call for them.
    pub fn only(rules: Rules, ids: &[&str]) -> Self {
        Self::of(rules, ALL.iter().filter(|row| ids.contains(&row.id)))
    }

    fn of(rules: Rules, rows: impl IntoIterator<Item = &'static Row>) -> Self {
        let wanted = |row: &&Row| (rules.white_box || !row.white_box) && (row.applies)(&rules.contract) != Applies::No;
        let rows: Vec<_> = rows.into_iter().filter(wanted).map(|row| (row, (row.make)())).collect();
        let visited = |kind| (0..rows.len()).filter(|r| rows[*r].0.wants.has(kind)).collect();
        let visits = (0..Kinds::COUNT).map(visited).collect();
        let findings = Findings::new(rows.iter().map(|(row, _)| (row.id, (row.applies)(&rules.contract))));
        let ledger = Ledger::new(&rules.partitions);
        Self { rules, ledger, generations: Generations::default(), rows, visits, findings, events: 0 }
    }

    /// Looks at the next event.
    pub fn see(&mut self, event: &Event) {
        self.events += 1;
        match self.generations.see(event) {
            Seen::Present => self.take_in(event),
            Seen::Past => {}
            Seen::Outlived(tp) => self.ledger.outlived(event.at, tp),
            Seen::Renewed(tp) => {
                self.renew(event.at, tp);
                if !matches!(event.kind, Kind::Fact { fact: Fact::Deleted { .. }, .. }) {
                    self.take_in(event);
                }
            }
        }
    }

    /// A topic is deleted: for every node at once, whenever each comes to it.
    fn renew(&mut self, at: u64, tp: TpId) {
        let name = TopicPartition::new(self.ledger.name(tp), 0);
        for node in (0..self.rules.contract.brokers).filter_map(|node| i32::try_from(node).ok()) {
            let fact = Fact::Deleted { tp: name.clone() };
            self.take_in(&Event { at, kind: Kind::Fact { node: NodeId(node), incarnation: 0, tp: Some(tp), fact } });
        }
    }

    fn take_in(&mut self, event: &Event) {
        self.ledger.fold(event);
        let view = View { at: event.at, ledger: &self.ledger, rules: &self.rules };
        for &row in &self.visits[Kinds::number(&event.kind)] {
            self.findings.turn(row);
            self.rows[row].1.see(event, &view, &mut self.findings);
        }
    }

    /// Whether a violation has been found already: what follows can only add to it.
    pub fn broken(&self) -> bool {
        self.findings.broken()
    }

    /// What was found so far, in the order found.
    pub fn so_far(&self) -> &[Finding] {
        self.findings.list()
    }

    /// What is known of the run so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The history ends at `at` (nanoseconds of world time): the last judgements, and the verdict.
    pub fn end(mut self, at: u64) -> Checked {
        self.ledger.finish();
        let view = View { at, ledger: &self.ledger, rules: &self.rules };
        let mut evidence = Vec::new();
        for (n, (row, invariant)) in self.rows.iter_mut().enumerate() {
            self.findings.turn(n);
            invariant.end(&view, &mut self.findings);
            let count = invariant.evidence();
            if count == 0 && (row.must)(&self.rules.contract) {
                self.findings.vacuous(at, None, || super::Tell::new(format!("never put to the test: {}", row.about)));
            }
            evidence.push((n, *row, count));
        }
        let evidence = evidence.into_iter().map(|(n, row, count)| weigh(&self.findings, n, row, count)).collect();
        let findings = self.findings.into_list();
        let verdict = match findings.first().map(|f| f.severity) {
            Some(Severity::Violation) => Verdict::Fail,
            Some(Severity::Vacuous) => Verdict::Vacuous,
            _ => Verdict::Pass,
        };
        Checked { verdict, findings, evidence, events: self.events }
    }
}

fn weigh(findings: &Findings, n: usize, row: &Row, count: u64) -> Evidence {
    let tally = findings.tally(n);
    Evidence {
        invariant: row.id.into(),
        about: row.about.into(),
        promise: row.promise,
        count,
        violations: tally.violations,
        expected: tally.expected,
    }
}
