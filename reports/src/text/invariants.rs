//! The promises of a run: how often each was put to the test, and how often it was broken.

use comfy_table::Cell;
use harness::report::{Evidence, RunReport};
use harness::verdict::{Promise, Severity, Verdict};

use super::page;

/// A row for each invariant, in the catalogue's order.
pub(super) fn invariants(report: &RunReport, width: usize) -> String {
    let mut table = page::table(width, &["id", "kind", "tested", "broken", "expected", "", "what must hold"]);
    for row in &report.evidence {
        table.add_row([
            Cell::new(&row.invariant),
            page::dim(kind(row.promise)),
            page::number(page::count(row.count)),
            page::number(blank_if_none(row.violations)),
            page::number(blank_if_none(row.expected)),
            state(row, report),
            Cell::new(&row.about),
        ]);
    }
    let tested = report.evidence.iter().filter(|e| e.count > 0).count();
    let note = format!("{tested} of {} put to the test", report.evidence.len());
    page::heading("Invariants", &note) + &page::finish(&table)
}

fn kind(promise: Promise) -> &'static str {
    match promise {
        Promise::Safety => "safety",
        Promise::Liveness => "liveness",
        Promise::Meta => "meta",
    }
}

fn blank_if_none(n: u64) -> String {
    if n == 0 { String::new() } else { page::count(n) }
}

fn state(row: &Evidence, report: &RunReport) -> Cell {
    let vacuous = report.findings.iter().any(|f| f.invariant == row.invariant && f.severity == Severity::Vacuous);
    match row {
        Evidence { violations: 1.., .. } => page::coloured("BROKEN", Verdict::Fail),
        _ if vacuous => page::coloured("vacuous", Verdict::Vacuous),
        Evidence { count: 0, .. } => page::dim("no occasion"),
        Evidence { expected: 1.., .. } => page::dim("permitted"),
        _ => page::coloured("held", Verdict::Pass),
    }
}
