//! A8: of every event that was acknowledged, an application has in the end either done what it asks for or given it up with a
//! letter in the dead-letter topic, and not both. Which letters there are the final read of that topic says.

use std::collections::{BTreeMap, BTreeSet};

use super::once::tell_event;
use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::contract::Contract;
use crate::history::{AppStep, Event, Kind, Origin, RecordId, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "A8",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "every acknowledged event is done or given up in the end, and not both",
    white_box: false,
    wants: Kinds::APP,
    applies: |contract| match contract.apps > 0 && contract.committed_is_kept() {
        true => Applies::Enforced,
        false => Applies::No,
    },
    must: |contract| contract.apps > 0 && contract.acks != 0,
    make: || Box::new(AllSettled::default()),
};

/// What became of an event, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done(u64),
    GivenUp(u64),
}

#[derive(Default)]
struct AllSettled {
    judged: u64,
    fates: BTreeMap<(u32, TpId, RecordId), Fate>,
    /// Of these the final read has found letters.
    letters: BTreeSet<(u32, TpId, RecordId)>,
}

/// Whether a letter that was acknowledged must be there in the end: where there is a topic for them, which only the final
/// read reads.
fn letters_stay(contract: &Contract) -> bool {
    let removed = contract.retention || contract.compaction;
    !contract.unread.is_empty() && contract.acked_is_kept() && !removed
}

impl AllSettled {
    fn meets(&mut self, app: u32, of: Origin, fate: Fate, view: &View<'_>, out: &mut Findings) {
        let before = *self.fates.entry((app, of.tp, of.id)).or_insert(fate);
        let ((Fate::Done(done), Fate::GivenUp(up)) | (Fate::GivenUp(up), Fate::Done(done))) = (before, fate) else {
            return;
        };
        out.violation(view.at, Some(of.tp), 1, || {
            Tell::new(format!("application {app} has done and given up {}", tell_event(of, view)))
                .then(format!("{}: done", time(done)))
                .then(format!("{}: given up", time(up)))
                .and(view.ledger.window(done.min(up), view.at))
        });
    }
}

impl Invariant for AllSettled {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        match event.kind {
            Kind::App { app, what: AppStep::Effect { of, .. } } => {
                self.meets(app, of, Fate::Done(view.at), view, out);
            }
            Kind::App { app, what: AppStep::Buried { of } } => self.meets(app, of, Fate::GivenUp(view.at), view, out),
            Kind::App { app, what: AppStep::Redriven { of } } => drop(self.fates.remove(&(app, of.tp, of.id))),
            Kind::App { app, what: AppStep::Letter { of } } => drop(self.letters.insert((app, of.tp, of.id))),
            _ => {}
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        let contract = &view.rules.contract;
        let input = |tp| !contract.passed_on.contains(&tp);
        for (number, stream) in (0u32..).zip(view.ledger.streams()).filter(|(_, stream)| input(stream.tp)) {
            let Some(part) = view.ledger.part(stream.tp) else { continue };
            for (seq, send) in (0u32..).zip(stream.sends.iter()).filter(|(_, send)| send.acked()) {
                // What may have been lost, and was not, is owed all the same.
                if !send.in_final() && part.took(contract, send.offset, send.called) {
                    continue;
                }
                let (producer, incarnation) = (stream.producer, stream.incarnation);
                let id = RecordId { producer, incarnation, seq: u64::from(seq) };
                for app in 0..contract.apps {
                    self.judged += 1;
                    let event = (app, stream.tp, id);
                    let what = match (self.fates.get(&event), self.letters.contains(&event)) {
                        (Some(Fate::Done(_)), _) | (_, true) => continue,
                        (Some(Fate::GivenUp(_)), false) if !letters_stay(contract) => continue,
                        (Some(Fate::GivenUp(_)), false) => "has given up, and left no letter about,",
                        (None, false) => "has neither done nor given up",
                    };
                    out.violation(view.at, Some(stream.tp), 1, || {
                        let (who, offset) = (view.ledger.who((number, seq)), send.offset);
                        let at = view.ledger.name(stream.tp);
                        Tell::new(format!("application {app} {what} {who}, offset {offset} of {at}"))
                            .and(view.ledger.sending((number, seq)))
                            .and(view.ledger.window(send.called, view.at))
                    });
                }
            }
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale, apps, origin};
    use super::*;

    #[test]
    fn all_is_done_or_given_up() {
        let mut tale = Tale::new(apps());
        tale.sent(3).effect(0, 0).app(AppStep::Buried { of: origin(1) }).app(AppStep::Buried { of: origin(1) });
        tale.effect(1, 2).effect(0, 0);
        tale.holds("A8");
        tale.app(AppStep::Redriven { of: origin(1) });
        tale.breaks("A8", 1);
        tale.effect(2, 1);
        tale.holds("A8");
    }

    #[test]
    fn one_is_forgotten() {
        let mut tale = Tale::new(apps());
        tale.sent(3).effect(0, 0).effect(1, 2);
        tale.breaks("A8", 1);
        tale.rules.contract.passed_on = vec![TP];
        assert_eq!(tale.check("A8").of("A8").map(|row| (row.count, row.violations)), Some((0, 0)), "it is no input");
    }

    #[test]
    fn what_is_given_up_has_a_letter_in_the_end() {
        for (letter, broken) in [(0, 0), (1, 1)] {
            let mut tale = Tale::new(Contract { unread: vec![TpId(1)], ..apps() });
            tale.sent(2)
                .effect(0, 1)
                .app(AppStep::Buried { of: origin(0) })
                .app(AppStep::Letter { of: origin(letter) });
            match broken {
                0 => tale.holds("A8"),
                _ => tale.breaks("A8", broken),
            }
        }
        // Its own process had no time to say so.
        let mut tale = Tale::new(apps());
        tale.sent(1).app(AppStep::Letter { of: origin(0) });
        tale.holds("A8");
    }

    #[test]
    fn one_is_done_and_given_up() {
        for first_done in [true, false] {
            let mut tale = Tale::new(apps());
            tale.sent(1);
            if first_done {
                tale.effect(0, 0);
            }
            tale.app(AppStep::Buried { of: origin(0) }).effect(0, 0);
            tale.breaks("A8", 1);
        }
    }
}
