//! Each figure beside what the machine would let any broker do: rates beside the limit that binds, latencies of what comes at a
//! rate beside the least that they can be.

use ::load::limits::{Bound, Floor};
use ::load::outcome::grouped;
use ::load::rounds::Rounds;

use super::short;
use crate::chart::{self, Bar};
use crate::document::{Column, Row, Section, Table};

pub(super) fn sections(all: &[Rounds]) -> Vec<Section> {
    let (open, closed): (Vec<&Rounds>, Vec<&Rounds>) = all.iter().partition(|rounds| rounds.floor.is_some());
    let floors = (!open.is_empty()).then(|| floors(&open));
    let drawn = open.is_empty() || closed.iter().any(|rounds| rounds.limit.is_some());
    drawn.then(|| roofline(&closed)).into_iter().chain(floors).collect()
}

/// How near each comes to what binds it.
fn roofline(all: &[&Rounds]) -> Section {
    let known: Vec<_> = all.iter().filter_map(|rounds| Some((*rounds, rounds.limit.as_ref()?))).collect();
    let bar = |(rounds, (_, part)): &(&Rounds, &(Bound, f64))| {
        let of = |rate: f64| if rounds.rate.median > 0.0 { part * rate / rounds.rate.median } else { 0.0 };
        let range = (of(rounds.rate.least), of(rounds.rate.most));
        Bar { range, ..Bar::new(short(rounds), *part, format!("{part:.2}")) }
    };
    let roof = Bar::new("the limit", 1.0, "1.00").main(true);
    let bars: Vec<Bar> = known.iter().map(bar).chain([roof]).collect();
    let chart = if known.is_empty() { String::new() } else { chart::across(&bars).unwrap_or_default() };
    let row = |(rounds, (bound, part)): &(&Rounds, &(Bound, f64))| {
        let name = rounds.workload.clone();
        Row::new([name, format!("{part:.2}"), grouped(rounds.rate.median), grouped(bound.rate), bound.by.clone()])
    };
    let columns = vec![
        Column::words("workload"),
        Column::numbers("of the limit"),
        Column::numbers("records/s"),
        Column::numbers("the limit's"),
        Column::words("which binds"),
    ];
    let says = "Each rate as part of what the plainest code does on this machine with the resource that binds it.";
    Section::part("Beside the machine's limits", "", Table::new(columns, known.iter().map(row).collect()))
        .drawn(chart, says)
}

/// What comes at a rate leaves room; what it takes is held against what it must take.
fn floors(open: &[&Rounds]) -> Section {
    let known: Vec<_> = open.iter().filter_map(|rounds| Some((*rounds, rounds.floor.as_ref()?))).collect();
    let bars = known.iter().map(|(rounds, (_, times))| Bar::new(short(rounds), *times, format!("{times:.1}")));
    let floor = Bar::new("the least", 1.0, "1.0").main(true);
    let chart = chart::across(&bars.chain([floor]).collect::<Vec<_>>()).unwrap_or_default();
    let row = |(rounds, (floor, times)): &(&Rounds, &(Floor, f64))| {
        let used = rounds.limit.as_ref().map_or("-".into(), |(bound, part)| format!("{part:.4} of {}", bound.by));
        let us = |us: f64| format!("{us:.0}");
        let name = rounds.workload.clone();
        Row::new([name, format!("{times:.1}"), us(floor.us * times), us(floor.us), floor.by.clone(), used])
    };
    let columns = vec![
        Column::words("workload"),
        Column::numbers("times the least"),
        Column::numbers("p50 us"),
        Column::numbers("the least, us"),
        Column::words("which is"),
        Column::words("the rate uses"),
    ];
    let says =
        "The median of what comes at a rate, end to end where that is timed, beside what it waits for on this machine.";
    Section::part("Latency beside the least", "", Table::new(columns, known.iter().map(row).collect()))
        .drawn(chart, says)
}
