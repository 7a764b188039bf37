//! `bench load`: a broker under load, beside what the machine would let any broker do.

mod beside;
mod course;
mod swept;

use ::load::outcome::{Outcome, Quantiles, grouped};
use ::load::placement::Placement;
use ::load::rounds::Rounds;
use harness::verdict::Verdict;

use super::{Chapter, Figure, Input};
use crate::chart::{self, Bar};
use crate::document::{Column, Row, Section, Table};

pub(super) fn is(input: &Input<'_>) -> bool {
    input.lists(&["workload", "rate", "megabytes", "outcomes"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let all: Vec<Rounds> = input.parse()?;
    let count: usize = all.iter().map(|rounds| rounds.outcomes.len()).sum();
    let results: usize = all.iter().map(Rounds::results).sum();
    let target = all.iter().find_map(|rounds| rounds.outcomes.first()).map_or("nothing", |first| first.target.as_str());
    let line = format!("{target}: {} cases, {results} results in {count} rounds", all.len());
    let mut sections = vec![throughput(&all)];
    sections.extend(beside::sections(&all));
    sections.extend(swept::sections(&all));
    sections.extend(course::sections(&all));
    sections.extend([latency(&all), circumstances(&all)]);
    let figures = all.iter().flat_map(figures).collect();
    // How fast is no verdict; that records are gone is one.
    let broken = all.iter().flat_map(|rounds| &rounds.outcomes).any(Outcome::breaks);
    let verdict = broken.then_some(Verdict::Fail);
    Ok(Chapter { title: "Bench load".into(), verdict, line, sections, figures, ..Chapter::default() })
}

fn throughput(all: &[Rounds]) -> Section {
    let bar = |rounds: &Rounds| {
        let mb = rounds.megabytes;
        let says = format!("{:.1} ({:.1}..{:.1})", mb.median, mb.least, mb.most);
        Bar { range: (mb.least, mb.most), ..Bar::new(short(rounds), mb.median, says) }
    };
    let chart = chart::across(&all.iter().map(bar).collect::<Vec<_>>()).unwrap_or_default();
    let row = |rounds: &Rounds| {
        let (rate, mb) = (rounds.rate, rounds.megabytes);
        let range = format!("{}..{}", grouped(rate.least), grouped(rate.most));
        let of = format!("{} of {}", rounds.results(), rounds.outcomes.len());
        Row::new([rounds.workload.clone(), grouped(rate.median), range, format!("{:.1}", mb.median), of])
    };
    let columns = vec![
        Column::words("workload"),
        Column::numbers("records/s"),
        Column::numbers("least..most"),
        Column::numbers("MB/s"),
        Column::words("results"),
    ];
    let says = "Megabytes of values a second, median of the rounds; a line from the least to the most.";
    Section::part("Throughput", "", Table::new(columns, all.iter().map(row).collect())).drawn(chart, says)
}

/// A name for which there is room in a chart: of a sweep, where on it.
fn short(rounds: &Rounds) -> String {
    rounds.over.as_ref().map_or(rounds.workload.clone(), |place| format!("{}={}", place.axis, place.value))
}

fn latency(all: &[Rounds]) -> Section {
    let middles = all.iter().filter_map(|rounds| Some((rounds.middle()?, rounds)));
    let rows = middles.flat_map(|(middle, rounds)| {
        let kinds =
            [("publish", Some(middle.publish)), ("delay", Some(middle.delay)), ("end to end", middle.end_to_end)];
        let named = kinds.into_iter().filter_map(|(kind, of)| Some((kind, of.filter(|of| of.count > 0)?)));
        named.map(|(kind, of)| quantiles(&rounds.workload, kind, of)).collect::<Vec<_>>()
    });
    let heads = ["p50 us", "p90 us", "p99 us", "p99.9 us", "p99.99 us", "max us"];
    let columns = [Column::words("workload"), Column::words("latency")].into_iter().chain(heads.map(Column::numbers));
    let says = "From when a record was meant to be sent; of the round whose throughput is in the middle.";
    Section::part("Latency", says, Table::new(columns.collect(), rows.collect()))
}

fn quantiles(workload: &str, kind: &str, of: Quantiles) -> Row {
    let [p50, p90, p99, p999, p9999, max] =
        [of.p50, of.p90, of.p99, of.p999, of.p9999, of.max].map(|us| us.to_string());
    Row::new([workload.to_owned(), kind.to_owned(), p50, p90, p99, p999, p9999, max])
}

fn circumstances(all: &[Rounds]) -> Section {
    let each = all.iter().flat_map(|rounds| rounds.outcomes.iter().map(|outcome| (rounds.workload.as_str(), outcome)));
    let row = |(workload, of): (&str, &Outcome)| {
        let cores = |cores: Option<f64>| cores.map_or("-".into(), |cores| format!("{cores:.2}"));
        let us = |page: Option<f64>| page.map_or("-".into(), |us| format!("{us:.1}"));
        let flushes = of.flushes_per_ack.map_or("-".into(), |each| format!("{each:.4}"));
        let flags: Vec<String> = of.flags.iter().map(ToString::to_string).collect();
        let used = of.used;
        Row::new([
            workload.into(),
            grouped(of.rate),
            cores(used.broker),
            cores(Some(used.generator)),
            cores(Some(used.foreign)),
            of.placement.map_or("-".into(), |Placement { looks, together }| format!("{together} of {looks}")),
            format!("{}, {}", us(of.page_us), us(of.page_after_us)),
            flushes,
            of.checks.lost.to_string(),
            if flags.is_empty() { "a result".into() } else { flags.join("; ") },
        ])
    };
    let columns = vec![
        Column::words("workload"),
        Column::numbers("records/s"),
        Column::numbers("broker's cores"),
        Column::numbers("generator's"),
        Column::numbers("others'"),
        Column::numbers("both on one"),
        Column::numbers("us a page"),
        Column::numbers("flushes an ack"),
        Column::numbers("lost"),
        Column::words("what it is worth"),
    ];
    let note =
        "Both on one: how often the busiest threads of both were found on one processor. A page: before and after.";
    Section::part("Every round", note, Table::new(columns, each.map(row).collect()))
}

/// What is no result is not compared.
fn figures(of: &Rounds) -> Vec<Figure> {
    let mut figures = Vec::new();
    if of.results() > 0 {
        figures.push(Figure::more(format!("{}: throughput", of.workload), of.megabytes.median, "MB/s"));
    }
    if of.results() > 0 && of.p99_us.median > 0.0 {
        figures.push(Figure::less(format!("{}: publish p99", of.workload), of.p99_us.median, "us"));
    }
    figures
}
