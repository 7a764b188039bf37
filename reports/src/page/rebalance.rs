//! `bench rebalance`: what a rebalance costs under each protocol.

use harness::bench::rebalance::{Costs, Row as Storm};
use harness::verdict::Verdict;

use super::{Chapter, Figure, Input, percent};
use crate::chart::{self, Bar};
use crate::document::{Column, Row, Section, Table};
use crate::text;

pub(super) fn is(input: &Input<'_>) -> bool {
    input.lists(&["protocol", "members", "idle_per_mille"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let costs: Costs = input.parse()?;
    let failed: u64 = costs.0.iter().map(|row| row.failed).sum();
    let runs: u64 = costs.0.iter().map(|row| row.runs).sum();
    let line = format!(
        "{} on virtual time, {failed} failed; the same seeds for each protocol",
        text::plural(runs, "storm", "storms")
    );
    let drawn = [
        ("Time without an owner", "Share of the time in which partitions are nobody's", idle as fn(&Storm) -> f64, "%"),
        ("Delivered again", "Share of the records that are handed out again", again, "%"),
        ("Requests", "Requests to coordinators a generation", |row| row.requests, ""),
    ];
    let mut sections = vec![table(&costs)];
    sections.extend(drawn.map(|(title, says, of, unit)| section(&costs, title, says, of, unit)));
    let verdict = if failed > 0 { Verdict::Fail } else { Verdict::Pass };
    Ok(Chapter {
        title: "Bench rebalance".into(),
        verdict: Some(verdict),
        line,
        sections,
        figures: costs.0.iter().flat_map(figures).collect(),
        ..Chapter::default()
    })
}

fn idle(row: &Storm) -> f64 {
    row.idle_per_mille / 10.0
}

fn again(row: &Storm) -> f64 {
    percent(row.again, row.delivered)
}

fn name(row: &Storm) -> String {
    format!("{} {}", row.members, row.protocol)
}

fn section(costs: &Costs, title: &str, says: &str, of: fn(&Storm) -> f64, unit: &str) -> Section {
    let shown = |row: &Storm| format!("{:.2} {unit}", of(row)).trim_end().to_string();
    let bars: Vec<Bar> = costs.0.iter().map(|row| Bar::new(name(row), of(row), shown(row))).collect();
    let rows = costs.0.iter().map(|row| Row::new([name(row), shown(row)])).collect();
    let table = Table::new(vec![Column::words("members and protocol"), Column::numbers("how much")], rows);
    let says = format!("{says}, by members and protocol.");
    Section::part(title, "", table).drawn(chart::across(&bars).unwrap_or_default(), says)
}

fn table(costs: &Costs) -> Section {
    let row = |row: &Storm| {
        let counts = [u64::from(row.members), row.runs, row.failed, row.generations, row.handoffs, row.idle_max_ms];
        let [members, runs, failed, generations, handoffs, longest] = counts.map(text::count);
        let protocol = row.protocol.clone().into_owned();
        Row::new([protocol, members, runs, failed, generations, handoffs, longest]).strong(row.failed > 0)
    };
    let columns = vec![
        Column::words("protocol"),
        Column::numbers("members"),
        Column::numbers("runs"),
        Column::numbers("failed"),
        Column::numbers("generations"),
        Column::numbers("hand-offs"),
        Column::numbers("longest idle ms"),
    ];
    Section::part("Storms", "", Table::new(columns, costs.0.iter().map(row).collect()))
}

fn figures(row: &Storm) -> [Figure; 5] {
    let name = name(row);
    [
        Figure::less(format!("{name}: failed"), row.failed as f64, ""),
        Figure::less(format!("{name}: idle"), idle(row), "%"),
        Figure::less(format!("{name}: longest idle"), row.idle_max_ms as f64, "ms"),
        Figure::less(format!("{name}: delivered again"), again(row), "%"),
        Figure::less(format!("{name}: requests a generation"), row.requests, ""),
    ]
}
