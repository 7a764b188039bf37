//! The phases of a run and the strikes within them, in the order of world time.

use comfy_table::{Attribute, Cell};
use harness::fault::PASSED;
use harness::history::Phase;
use harness::plan::Trigger;
use harness::recipe::in_words;
use harness::report::{RunReport, Struck};

use super::page;

/// The timeline, with what never struck at its end.
pub(super) fn timeline(report: &RunReport, width: usize) -> String {
    let mut rows: Vec<(u64, [Cell; 4])> =
        report.phases.iter().map(|(phase, at)| (*at, phase_row(*phase, *at))).collect();
    rows.extend(report.strikes.iter().filter_map(|s| s.at.map(|at| (at, strike_row(s, at)))));
    rows.sort_by_key(|(at, _)| *at);
    let mut table = page::table(width, &[]);
    for (_, row) in rows {
        table.add_row(row);
    }
    for struck in report.strikes.iter().filter(|s| s.at.is_none()) {
        table.add_row(missed_row(struck));
    }
    let struck = report.strikes.iter().filter(|s| s.at.is_some() && s.on != PASSED).count();
    let note = format!("seconds of world time; {struck} of {} planned strikes struck", report.strikes.len());
    page::heading("Timeline", &note) + &page::finish(&table)
}

fn phase_row(phase: Phase, at: u64) -> [Cell; 4] {
    [
        page::number(page::seconds(at)),
        Cell::new(phase_name(phase)).add_attribute(Attribute::Bold),
        Cell::new(""),
        Cell::new(""),
    ]
}

fn strike_row(struck: &Struck, at: u64) -> [Cell; 4] {
    let healed = match struck.healed {
        Some(healed) => format!("healed {} (+{})", page::seconds(healed), page::seconds(healed.saturating_sub(at))),
        None if struck.on == PASSED => String::new(),
        None => String::from("never healed"),
    };
    [page::number(page::seconds(at)), name(struck), Cell::new(&struck.on), page::dim(healed)]
}

fn missed_row(struck: &Struck) -> [Cell; 4] {
    let why = match &struck.strike.trigger {
        Trigger::At { ms } => format!("was due {ms} ms into the strikes"),
        Trigger::Nth { of, n, .. } => format!("waited for {} {n}", of.name()),
        Trigger::Then { waits } => format!("waited for {}", in_words(waits)),
    };
    let why = if struck.on.is_empty() { why } else { format!("{}; {why}", struck.on) };
    [page::number("-"), name(struck), page::dim(why), page::dim("never struck")]
}

fn name(struck: &Struck) -> Cell {
    Cell::new(format!("  #{} {}", struck.strike.id, struck.strike.fault))
}

/// A phase in words.
pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::WarmUp => "warm-up",
        Phase::Steady => "steady",
        Phase::Strikes => "strikes",
        Phase::Heal => "heal",
        Phase::Drain => "drain",
        Phase::FinalRead => "final read",
        Phase::Audit => "audit",
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_strike_that_found_nothing_to_harm_is_none_and_needs_no_cure() {
        let mut report = fixture::passed();
        let whole = timeline(&report, 100);
        assert!(whole.contains("1 of 2 planned strikes struck") && whole.contains("healed"), "{whole}");
        (report.strikes[0].healed, report.strikes[0].on) = (None, PASSED.into());
        let passed = timeline(&report, 100);
        assert!(passed.contains("0 of 2 planned strikes struck") && passed.contains(PASSED), "{passed}");
        assert!(!passed.contains("healed"), "{passed}");
    }
}
