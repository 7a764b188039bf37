//! What was found, explained: one sentence, then the events that show it.

use std::fmt::Write;

use harness::report::RunReport;
use harness::verdict::{Finding, Severity};

use super::page;

/// All findings, the gravest first; a line that says so if there is none.
pub(super) fn findings(report: &RunReport, width: usize) -> String {
    if report.findings.is_empty() {
        return page::heading("Findings", "none");
    }
    let (untested, told): (Vec<_>, Vec<_>) = report.findings.iter().partition(|f| is_untested(f, report));
    let mut text = page::heading("Findings", "");
    for (n, finding) in told.iter().enumerate() {
        text.push_str(&one(n + 1, finding, &report.partitions, width));
    }
    if !untested.is_empty() {
        let ids = untested.iter().map(|f| f.invariant.clone());
        let words = "vacuous, never put to the test:".split(' ').map(String::from).chain(ids);
        text.push_str(&page::wrap(words, "  - ", 4, width));
    }
    for row in &report.evidence {
        let listed = report.findings.iter().filter(|f| f.invariant == row.invariant).count() as u64;
        let all = row.violations + row.expected;
        if listed > 0 && all > listed {
            let more = format!("    {} more of {} not listed", page::count(all - listed), row.invariant);
            let _ = writeln!(text, "{}", page::paint(page::DIM, more));
        }
    }
    text
}

/// Whether `finding` says no more than its row in the table of invariants: that there was no evidence.
fn is_untested(finding: &Finding, report: &RunReport) -> bool {
    let row = report.evidence.iter().find(|e| e.invariant == finding.invariant);
    finding.severity == Severity::Vacuous && row.is_some_and(|row| row.count == 0)
}

fn one(n: usize, finding: &Finding, partitions: &[String], width: usize) -> String {
    let kind = page::paint(page::severity_style(finding.severity), page::severity_name(finding.severity));
    let mut text =
        format!("{n:>3} {} {kind} at {} s", page::paint(page::BOLD, &finding.invariant), page::seconds(finding.at));
    if let Some(tp) = finding.tp {
        let name = partitions.get(tp.0 as usize).map_or("an unknown partition", String::as_str);
        let _ = write!(text, ", {name}");
    }
    text.push('\n');
    text.push_str(&page::wrap(finding.what.split(' ').map(String::from), "    ", 4, width));
    for line in &finding.story {
        text.push_str(&page::wrap(line.split(' ').map(String::from), "      ", 10, width));
    }
    text
}
