//! Sweeps: what more of something brings, and the law of scalability that it follows.

use ::load::outcome::grouped;
use ::load::over::Place;
use ::load::rounds::Rounds;

use crate::chart::{self, Line, Panel};
use crate::document::{Column, Row, Section, Table};

/// Steps of the law's line.
const STEPS: u32 = 60;

/// One for each case that was swept.
pub(super) fn sections(all: &[Rounds]) -> Vec<Section> {
    let placed: Vec<(&Rounds, &Place)> = all.iter().filter_map(|one| Some((one, one.over.as_ref()?))).collect();
    placed.chunk_by(|(_, a), (_, b)| (&a.case, &a.axis) == (&b.case, &b.axis)).filter_map(section).collect()
}

fn section(of: &[(&Rounds, &Place)]) -> Option<Section> {
    let (_, first) = of.first()?;
    let law = of.iter().find_map(|(_, place)| place.law.as_ref());
    let until = of.iter().map(|(_, place)| place.value).max()? as f64;
    let result = |rounds: &Rounds| (rounds.results() > 0).then_some(rounds.rate.median);
    let measured = of.iter().map(|(rounds, place)| (place.value as f64, result(rounds))).collect();
    let mut lines = vec![Line { name: "measured".into(), points: measured }];
    if let Some(law) = law {
        let at = |n: u32| 1.0 + (until - 1.0).max(0.0) * f64::from(n) / f64::from(STEPS);
        let points = (0..=STEPS).map(|n| (at(n), Some(law.usl.at(at(n))))).collect();
        lines.push(Line { name: "the law".into(), points });
    }
    let panel = Panel::new(format!("records/s, by {}", first.axis), lines);
    let show = |n: f64| crate::capacity::unit::Kind::Count.show(n);
    let chart = chart::panels(&[panel], &[], until, show).unwrap_or_default();
    let row = |(rounds, place): &(&Rounds, &Place)| {
        let lawful = law.map_or("-".into(), |law| grouped(law.usl.at(place.value as f64)));
        let rate = result(rounds).map_or("no result".into(), grouped);
        let range = format!("{}..{}", grouped(rounds.rate.least), grouped(rounds.rate.most));
        Row::new([
            place.value.to_string(),
            rate,
            range,
            lawful,
            format!("{} of {}", rounds.results(), rounds.outcomes.len()),
        ])
    };
    let heads = ["records/s", "least..most", "by the law"].map(Column::numbers);
    let columns = [Column::numbers("at")].into_iter().chain(heads).chain([Column::words("results")]);
    let note = law.map_or("Fewer than three results: no law.".into(), |law| {
        format!("Universal Scalability Law: {}.", law.to_string().trim())
    });
    let says = "Medians of those rounds that are results, beside the Universal Scalability Law fitted to them.";
    let table = Table::new(columns.collect(), of.iter().map(row).collect());
    Some(Section::part(format!("{} over {}", first.case, first.axis), note, table).drawn(chart, says))
}
