//! Hunts for planted defects: how much CPU time finds how many.

use std::time::Duration;

use harness::verdict::Verdict;

use super::{Chapter, Figure, Input, cases, told};
use crate::chart::{self, Line, Panel};
use crate::document::{Column, Row, Section, Table};
use crate::outcome::Hunted;
use crate::{suite, text};

/// Where the axis begins, in seconds: it is logarithmic.
const FIRST: f64 = 0.01;

pub(super) fn is(input: &Input<'_>) -> bool {
    input.lists(&["defect", "hunts", "cpu_median"])
}

pub(super) fn read(input: &Input<'_>) -> Result<Chapter, String> {
    Ok(chapter(&input.parse::<Vec<Hunted>>()?))
}

/// The chapter of these hunts.
pub(super) fn chapter(hunted: &[Hunted]) -> Chapter {
    let verdict = match hunted {
        [] => Verdict::Vacuous,
        all if all.iter().all(Hunted::complete) => Verdict::Pass,
        _ => Verdict::Fail,
    };
    let cases = cases(&[suite::hunts(hunted)]);
    Chapter {
        title: "Planted defects".into(),
        verdict: Some(verdict),
        line: text::planted_line(hunted),
        sections: vec![told(&cases), found(hunted), replays(hunted)],
        cases,
        figures: figures(hunted),
        json: None,
    }
}

fn found(hunted: &[Hunted]) -> Section {
    let (median, slow) = (places(hunted, |one| one.cpu_median), places(hunted, |one| one.cpu_p90));
    let until = median.iter().chain(&slow).copied().fold(1.0, f64::max);
    let mut lines = vec![line("median hunt", &median, until)];
    // One hunt of each is its own median.
    if slow != median {
        lines.push(line("slowest tenth", &slow, until));
    }
    let panel = Panel::new("defects found", lines);
    let show = |at: f64| format!("{:.2} s", FIRST * 10f64.powf(at));
    let chart = chart::panels(&[panel], &[], until, show).unwrap_or_default();
    let says = "How many of the defects a hunt has found within so much CPU time, on a logarithmic axis: the full line by the median \
                of each defect's hunts, the dashed one by what nine in ten do not exceed.";
    let found = hunted.iter().filter(|one| one.complete()).count();
    let longest = hunted.iter().map(|one| one.cpu_p90).max().unwrap_or_default();
    let note =
        format!("{found} of {} found in every hunt; the slowest takes {} of CPU.", hunted.len(), text::span(longest));
    Section::part("Found over CPU time", note, table(hunted)).drawn(chart, says)
}

/// Where on the axis each defect was found, in order.
fn places(hunted: &[Hunted], of: fn(&Hunted) -> Duration) -> Vec<f64> {
    let found = hunted.iter().filter(|one| one.found > 0);
    let mut places: Vec<f64> = found.map(|one| (of(one).as_secs_f64().max(FIRST) / FIRST).log10()).collect();
    places.sort_by(f64::total_cmp);
    places
}

/// Stairs: one up at each place, then on to the end.
fn line(name: &str, places: &[f64], until: f64) -> Line {
    let stairs = places.iter().enumerate().flat_map(|(n, at)| [(*at, n as f64), (*at, n as f64 + 1.0)]);
    let all = [(0.0, 0.0)].into_iter().chain(stairs).chain([(until, places.len() as f64)]);
    Line { name: name.into(), points: all.map(|(at, count)| (at, Some(count))).collect() }
}

fn table(hunted: &[Hunted]) -> Table {
    let row = |one: &Hunted| {
        let cpu = |of: Duration| if one.found == 0 { "-".into() } else { format!("{:.2}", of.as_secs_f64()) };
        let seeds = if one.found == 0 { "-".into() } else { text::count(one.seeds_median) };
        let strikes = one.strikes.map_or("-".into(), |count| count.to_string());
        let by = if one.found_by.is_empty() { "nobody".into() } else { one.found_by.join(" ") };
        let hunts = format!("{}/{}", one.found, one.hunts);
        let (median, p90) = (cpu(one.cpu_median), cpu(one.cpu_p90));
        let cells = [one.defect.clone(), one.scenario.clone(), by, hunts, seeds, median, p90, strikes];
        Row::new(cells).strong(!one.complete())
    };
    let columns = vec![
        Column::words("defect"),
        Column::words("hunted in"),
        Column::words("found by"),
        Column::numbers("hunts"),
        Column::numbers("seeds"),
        Column::numbers("CPU-s p50"),
        Column::numbers("CPU-s p90"),
        Column::numbers("strikes"),
    ];
    Table::new(columns, hunted.iter().map(row).collect())
}

fn replays(hunted: &[Hunted]) -> Section {
    let row = |one: &Hunted| Some(Row::new([one.defect.clone(), one.replay.clone()?]));
    let columns = vec![Column::words("defect"), Column::words("the smallest run that shows it")];
    let table = Table::new(columns, hunted.iter().filter_map(row).collect());
    Section { folded: true, ..Section::part("Smallest runs", "", table) }
}

fn figures(hunted: &[Hunted]) -> Vec<Figure> {
    let complete = hunted.iter().filter(|one| one.complete()).count();
    let mut all = vec![Figure::more("defects found in every hunt", complete as f64, "")];
    for one in hunted {
        all.push(Figure::more(format!("{}: found", one.defect), super::percent(one.found, one.hunts), "% of hunts"));
        if one.found > 0 {
            all.push(Figure::less(format!("{}: median CPU time", one.defect), one.cpu_median.as_secs_f64(), "s"));
        }
    }
    all
}
