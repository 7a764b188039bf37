//! `bench log`: what the log does beside the machine's own limits in the same rounds.

use harness::bench::log::{Beside, LogBench};

use super::{Chapter, Figure, Input};
use crate::chart::{self, Bar};
use crate::document::{Column, Row, Section, Table};

/// Above so many microseconds for a page the machine's memory was cold.
const COLD_US: f64 = 3.0;

pub(super) fn is(input: &Input<'_>) -> bool {
    input.has(&["append", "fetch", "commit", "recovery", "page_us"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    let bench: LogBench = input.parse()?;
    let all = [
        ("append", "write()", bench.append),
        ("fetch", "read()", bench.fetch),
        ("commit in groups", "the same and fdatasync()", bench.commit),
        ("commit of one", "the same and fdatasync()", bench.commit_one),
    ];
    let bar = |(name, _, of): &(&str, &str, Beside)| ratio(name, of.ratio);
    let bars: Vec<Bar> =
        [Bar::new("the limit", 1.0, "1.00").main(true)].into_iter().chain(all.iter().map(bar)).collect();
    let chart = chart::across(&bars).unwrap_or_default();
    let row = |(name, limit, of): &(&str, &str, Beside)| {
        let [ratio, least, most] = [of.ratio.0, of.ratio.1, of.ratio.2].map(|ratio| format!("{ratio:.2}"));
        let [log, plain] = [of.log, of.plain].map(|rate| format!("{rate:.0}"));
        Row::new([(*name).into(), (*limit).into(), log, plain, ratio, least, most])
    };
    let mut rows: Vec<Row> = all.iter().map(row).collect();
    let (median, least, most) = bench.recovery;
    let [median, least, most] = [median, least, most].map(|rate| format!("{rate:.0}"));
    let range = format!("{least}..{most} MB/s");
    rows.push(Row::new([
        "recovery, unclean, warm".into(),
        "-".into(),
        median,
        "-".into(),
        range,
        String::new(),
        String::new(),
    ]));
    let columns = vec![
        Column::words("what"),
        Column::words("beside"),
        Column::numbers("MB/s"),
        Column::numbers("limit MB/s"),
        Column::numbers("ratio"),
        Column::numbers("least"),
        Column::numbers("most"),
    ];
    let o = &bench.options;
    let cold = if bench.page_us > COLD_US { " The machine's memory was cold: measure again." } else { "" };
    let line = format!(
        "{} KiB batches of {} B records, median of {} rounds, {:.1} us a page.{cold}",
        o.batch_bytes >> 10,
        o.record_bytes,
        o.rounds,
        bench.page_us
    );
    let says = "Throughput of the log for that of plain loops over the same bytes: 1 is the limit; a line from the least to the most of \
                the rounds.";
    let section =
        Section::part("The log beside the machine's limits", "", Table::new(columns, rows)).drawn(chart, says);
    Ok(Chapter {
        title: "Bench log".into(),
        line,
        sections: vec![section],
        figures: figures(&bench, &all),
        ..Chapter::default()
    })
}

/// A ratio and its spread as a bar.
pub(super) fn ratio(name: &str, (median, least, most): (f64, f64, f64)) -> Bar {
    Bar { range: (least, most), ..Bar::new(name, median, format!("{median:.2} ({least:.2}..{most:.2})")) }
}

fn figures(bench: &LogBench, all: &[(&str, &str, Beside)]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, _, of) in all {
        figures.push(Figure::more(format!("{name}, beside its limit"), of.ratio.0, ""));
        figures.push(Figure::more(*name, of.log, "MB/s"));
    }
    figures.push(Figure::more("recovery", bench.recovery.0, "MB/s"));
    figures
}
