//! B5: what was read once stays: no read of data that vanishes later (a phantom commit).

use std::collections::BTreeSet;

use broker::ids::Offset;

use super::damage::Damage;
use super::{Findings, Invariant, Kinds, Row, Tell, View, every_run};
use crate::history::{Event, Kind, Phase, TpId};
use crate::invariant::ledger::{Part, Slot, time};

pub(super) const ROW: Row = Row {
    id: "B5",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "what was read once is still there in the final read",
    white_box: false,
    wants: Kinds::DELIVER.and(Kinds::AUDITED),
    // B21 says what is promised of a compacted log.
    applies: |contract| if contract.compaction { super::Applies::No } else { super::one_value::loss(contract) },
    must: every_run,
    make: || Box::new(ReadStays::default()),
};

#[derive(Default)]
struct ReadStays {
    judged: u64,
    /// What came in while the final read went on, as what a producer sent that was killed may: that ends where the log ended
    /// when it began.
    late: BTreeSet<(TpId, Offset)>,
    damage: Damage,
}

impl ReadStays {
    fn gone(&self, view: &View<'_>, tp: TpId, part: &Part, offset: Offset, slot: Slot, out: &mut Findings) {
        let ledger = view.ledger;
        let called = slot.record().and_then(|r| ledger.record(r)).map_or(0, |s| s.called);
        let tell = || {
            let who = slot.record().map_or("a foreign record".into(), |r| ledger.who(r));
            Tell::new(format!("{who} was read at offset {offset} of {} and is not there any more", ledger.name(tp)))
                .and(slot.record().into_iter().flat_map(|r| ledger.sending(r)))
                .and(ledger.window(called, view.at))
                .then(match part.table.get(offset) {
                    now if now.same(&slot) => format!("{}: the final read does not find it", time(view.at)),
                    _ => format!("{}: another record is read at that offset", time(view.at)),
                })
        };
        match part.took_committed(&view.rules.contract, offset, called)
            || self.damage.took(view, tp, part, offset, called)
        {
            true => out.expected(view.at, Some(tp), 1, tell),
            false => out.violation(view.at, Some(tp), 1, tell),
        }
    }
}

impl Invariant for ReadStays {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Deliver(d) = &event.kind else { return self.damage.see(event) };
        self.judged += 1;
        let before = view.ledger.current().before;
        let Some(part) = view.ledger.part(d.tp) else { return };
        if !before.is_some() && !d.last && view.ledger.began(Phase::FinalRead).is_some() {
            self.late.insert((d.tp, d.offset));
        }
        if before.is_some() && !part.table.get(d.offset).same(&before) {
            self.gone(view, d.tp, part, d.offset, before, out);
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        if view.ledger.began(Phase::FinalRead).is_none() {
            return;
        }
        for (tp, part) in view.ledger.parts() {
            let start = part.legal_start(&view.rules.contract);
            let unread = if part.last.done() { Offset::MAX } else { part.last.next };
            let late = |offset: Offset| offset >= part.last.high && self.late.contains(&(tp, offset));
            let gone = |offset: Offset, slot: &Slot| !slot.last && offset < unread && !late(offset);
            for (offset, slot) in part.table.from(start).filter(|(offset, slot)| gone(*offset, slot)) {
                self.gone(view, tp, part, offset, *slot, out);
            }
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, lazy, mark};
    use crate::contract::Contract;

    #[test]
    fn what_was_read_is_read_again() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).poll(1, 0, &[(0, 0), (1, 1)]).final_read(&[(0, 0), (1, 1)]);
        tale.holds("B5");
    }

    #[test]
    fn a_record_never_acknowledged_is_read_and_vanishes() {
        let mut tale = Tale::new(Contract::default());
        tale.send(0);
        tale.poll(1, 0, &[(0, 0)]).final_read(&[]);
        tale.breaks("B5", 1);
    }

    #[test]
    fn what_comes_in_after_the_final_read_has_begun_need_not_be_in_it() {
        for before in [false, true] {
            let mut tale = Tale::new(Contract::default());
            tale.sent(1).send(1);
            let read = |tale: &mut Tale, is: bool| {
                if is {
                    tale.poll(1, 0, &[(0, 0), (1, 1)]);
                }
            };
            read(&mut tale, before);
            tale.phase(crate::history::Phase::FinalRead);
            read(&mut tale, !before);
            tale.final_read(&[(0, 0)]);
            assert_eq!(tale.check("B5").violates("B5"), before);
        }
    }

    #[test]
    fn a_power_loss_may_take_what_was_read_before_it_was_synced() {
        let mut tale = Tale::new(lazy());
        tale.sent(1).append(mark(0, 0)).poll(1, 0, &[(0, 0)]).down(true).recover(0, &[]).final_read(&[]);
        tale.excuses("B5", 1);
    }
}
