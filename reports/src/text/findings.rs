//! What was found, explained: one sentence, then the events that show it.

use std::fmt::Write;

use harness::report::RunReport;
use harness::verdict::Finding;

use super::page;

/// All findings, the gravest first; a line that says so if there is none.
pub(super) fn findings(report: &RunReport, width: usize) -> String {
    if report.findings.is_empty() {
        return page::heading("Findings", "none");
    }
    let mut text = page::heading("Findings", "");
    for (n, finding) in report.findings.iter().enumerate() {
        text.push_str(&one(n + 1, finding, &report.partitions, width));
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
