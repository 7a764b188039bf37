//! `bench search`: the highest rate that a broker sustains, and latency against throughput on the way there.

use ::load::outcome::{Outcome, grouped};
use ::load::search::{Found, Trial};

use super::{Chapter, Figure, Input};
use crate::chart::{self, Line, Panel};
use crate::document::{Column, Row, Section, Table};

pub(super) fn is(input: &Input<'_>) -> bool {
    input.lists(&["workload", "p99_us", "trials", "curve"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let all: Vec<Found> = input.parse()?;
    let told = |of: &Found| match of.highest {
        Some(rate) => format!("{}: {} records/s", of.workload, grouped(rate)),
        None => format!("{}: none", of.workload),
    };
    let line = format!("Highest sustained rate: {}", all.iter().map(told).collect::<Vec<_>>().join("; "));
    let figure =
        |of: &Found| Some(Figure::more(format!("{}: highest sustained rate", of.workload), of.highest?, "records/s"));
    let figures = all.iter().filter_map(figure).collect();
    let sections = all.iter().map(section).collect();
    Ok(Chapter { title: "Bench search".into(), line, sections, figures, ..Chapter::default() })
}

fn section(of: &Found) -> Section {
    let mut trials: Vec<&Trial> = of.curve.iter().chain(&of.trials).collect();
    trials.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let row = |trial: &&Trial| {
        let (q, mb) = (trial.outcome.publish, trial.outcome.megabytes);
        let held = if trial.held { "yes".into() } else { format!("no: {}", trial.why_not(of.p99_us)) };
        let [p50, p99, p999] = [q.p50, q.p99, q.p999].map(|us| us.to_string());
        Row::new([grouped(trial.rate), grouped(trial.outcome.rate), format!("{mb:.1}"), p50, p99, p999, held])
    };
    let heads = ["asked, records/s", "acknowledged", "MB/s", "p50 us", "p99 us", "p99.9 us"];
    let columns = heads.map(Column::numbers).into_iter().chain([Column::words("sustained")]).collect();
    let found = match of.highest {
        Some(rate) => format!("{} records/s sustained, with p99 within {} us.", grouped(rate), of.p99_us),
        None => format!("No rate is sustained with p99 within {} us.", of.p99_us),
    };
    let says = "Publish latency, from when a record was meant to be sent, on a logarithmic scale against the rate that was asked. \
                Single points are rates that were not sustained.";
    let table = Table::new(columns, trials.iter().map(row).collect());
    Section::part(of.workload.as_str(), found, table).drawn(curve(&trials), says)
}

/// Lines through what was sustained; what was not stands alone.
fn curve(trials: &[&Trial]) -> String {
    let until = trials.iter().map(|trial| trial.rate).fold(0.0, f64::max);
    let line = |name: &str, of: fn(&Outcome) -> u64| {
        let held = trials.iter().filter(|trial| trial.held);
        let others = trials.iter().filter(|trial| !trial.held);
        let point = |trial: &&Trial| (trial.rate, Some(of(&trial.outcome) as f64));
        let alone = others.flat_map(|trial| [(trial.rate, None), point(trial)]);
        Line { name: name.into(), points: held.map(point).chain(alone).collect() }
    };
    let lines =
        vec![line("p50", |of| of.publish.p50), line("p99", |of| of.publish.p99), line("p99.9", |of| of.publish.p999)];
    let show = |rate: f64| crate::capacity::unit::Kind::Count.show(rate);
    chart::panels(&[Panel::log("us, against records/s", lines)], &[], until, show).unwrap_or_default()
}
