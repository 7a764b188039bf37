//! Where invariants put what they find: counted without limit, told in words only a few times each.

use std::collections::BTreeMap;

use super::Applies;
use crate::history::TpId;
use crate::verdict::{Finding, Severity};

/// So many findings of one invariant and severity are told in words; all are counted.
pub const TOLD: u32 = 5;

/// A finding in words: one sentence, and the events that show it.
#[derive(Debug, Default)]
pub struct Tell {
    what: String,
    story: Vec<String>,
}

impl Tell {
    /// The sentence.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), story: Vec::new() }
    }

    /// One more line of the story.
    pub fn then(mut self, line: impl Into<String>) -> Self {
        self.story.push(line.into());
        self
    }

    /// More lines of the story.
    pub fn and(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.story.extend(lines);
        self
    }
}

/// What one row has found, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub violations: u64,
    pub expected: u64,
}

/// The findings of a run, as they come.
#[derive(Debug, Default)]
pub struct Findings {
    rows: Vec<(&'static str, Applies, Tally)>,
    told: BTreeMap<(usize, Severity), u32>,
    row: usize,
    list: Vec<Finding>,
    broken: bool,
}

impl Findings {
    /// A sink for these rows. What follows is put to the account of the first until [`Findings::turn`] says otherwise.
    pub(super) fn new(rows: impl IntoIterator<Item = (&'static str, Applies)>) -> Self {
        let rows = rows.into_iter().map(|(id, applies)| (id, applies, Tally::default())).collect();
        Self { rows, ..Self::default() }
    }

    /// From here on, findings are row `row`'s.
    pub(super) fn turn(&mut self, row: usize) {
        self.row = row;
    }

    /// The contract is broken, `count` times (records, usually).
    pub fn violation(&mut self, at: u64, tp: Option<TpId>, count: u64, tell: impl FnOnce() -> Tell) {
        self.note(Severity::Violation, at, tp, count, tell);
    }

    /// Something is gone that the contract allows to be lost. Where the contract enforces the invariant in full, this is
    /// a violation all the same.
    pub fn expected(&mut self, at: u64, tp: Option<TpId>, count: u64, tell: impl FnOnce() -> Tell) {
        let enforced = self.rows[self.row].1 == Applies::Enforced;
        let severity = if enforced { Severity::Violation } else { Severity::ExpectedLoss };
        self.note(severity, at, tp, count, tell);
    }

    /// Legal, but worth showing.
    pub fn suspicious(&mut self, at: u64, tp: Option<TpId>, tell: impl FnOnce() -> Tell) {
        self.note(Severity::Suspicious, at, tp, 1, tell);
    }

    /// What should have been exercised was not.
    pub fn vacuous(&mut self, at: u64, tp: Option<TpId>, tell: impl FnOnce() -> Tell) {
        self.note(Severity::Vacuous, at, tp, 1, tell);
    }

    fn note(&mut self, severity: Severity, at: u64, tp: Option<TpId>, count: u64, tell: impl FnOnce() -> Tell) {
        let (id, _, tally) = &mut self.rows[self.row];
        match severity {
            Severity::Violation => {
                tally.violations = tally.violations.saturating_add(count);
                self.broken = true;
            }
            Severity::ExpectedLoss => tally.expected = tally.expected.saturating_add(count),
            Severity::Suspicious | Severity::Vacuous => {}
        }
        let told = self.told.entry((self.row, severity)).or_default();
        if *told < TOLD {
            *told += 1;
            let Tell { what, story } = tell();
            self.list.push(Finding { invariant: (*id).into(), severity, at, tp, what, story });
        }
    }

    /// Whether any violation was found so far: the run may stop.
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// What was told so far, in the order found.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    pub(super) fn tally(&self, row: usize) -> Tally {
        self.rows[row].2
    }

    /// The gravest first; equal ones in the order found.
    pub(super) fn into_list(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|f| std::cmp::Reverse(f.severity));
        self.list
    }
}
