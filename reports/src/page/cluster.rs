//! `bench cluster`: three replicas beside one, and the ceilings that disk and cores set.

use harness::bench::cluster::{ClusterBench, Row as Measured};

use super::log::ratio;
use super::{Chapter, Figure, Input};
use crate::chart::{self, Bar};
use crate::document::{Column, Row, Section, Table};

pub(super) fn is(input: &Input<'_>) -> bool {
    input.has(&["options", "rows"])
        && input.json.as_ref().is_some_and(|json| json["rows"][0].get("plain_three").is_some())
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let bench: ClusterBench = input.parse()?;
    let o = &bench.options;
    let line =
        format!("{} partitions, {} B records, acks=all, median of {} rounds", o.partitions, o.record_bytes, o.rounds);
    let sections = bench.rows.iter().map(section).collect();
    let figures = bench.rows.iter().flat_map(figures).collect();
    Ok(Chapter { title: "Bench cluster".into(), line, sections, figures, ..Chapter::default() })
}

fn section(of: &Measured) -> Section {
    let bars = [
        ratio("three for one", of.ratio),
        ratio("ceiling: disk", of.disk).main(true),
        Bar::new("ceiling: cores", of.cores, format!("{:.2}", of.cores)).main(true),
    ];
    let chart = chart::across(&bars).unwrap_or_default();
    let row = |what: &str, one: f64, three: f64, places: usize| {
        Row::new([what.into(), format!("{one:.places$}"), format!("{three:.places$}")])
    };
    let rows = vec![
        row("acknowledged, MB/s", of.one.rate, of.three.rate, 0),
        row("plain write(), MB/s", of.plain_one.rate, of.plain_three.rate, 0),
        row("brokers' CPU, s/GB", of.one.nodes, of.three.nodes, 2),
        row("producer's CPU, s/GB", of.one.client, of.three.client, 2),
        row("CPU of plain write(), s/GB", of.plain_one.cpu, of.plain_three.cpu, 2),
    ];
    let columns = vec![Column::words("what"), Column::numbers("one replica"), Column::numbers("three replicas")];
    let says = "Throughput with three replicas for that with one, and the most that three times the bytes leave: by plain writing to \
                the same disk, and by the brokers' CPU time. A line from the least to the most of the rounds.";
    let title = format!("Batches of {} KiB", of.batch_bytes >> 10);
    let section = Section::part(title, "", Table::new(columns, rows)).drawn(chart, says);
    // They are few, and not all of them are in the chart.
    Section { folded: false, ..section }
}

fn figures(of: &Measured) -> [Figure; 5] {
    let kib = of.batch_bytes >> 10;
    [
        Figure::more(format!("{kib} KiB: three replicas for one"), of.ratio.0, ""),
        Figure::more(format!("{kib} KiB: one replica"), of.one.rate, "MB/s"),
        Figure::more(format!("{kib} KiB: three replicas"), of.three.rate, "MB/s"),
        Figure::less(format!("{kib} KiB: brokers' CPU, one replica"), of.one.nodes, "s/GB"),
        Figure::less(format!("{kib} KiB: brokers' CPU, three replicas"), of.three.nodes, "s/GB"),
    ]
}
