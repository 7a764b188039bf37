//! A result beside a baseline of its kind.

use std::collections::BTreeMap;

use super::{Better, Chapter, Figure};
use crate::capacity::unit::Kind;
use crate::chart::{self, Bar};
use crate::document::{Column, Row, Section, Table};
use crate::text;

/// A number that moved by no more than this is called the same: so much do measurements differ by themselves.
const SAME: f64 = 0.05;
/// Bars in the chart.
const BARS: usize = 12;

/// What became of a number.
struct Moved<'a> {
    figure: &'a Figure,
    before: Option<f64>,
    now: Option<f64>,
}

impl Moved<'_> {
    /// Now to before; nothing if one of them is not there, or before was zero.
    fn ratio(&self) -> Option<f64> {
        let before = self.before.filter(|before| *before != 0.0)?;
        Some(self.now? / before)
    }

    fn differs(&self) -> bool {
        self.before != self.now
    }

    fn word(&self) -> &'static str {
        let (before, now) = match (self.before, self.now) {
            (Some(before), Some(now)) => (before, now),
            (None, _) => return "new",
            (_, None) => return "gone",
        };
        if (now - before).abs() <= SAME * before.abs() {
            return "same";
        }
        match (self.figure.better, now < before) {
            (Better::Neither, _) => "another",
            (Better::Less, true) | (Better::More, false) => "better",
            (Better::Less, false) | (Better::More, true) => "worse",
        }
    }

    /// How far it moved, whichever way.
    fn far(&self) -> f64 {
        self.ratio().map_or(f64::INFINITY, |ratio| ratio.max(f64::MIN_POSITIVE).ln().abs())
    }
}

/// Every number that is not the same as in the baseline: the worse ones first, then by how far they moved.
pub(super) fn section(now: &Chapter, name: &str, before: &Chapter, base: &str) -> Section {
    let by_name = |all: &'_ [Figure]| all.iter().map(|one| (one.name.clone(), one.value)).collect::<BTreeMap<_, _>>();
    let (old, new) = (by_name(&before.figures), by_name(&now.figures));
    let gone = before.figures.iter().filter(|one| !new.contains_key(&one.name));
    let all = now.figures.iter().chain(gone);
    let moved =
        all.map(|figure| Moved { figure, before: old.get(&figure.name).copied(), now: new.get(&figure.name).copied() });
    let (mut differing, equal): (Vec<_>, Vec<_>) = moved.partition(Moved::differs);
    differing.sort_by(|a, b| (b.word() == "worse").cmp(&(a.word() == "worse")).then(b.far().total_cmp(&a.far())));
    let bars: Vec<Bar> = differing.iter().filter(|one| one.word() != "same").filter_map(bar).take(BARS).collect();
    let all: Vec<Bar> = [Bar::new("the baseline", 1.0, "1.00")].into_iter().chain(bars).collect();
    let chart = if all.len() == 1 { String::new() } else { chart::across(&all).unwrap_or_default() };
    let columns = vec![
        Column::words("what"),
        Column::numbers("baseline"),
        Column::numbers("now"),
        Column::numbers("ratio"),
        Column::words("which is"),
    ];
    let section = Section::part(
        format!("{}: {name} beside {base}", now.title),
        note(now, before, &differing, equal.len()),
        Table::new(columns, differing.iter().map(row).collect()),
    );
    let says = "Each number now for that of the baseline, those that are worse first.";
    Section { folded: false, ..section.drawn(chart, says) }
}

fn note(now: &Chapter, before: &Chapter, differing: &[Moved<'_>], equal: usize) -> String {
    let count = |word: &str| differing.iter().filter(|one| one.word() == word).count();
    let word = |chapter: &Chapter| chapter.verdict.map_or("-", text::verdict_word);
    let verdict = match (word(before), word(now)) {
        (a, b) if a == b => String::new(),
        (a, b) => format!("The verdict was {a} and is {b}. "),
    };
    let other = if before.title == now.title { String::new() } else { format!("The baseline is {}. ", before.title) };
    format!(
        "{other}{verdict}{} worse, {} better, {} within {:.0} %, {} new or gone, {equal} equal.",
        count("worse"),
        count("better"),
        count("same"),
        100.0 * SAME,
        count("new") + count("gone"),
    )
}

fn bar(one: &Moved<'_>) -> Option<Bar> {
    let ratio = one.ratio()?;
    let word = one.word();
    Some(Bar::new(one.figure.name.as_str(), ratio, format!("{ratio:.2} {word}")).main(word == "worse"))
}

fn row(one: &Moved<'_>) -> Row {
    let show = |value: Option<f64>| value.map_or("-".into(), |value| amount(value, one.figure.unit));
    let ratio = one.ratio().map_or("-".into(), |ratio| format!("{ratio:.2}"));
    let cells = [one.figure.name.clone(), show(one.before), show(one.now), ratio, one.word().into()];
    Row::new(cells).strong(one.word() == "worse")
}

/// A number with its unit.
fn amount(value: f64, unit: &str) -> String {
    let number = if value.fract() == 0.0 && value.abs() < 1e15 {
        Kind::Count.show(value)
    } else if value.abs() < 10.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1}")
    };
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapter(figures: &[(&str, f64, Better)]) -> Chapter {
        let figure = |(name, value, better): &(&str, f64, Better)| Figure {
            name: (*name).into(),
            value: *value,
            unit: "",
            better: *better,
        };
        Chapter { title: "T".into(), figures: figures.iter().map(figure).collect(), ..Chapter::default() }
    }

    #[test]
    fn what_is_worse_comes_first_and_what_is_equal_is_counted() {
        let before = chapter(&[
            ("rate", 100.0, Better::More),
            ("lag", 10.0, Better::Less),
            ("runs", 5.0, Better::Neither),
            ("old", 1.0, Better::Less),
            ("noise", 100.0, Better::Less),
            ("failed", 0.0, Better::Less),
        ]);
        let now = chapter(&[
            ("rate", 50.0, Better::More),
            ("lag", 5.0, Better::Less),
            ("runs", 5.0, Better::Neither),
            ("noise", 101.0, Better::Less),
            ("failed", 2.0, Better::Less),
            ("fresh", 2.0, Better::Neither),
        ]);
        let section = section(&now, "b", &before, "a");
        let told: Vec<(&str, &str, &str)> =
            section.table.rows.iter().map(|row| (&*row.cells[0], &*row.cells[3], &*row.cells[4])).collect();
        let all = [
            ("failed", "-", "worse"),
            ("rate", "0.50", "worse"),
            ("fresh", "-", "new"),
            ("old", "-", "gone"),
            ("lag", "0.50", "better"),
            ("noise", "1.01", "same"),
        ];
        assert_eq!(told, all);
        assert_eq!(section.note, "2 worse, 1 better, 1 within 5 %, 2 new or gone, 1 equal.");
        // The baseline and two that moved; what was zero before has no ratio.
        let filled = |colour: &str| section.chart.matches(&format!("fill=\"{colour}\"")).count();
        assert_eq!((filled("#D55E00"), filled("#0072B2")), (1, 2), "{}", section.chart);
    }
}
