//! A2: an application has done once what an event asks for, however often it was handed it; and what it has done, and has
//! said is durable, stays done. Where it makes no effort to know events again, each time more is counted.

use std::collections::BTreeMap;

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{AppStep, Event, Kind, Origin, RecordId, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "A2",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "what an event asks for is done once, and stays done",
    white_box: false,
    wants: Kinds::APP,
    applies: |contract| match (contract.apps, contract.effects_repeat) {
        (0, _) => Applies::No,
        (_, true) => Applies::ExpectedLoss,
        (_, false) => Applies::Enforced,
    },
    must: |contract| contract.apps > 0,
    make: || Box::new(Once::default()),
};

/// A row of an application's ledger, and when it was stated first.
type Entry = (Origin, u64);

#[derive(Default)]
struct Once {
    judged: u64,
    repeats: u64,
    /// By application: its ledger.
    ledgers: BTreeMap<u32, BTreeMap<u64, Entry>>,
    /// By application and event: the rows that say it is done.
    done: BTreeMap<(u32, TpId, RecordId), Vec<u64>>,
}

/// An event in words.
pub(super) fn tell_event(of: Origin, view: &View<'_>) -> String {
    let who = view.ledger.find(of.tp, of.id).map_or_else(|| "a record nobody sent".into(), |r| view.ledger.who(r));
    format!("{who}, met at offset {} of {}", of.offset, view.ledger.name(of.tp))
}

impl Once {
    fn opened(&self, app: u32, rows: u64, view: &View<'_>, out: &mut Findings) {
        let Some((last, (of, at))) = self.ledgers.get(&app).and_then(|ledger| ledger.last_key_value()) else { return };
        if *last >= rows {
            out.violation(view.at, Some(of.tp), last + 1 - rows, || {
                Tell::new(format!("application {app} has lost effects: it opens its store with {rows} on record"))
                    .then(format!("{}: row {last} was durable: {}", time(*at), tell_event(*of, view)))
                    .then(format!("{}: its store has {rows} rows", time(view.at)))
            });
        }
    }

    fn effect(&mut self, app: u32, row: u64, of: Origin, view: &View<'_>, out: &mut Findings) {
        let ledger = self.ledgers.entry(app).or_default();
        let (before, stated) = *ledger.entry(row).or_insert((of, view.at));
        if before != of {
            return out.violation(view.at, Some(of.tp), 1, || {
                Tell::new(format!("row {row} of application {app} has changed"))
                    .then(format!("{}: it was for {}", time(stated), tell_event(before, view)))
                    .then(format!("{}: it is for {}", time(view.at), tell_event(of, view)))
            });
        }
        let rows = self.done.entry((app, of.tp, of.id)).or_default();
        if rows.contains(&row) {
            return;
        }
        rows.push(row);
        self.judged += 1;
        if rows.len() < 2 {
            return;
        }
        self.repeats += 1;
        let lines = rows.iter().filter_map(|row| Some((row, self.ledgers.get(&app)?.get(row)?)));
        let lines = lines.map(|(row, (of, at))| format!("{}: row {row}: {}", time(*at), tell_event(*of, view)));
        let first = rows.first().and_then(|row| Some(self.ledgers.get(&app)?.get(row)?.1)).unwrap_or(0);
        out.expected(view.at, Some(of.tp), 1, || {
            Tell::new(format!("application {app} has done {} times what {} asks for", rows.len(), tell_event(of, view)))
                .and(lines)
                .and(view.ledger.window(first, view.at))
        });
    }
}

impl Invariant for Once {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        match event.kind {
            Kind::App { app, what: AppStep::Opened { rows } } => self.opened(app, rows, view, out),
            Kind::App { app, what: AppStep::Effect { row, of } } => self.effect(app, row, of, view, out),
            _ => {}
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        if view.rules.contract.effects_repeat && self.repeats == 0 {
            out.vacuous(view.at, None, || Tell::new("nothing was done twice although nobody keeps it from being"));
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, apps};
    use super::*;

    #[test]
    fn a_later_life_states_what_was_done_before_it() {
        let mut tale = Tale::new(apps());
        tale.sent(3).app(AppStep::Opened { rows: 0 }).effect(0, 0).effect(1, 1);
        tale.app(AppStep::Opened { rows: 3 }).effect(0, 0).effect(1, 1).effect(2, 2);
        tale.holds("A2");
    }

    #[test]
    fn an_event_is_done_twice() {
        let mut tale = Tale::new(apps());
        tale.sent(3).effect(0, 0).effect(1, 1).effect(2, 0);
        tale.breaks("A2", 1);
        tale.rules.contract.effects_repeat = true;
        tale.excuses("A2", 1);
    }

    #[test]
    fn what_was_durable_is_gone() {
        let mut tale = Tale::new(apps());
        tale.sent(3).effect(0, 0).effect(1, 1).effect(2, 2).app(AppStep::Opened { rows: 1 });
        tale.breaks("A2", 2);
        let mut tale = Tale::new(apps());
        tale.sent(3).effect(0, 0).effect(0, 1);
        tale.breaks("A2", 1);
    }

    #[test]
    fn a_run_without_repeats_proves_nothing_where_they_are_expected() {
        let mut tale = Tale::new(crate::contract::Contract { effects_repeat: true, ..apps() });
        tale.sent(1).effect(0, 0);
        assert_eq!(tale.check("A2").verdict, crate::verdict::Verdict::Vacuous);
    }
}
