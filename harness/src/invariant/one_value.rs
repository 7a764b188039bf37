//! B1: one value per (partition, offset), whoever reads it and whenever.

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View, damage, every_run};
use crate::contract::Contract;
use crate::history::{Event, Kind};
use crate::invariant::ledger::{Slot, time};

pub(super) const ROW: Row = Row {
    id: "B1",
    jepsen: Some("inconsistent-offsets"),
    promise: crate::verdict::Promise::Safety,
    about: "an offset holds one record, whoever reads it and whenever",
    white_box: false,
    wants: Kinds::DELIVER,
    applies: loss,
    must: every_run,
    make: || Box::new(OneValue::default()),
};

/// A power loss may take what was not synced; what is appended next takes the offsets again.
pub(super) fn loss(contract: &Contract) -> Applies {
    if contract.acked_is_kept() { Applies::Enforced } else { Applies::ExpectedLoss }
}

#[derive(Default)]
struct OneValue {
    seen: u64,
}

impl Invariant for OneValue {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Deliver(d) = &event.kind else { return };
        self.seen += 1;
        let current = view.ledger.current();
        let before = current.before;
        let (stream, seq) = current.record.unwrap_or((Slot::FOREIGN, 0));
        let now = Slot { stream, seq, checksum: d.checksum, ..before };
        if !before.is_some() || before.same(&now) {
            return;
        }
        let who = |slot: &Slot| slot.record().map_or("a foreign record".into(), |r| view.ledger.who(r));
        let tell = || {
            let held = format!("offset {} of {} held {}", d.offset, view.ledger.name(d.tp), who(&before));
            let lines = [before, now].into_iter().filter_map(|s| s.record()).flat_map(|r| view.ledger.sending(r));
            Tell::new(format!("{held}, and now holds {}", who(&now)))
                .and(lines)
                .and(view.ledger.window(0, event.at))
                .then(format!("{}: client {} reads {}", time(event.at), d.client, who(&now)))
        };
        let called = before.record().and_then(|r| view.ledger.record(r)).map_or(0, |s| s.called);
        let part = view.ledger.part(d.tp);
        let took = part.is_some_and(|p| {
            p.took_committed(&view.rules.contract, d.offset, called) || damage::cut_took(view, p, d.offset, called)
        });
        match took {
            true => out.expected(event.at, Some(d.tp), 1, tell),
            false => out.violation(event.at, Some(d.tp), 1, tell),
        }
    }

    fn evidence(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, lazy, mark};
    use crate::contract::Contract;

    #[test]
    fn two_readers_see_the_same() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).poll(1, 0, &[(0, 0), (1, 1)]).poll(2, 1, &[(1, 1)]);
        tale.holds("B1");
    }

    #[test]
    fn two_readers_see_different_records_at_one_offset() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).poll(1, 0, &[(0, 0)]).poll(2, 0, &[(0, 1)]);
        tale.breaks("B1", 1);
    }

    #[test]
    fn an_offset_is_used_again_after_a_power_loss() {
        let mut tale = Tale::new(lazy());
        tale.sent(2).append(mark(0, 0)).flush(1).append(mark(1, 1)).poll(1, 0, &[(0, 0), (1, 1)]);
        tale.down(true).recover(1, &[mark(0, 0)]).append(mark(1, 1)).poll(1, 1, &[(1, 0)]);
        tale.excuses("B1", 1);
        tale.poll(2, 0, &[(0, 1)]);
        tale.breaks("B1", 1);
    }
}
