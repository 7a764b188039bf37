//! The promises of a run: how often each was put to the test, and how often it was broken.

use comfy_table::Cell;
use harness::report::{Evidence, RunReport};
use harness::verdict::{Severity, Verdict};

use super::page;

/// A row for each invariant, in the catalogue's order.
pub(super) fn invariants(report: &RunReport, width: usize) -> String {
    let mut table = page::table(width, &["id", "tested", "", "what must hold"]);
    for row in &report.evidence {
        table.add_row([
            Cell::new(&row.invariant),
            page::number(page::count(row.count)),
            state(row, report),
            Cell::new(&row.about),
        ]);
    }
    let tested = report.evidence.iter().filter(|e| e.count > 0).count();
    let note = format!("{tested} of {} put to the test; how often, and with what result", report.evidence.len());
    page::heading("Invariants", &note) + &page::finish(&table)
}

fn state(row: &Evidence, report: &RunReport) -> Cell {
    let vacuous = report.findings.iter().any(|f| f.invariant == row.invariant && f.severity == Severity::Vacuous);
    match row {
        Evidence { violations: n @ 1.., .. } => page::coloured(format!("BROKEN {}", page::count(*n)), Verdict::Fail),
        _ if vacuous => page::coloured("vacuous", Verdict::Vacuous),
        Evidence { count: 0, .. } => page::dim("no occasion"),
        Evidence { expected: n @ 1.., .. } => page::dim(format!("{} permitted", page::count(*n))),
        _ => page::coloured("held", Verdict::Pass),
    }
}
