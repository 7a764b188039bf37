//! A3: what events of one key ask for is done in the order in which they are in the log, whichever way each of them took:
//! none overtakes one that waits to be tried again, or that is being given up. What was taken to hand again after it was
//! given up comes late by nature, and is not judged.

use std::collections::{BTreeMap, BTreeSet};

use super::once::tell_event;
use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{AppStep, Event, Kind, Origin, RecordId, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "A3",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "events of one key are done, or given up, in the order of the log",
    white_box: false,
    wants: Kinds::APP,
    applies: |contract| if contract.apps > 0 { Applies::Enforced } else { Applies::No },
    must: |contract| contract.apps > 0,
    make: || Box::new(KeyOrder::default()),
};

#[derive(Default)]
struct KeyOrder {
    judged: u64,
    /// Events that were done or given up, or whose turn does not count any more.
    settled: BTreeSet<(u32, TpId, RecordId)>,
    /// By application and key: the furthest event settled, and when.
    furthest: BTreeMap<(u32, TpId, u32), (Origin, u64)>,
}

impl KeyOrder {
    fn settles(&mut self, app: u32, of: Origin, view: &View<'_>, out: &mut Findings) {
        // Only the first time counts: what comes again is another promise's affair.
        let (true, Some(key)) = (self.settled.insert((app, of.tp, of.id)), of.key) else { return };
        let Some((last, at)) = self.furthest.get_mut(&(app, of.tp, key)) else {
            self.furthest.insert((app, of.tp, key), (of, view.at));
            return;
        };
        self.judged += 1;
        if last.offset <= of.offset {
            (*last, *at) = (of, view.at);
            return;
        }
        let (last, at) = (*last, *at);
        out.violation(view.at, Some(of.tp), 1, || {
            Tell::new(format!("application {app} has let a later event of one key pass {}", tell_event(of, view)))
                .then(format!("{}: settled: {}", time(at), tell_event(last, view)))
                .then(format!("{}: settled: {}", time(view.at), tell_event(of, view)))
                .and(view.ledger.window(at, view.at))
        });
    }
}

impl Invariant for KeyOrder {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        match event.kind {
            Kind::App { app, what: AppStep::Effect { of, .. } | AppStep::Buried { of } } => {
                self.settles(app, of, view, out);
            }
            Kind::App { app, what: AppStep::Redriven { of } } => drop(self.settled.insert((app, of.tp, of.id))),
            _ => {}
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, apps, origin};
    use super::*;

    /// Records 0, 2, 4 have one key, 1 and 3 another.
    fn tale() -> Tale {
        let mut tale = Tale::new(apps());
        tale.sent(5);
        tale
    }

    #[test]
    fn keys_go_their_own_ways() {
        let mut tale = tale();
        tale.effect(0, 1).effect(1, 3).effect(2, 0).app(AppStep::Buried { of: origin(2) }).effect(3, 4).effect(4, 0);
        tale.holds("A3");
    }

    #[test]
    fn one_overtakes_another_of_its_key() {
        let mut tale = tale();
        tale.effect(0, 0).effect(1, 4).effect(2, 2);
        tale.breaks("A3", 1);
    }

    #[test]
    fn one_passes_another_that_is_then_given_up() {
        let mut tale = tale();
        tale.effect(0, 2).app(AppStep::Buried { of: origin(0) });
        tale.breaks("A3", 1);
    }

    #[test]
    fn what_is_redriven_comes_late() {
        let mut tale = tale();
        tale.app(AppStep::Buried { of: origin(0) }).effect(0, 2).app(AppStep::Redriven { of: origin(0) }).effect(1, 0);
        tale.holds("A3");
    }
}
