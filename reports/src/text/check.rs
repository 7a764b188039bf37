//! A history judged: what struck whom, what became of everyone's records, what was promised and tested, what broke.

use std::fmt::Write;

use comfy_table::Cell;
use harness::judge::{Judged, Produced};
use harness::verdict::Verdict;

use super::{findings, invariants, page, run, timeline};

/// The whole report of a history. `width` is in columns.
pub fn check(judged: &Judged, width: usize) -> String {
    let report = &judged.report;
    let title = format!("{}  seed {}  as recorded", report.scenario, report.seed);
    let mut text = page::banner(&title, report.verdict, width);
    for part in [
        timeline::timeline(report, width),
        producers(&judged.producers, width),
        invariants::invariants(report, width),
        findings::findings(report, width),
    ] {
        text.push('\n');
        text.push_str(&part);
    }
    text.push('\n');
    text.push_str(&run::outages(report, width));
    text.push_str(&run::groups(report, width));
    let cost = &report.cost;
    let counts = [
        page::plural(cost.events, "event,", "events,"),
        page::plural(cost.calls, "call,", "calls,"),
        format!("{} acked,", page::count(cost.acked)),
        format!("{} delivered;", page::count(cost.delivered)),
        format!("judged in {} s of CPU", page::seconds(cost.cpu_ns)),
    ];
    let words = counts.iter().flat_map(|part| part.split(' ').map(String::from).collect::<Vec<_>>());
    text.push_str(&page::wrap(words, "Counts  ", 8, width));
    let _ = writeln!(text, "Trace   {:016x}", report.trace);
    let _ = writeln!(text, "Again   {}", page::paint(page::BOLD, &report.replay));
    text
}

fn producers(all: &[Produced], width: usize) -> String {
    let header = ["producer", "sent", "acknowledged", "failed", "unknown", "lost", "duplicated"];
    let mut table = page::table(width, &header);
    let bad = |n: u64| match n {
        0 => page::number(0),
        _ => page::number_coloured(page::count(n), Verdict::Fail),
    };
    for one in all {
        table.add_row([
            Cell::new(&one.name),
            page::number(page::count(one.sent)),
            page::number(page::count(one.acked)),
            page::number(page::count(one.failed)),
            page::number(page::count(one.unknown)),
            bad(one.lost),
            bad(one.duplicated),
        ]);
    }
    let note = "records; lost: acknowledged, and not in the final read; duplicated: there more than once";
    page::heading("Producers", note) + &page::finish(&table)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use anstream::adapter::strip_str;

    #[test]
    fn a_history_that_was_judged() {
        let name = String::from("kafka-clients 4.3.0");
        let one = Produced { name, sent: 1203, acked: 1200, failed: 1, unknown: 2, lost: 3, duplicated: 0 };
        let mut report = fixture::failed();
        report.replay = "logquake check live.jsonl".into();
        let text = check(&Judged { report, producers: vec![one] }, 100);
        let text = strip_str(&text).to_string();
        let row = text.lines().find(|line| line.contains("kafka-clients 4.3.0")).unwrap();
        assert_eq!(row.split_whitespace().skip(2).collect::<Vec<_>>(), ["1,203", "1,200", "1", "2", "3", "0"]);
        let heading = |name: &str| text.lines().position(|line| line.starts_with(name)).unwrap();
        let order = ["Timeline", "Producers", "Invariants", "Findings", "Counts", "Trace", "Again"].map(heading);
        assert!(order.is_sorted(), "{text}");
        assert_eq!(text.lines().last(), Some("Again   logquake check live.jsonl"));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
