//! The course of runs in which something happened: faults, members that came and went, a backlog, as bands behind what was
//! measured meanwhile.

use ::load::backlog::Backlog;
use ::load::events::Episode;
use ::load::outcome::{Outcome, Quantiles, grouped};
use ::load::rounds::Rounds;
use ::load::steady::Window;

use crate::chart::{self, Band, Line, Panel};
use crate::document::{Column, Row, Section, Table};

/// One for the middle round of each case in which something happened.
pub(super) fn sections(all: &[Rounds]) -> Vec<Section> {
    let eventful = |of: &Outcome| of.backlog.is_some() || !of.episodes.is_empty();
    let middles = all.iter().filter_map(|rounds| Some((rounds.workload.as_str(), rounds.middle()?)));
    middles.filter(|(_, of)| eventful(of)).map(|(workload, of)| section(workload, of)).collect()
}

fn section(workload: &str, of: &Outcome) -> Section {
    let began = of.windows.first().map_or(0, |window| window.at_ms);
    let at = |ms: u64| ms.saturating_sub(began) as f64 / 1e3;
    let until = of.windows.last().map_or(0.0, |window| at(window.at_ms) + 0.5);
    let band = |episode: &Episode| Band {
        from: at(episode.from_ms),
        to: episode.over_ms.map_or(until, at),
        name: named(of, episode),
    };
    let caught_up = |backlog: &Backlog| Band {
        from: at(backlog.from_ms),
        to: at(backlog.to_ms).min(until),
        name: "catching up".into(),
    };
    let bands: Vec<Band> = of.episodes.iter().map(band).chain(of.backlog.iter().map(caught_up)).collect();
    let line = |name: &str, value: fn(&Window) -> u64| Line {
        name: name.into(),
        points: of.windows.iter().map(|w| (at(w.at_ms) + 0.25, Some(value(w) as f64))).collect(),
    };
    let mut panels = vec![
        Panel::new("acknowledged, records/s", vec![line("", |w| w.records * 2)]),
        Panel::log("us to the acknowledgement", vec![line("p50", |w| w.p50_us), line("p99", |w| w.p99_us)]),
    ];
    if of.spec.reads_along() {
        panels.push(Panel::new("records acknowledged and not read yet", vec![line("", |w| w.lag)]));
    }
    let chart = chart::panels(&panels, &bands, until, chart::seconds).unwrap_or_default();
    let says = "Half-seconds of the round in the middle, the warm-up included; latency on a logarithmic scale. Bands last until what \
                was done is undone and every partition was acknowledged and read again, or until the backlog was worked off.";
    Section::part(format!("{workload}: its course"), note(of), table(of)).drawn(chart, says)
}

fn named(of: &Outcome, episode: &Episode) -> String {
    match episode.what.is_fault() && of.spec.replication > 1 {
        true => format!("{} {}", episode.what.name(), episode.node),
        false => episode.what.name().into(),
    }
}

fn note(of: &Outcome) -> String {
    let c = of.checks;
    let [acked, again] = [c.acked, c.duplicated].map(|n| grouped(n as f64));
    let checked =
        format!("{acked} records acknowledged: {} lost, {again} read again, {} out of order.", c.lost, c.disordered);
    let Some(b) = of.backlog else { return checked };
    let predicted = b.predicted_s.map_or("it never ends".into(), |s| format!("{s:.2} s"));
    let end = if b.drained { "worked off in" } else { "not worked off in" };
    format!(
        "{} records, {end} {:.2} s at {} records/s while {}/s came; X W / (C - W) at the pace of its first quarter: {predicted}. {checked}",
        grouped(b.records as f64),
        b.drain_s,
        grouped(b.catch_up),
        grouped(b.produced),
    )
}

fn table(of: &Outcome) -> Table {
    let seconds = |ms: f64| format!("{:.2}", ms / 1e3);
    let row = |[what, over, one, all, unread]: [String; 5], q: Quantiles| {
        let [p50, p99, max] = [q.p50, q.p99, q.max].map(|us| us.to_string());
        Row::new([what, over, one, all, unread, p50, p99, max])
    };
    let without = |name: &str, q| row([name, "-", "-", "-", "-"].map(Into::into), q);
    let episode = |one: &Episode| {
        let over = one.over_ms.map(|over| seconds(over.saturating_sub(one.from_ms) as f64));
        let times = [
            named(of, one),
            over.unwrap_or("not over".into()),
            seconds(one.silent_ms),
            seconds(one.all_silent_ms),
            one.unread_ms.map_or("-".into(), seconds),
        ];
        row(times, one.publish)
    };
    let backlog = of.backlog.iter().flat_map(|b| [without("before", b.before), without("catching up", b.during)]);
    let calm = of.calm.iter().map(|q| without("before", *q));
    let heads = ["over after s", "one silent s", "all silent s", "unread s", "p50 us", "p99 us", "max us"];
    let columns = [Column::words("what")].into_iter().chain(heads.map(Column::numbers)).collect();
    Table::new(columns, backlog.chain(calm).chain(of.episodes.iter().map(episode)).collect())
}
