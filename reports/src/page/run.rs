//! One run: what was done to it when, what was promised and tested, what broke.

use harness::history::Phase;
use harness::judge::Produced;
use harness::report::{Evidence, RunReport, Struck};
use harness::verdict::{Finding, Severity, Verdict};
use serde_json::Value;

use super::{Chapter, Figure, Input};
use crate::chart::{self, Lane, Span};
use crate::document::{Case, Column, Row, Section, Table};
use crate::text;

pub(super) fn is(input: &Input<'_>) -> bool {
    input.has(&["scenario", "seed", "verdict", "evidence", "trace"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let report: RunReport = input.parse()?;
    let producers =
        input.json.as_ref().and_then(|json| json.get("producers")).cloned().unwrap_or(Value::Array(Vec::new()));
    let producers: Vec<Produced> = serde_json::from_value(producers).map_err(|e| e.to_string())?;
    Ok(chapter(&report, &producers, Vec::new()))
}

/// The chapter of a run; `more` comes behind what happened to it.
pub(super) fn chapter(report: &RunReport, producers: &[Produced], more: Vec<Section>) -> Chapter {
    let cases = cases(report);
    let mut sections = vec![super::told(&cases), happened(report)];
    sections.extend(more);
    sections.extend([
        promises(report),
        legal(report),
        groups(report),
        outages(report),
        produced(producers),
        cost(report),
    ]);
    let with = report.planted.map_or(String::new(), |defect| format!(", planted {}", defect.id()));
    Chapter {
        title: format!("Run {} seed {}", report.scenario, report.seed),
        verdict: Some(report.verdict),
        line: line(report) + &with,
        cases,
        sections,
        figures: figures(report),
        json: None,
    }
}

fn line(report: &RunReport) -> String {
    let violations: u64 = report.evidence.iter().map(|one| one.violations).sum();
    let tested = report.evidence.iter().filter(|one| one.count > 0).count();
    let struck = report.strikes.iter().filter(|one| one.at.is_some()).count();
    let seconds = report.cost.world_ns as f64 / 1e9;
    format!(
        "{}, {tested} of {} promises tested, {} of {} strikes struck, {seconds:.1} s of world time, trace {:016x}",
        text::plural(violations, "violation", "violations"),
        report.evidence.len(),
        struck,
        report.strikes.len(),
        report.trace,
    )
}

/// What is no pass, each with the line that plays it again.
fn cases(report: &RunReport) -> Vec<Case> {
    let case = |finding: &Finding| {
        let verdict = match finding.severity {
            Severity::Violation => Verdict::Fail,
            Severity::Vacuous => Verdict::Vacuous,
            Severity::Suspicious | Severity::ExpectedLoss => return None,
        };
        let (what, story, replay) = (finding.what.clone(), finding.story.clone(), report.replay.clone());
        let name = format!("{} seed {} {}", report.scenario, report.seed, finding.invariant);
        Some(Case { name, verdict, what, story, replay })
    };
    report.findings.iter().filter_map(case).collect()
}

/// Nanoseconds as seconds.
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn happened(report: &RunReport) -> Section {
    let until = report.cost.world_ns;
    let ends = report.phases.iter().skip(1).map(|(_, at)| *at).chain([until]);
    let phases: Vec<(Phase, u64, u64)> =
        report.phases.iter().zip(ends).map(|((phase, at), end)| (*phase, *at, end)).collect();
    let span = |(kind, (of, from, to)): (usize, &(Phase, u64, u64))| Span {
        from: seconds(*from),
        to: seconds(*to),
        says: text::phase_name(*of).into(),
        kind: if kind % 2 == 0 { 5 } else { 1 },
    };
    let struck = |one: &Struck| {
        let from = one.at?;
        let span =
            Span { from: seconds(from), to: seconds(one.healed.unwrap_or(until)), says: one.on.clone(), kind: 4 };
        Some(Lane { name: format!("#{} {}", one.strike.id, one.strike.fault), spans: vec![span] })
    };
    let mut lanes = vec![Lane { name: "phases".into(), spans: phases.iter().enumerate().map(span).collect() }];
    lanes.extend(report.strikes.iter().filter_map(struck));
    let chart = chart::lanes(&lanes, seconds(until)).unwrap_or_default();
    let mut rows: Vec<(u64, Row)> = Vec::new();
    for (of, from, to) in &phases {
        let cells =
            [text::seconds(*from), text::seconds(*to), format!("phase: {}", text::phase_name(*of)), String::new()];
        rows.push((*from, Row::new(cells)));
    }
    for one in &report.strikes {
        let what = format!("#{} {}", one.strike.id, one.strike.fault);
        let at = one.at.map_or("never struck".into(), text::seconds);
        let to = one.healed.map_or("-".into(), text::seconds);
        rows.push((one.at.unwrap_or(u64::MAX), Row::new([at, to, what, one.on.clone()])));
    }
    rows.sort_by_key(|(at, _)| *at);
    let columns = vec![
        Column::words("from s"),
        Column::numbers("to s"),
        Column::words("what"),
        Column::words("whom it hit and how"),
    ];
    let table = Table::new(columns, rows.into_iter().map(|(_, row)| row).collect());
    let note = "Seconds of world time.";
    let says = "A lane for the phases and one for each strike, from when it struck until it was cured.";
    // Whom it hit has no room in the chart.
    Section { folded: false, ..Section::part("What was done when", note, table).drawn(chart, says) }
}

fn promises(report: &RunReport) -> Section {
    let row = |one: &Evidence| {
        let counts = [one.count, one.violations, one.expected].map(text::count);
        let [count, violations, expected] = counts;
        Row::new([one.invariant.clone(), one.about.clone(), count, violations, expected]).strong(one.violations > 0)
    };
    let columns = vec![
        Column::words("promise"),
        Column::words("what it says"),
        Column::numbers("tested"),
        Column::numbers("violations"),
        Column::numbers("expected losses"),
    ];
    let table = Table::new(columns, report.evidence.iter().map(row).collect());
    Section::part("Promises", "How often each was put to the test.", table)
}

/// What was seen and is legal.
fn legal(report: &RunReport) -> Section {
    let seen = |one: &&Finding| matches!(one.severity, Severity::Suspicious | Severity::ExpectedLoss);
    let row = |one: &Finding| {
        Row::new([
            one.invariant.clone(),
            text::severity_name(one.severity).into(),
            text::seconds(one.at),
            one.what.clone(),
        ])
    };
    let columns = vec![Column::words("promise"), Column::words("kind"), Column::numbers("at s"), Column::words("seen")];
    let table = Table::new(columns, report.findings.iter().filter(seen).map(row).collect());
    Section::part("Also seen", "", table)
}

fn groups(report: &RunReport) -> Section {
    let row = |one: &harness::report::GroupWork| {
        let idle = format!("{} / {} / {}", one.idle_p50_ms, one.idle_p99_ms, one.idle_max_ms);
        let lag = format!("{} / {} / {}", one.lag_p50, one.lag_p99, one.lag_max);
        let [rounds, handoffs, delivered, again] =
            [one.rounds, one.handoffs, one.delivered, one.again].map(text::count);
        Row::new([format!("group-{}", one.group), rounds, handoffs, idle, delivered, again, lag])
    };
    let columns = vec![
        Column::words("group"),
        Column::numbers("generations"),
        Column::numbers("hand-offs"),
        Column::numbers("idle ms p50 / p99 / most"),
        Column::numbers("delivered"),
        Column::numbers("again"),
        Column::numbers("behind p50 / p99 / most"),
    ];
    let table = Table::new(columns, report.groups.iter().map(row).collect());
    Section::part("Consumer groups", "", table)
}

fn outages(report: &RunReport) -> Section {
    let row = |one: &harness::report::Outage| {
        let [count, p50, p99, most] = [one.count, one.p50_ms, one.p99_ms, one.max_ms].map(text::count);
        Row::new([one.fault.clone(), count, p50, p99, most])
    };
    let columns = vec![
        Column::words("fault"),
        Column::numbers("strikes times partitions"),
        Column::numbers("median ms"),
        Column::numbers("p99 ms"),
        Column::numbers("longest ms"),
    ];
    let note = "How long partitions could not be written to around strikes.";
    Section::part("Outages", note, Table::new(columns, report.outages.iter().map(row).collect()))
}

fn produced(producers: &[Produced]) -> Section {
    let row = |one: &Produced| {
        let counts = [one.sent, one.acked, one.failed, one.unknown, one.lost, one.duplicated].map(text::count);
        let [sent, acked, failed, unknown, lost, duplicated] = counts;
        Row::new([one.name.clone(), sent, acked, failed, unknown, lost, duplicated])
    };
    let columns = vec![
        Column::words("producer"),
        Column::numbers("sent"),
        Column::numbers("acked"),
        Column::numbers("failed"),
        Column::numbers("unknown"),
        Column::numbers("lost"),
        Column::numbers("duplicated"),
    ];
    Section::part("Producers", "", Table::new(columns, producers.iter().map(row).collect()))
}

fn cost(report: &RunReport) -> Section {
    let cost = &report.cost;
    let mut rows = vec![
        Row::new(["world time, s".into(), text::seconds(cost.world_ns)]),
        Row::new(["CPU time, s".into(), text::seconds(cost.cpu_ns)]),
    ];
    let counts = [
        ("events", cost.events),
        ("client calls", cost.calls),
        ("records acknowledged", cost.acked),
        ("records delivered", cost.delivered),
        ("fsyncs", cost.flushes),
    ];
    rows.extend(counts.map(|(name, n)| Row::new([name.into(), text::count(n)])));
    rows.extend(report.knobs.iter().map(|(name, value)| Row::new([format!("drawn: {name}"), value.clone()])));
    let columns = vec![Column::words("what"), Column::numbers("how much")];
    Section::part("What it took, and what was drawn", "", Table::new(columns, rows))
}

fn figures(report: &RunReport) -> Vec<Figure> {
    let cost = &report.cost;
    let violations: u64 = report.evidence.iter().map(|one| one.violations).sum();
    let mut all = vec![
        Figure::less("violations", violations as f64, ""),
        Figure::neither("world time", seconds(cost.world_ns), "s"),
        Figure::less("CPU time", seconds(cost.cpu_ns), "s"),
        Figure::neither("events", cost.events as f64, ""),
        Figure::neither("records acknowledged", cost.acked as f64, ""),
        Figure::neither("records delivered", cost.delivered as f64, ""),
        Figure::neither("fsyncs", cost.flushes as f64, ""),
    ];
    for one in &report.evidence {
        all.push(Figure::neither(format!("tests of {}", one.invariant), one.count as f64, ""));
    }
    for one in &report.outages {
        all.push(Figure::less(format!("median outage, {}", one.fault), one.p50_ms as f64, "ms"));
        all.push(Figure::less(format!("longest outage, {}", one.fault), one.max_ms as f64, "ms"));
    }
    for one in &report.groups {
        let group = one.group;
        all.push(Figure::less(format!("group-{group} idle"), one.idle_ms as f64, "ms"));
        all.push(Figure::less(format!("group-{group} delivered again"), one.again as f64, ""));
        all.push(Figure::less(format!("group-{group} behind at most"), one.lag_max as f64, ""));
    }
    all
}
