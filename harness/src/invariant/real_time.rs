//! B24: real-time order: a record acknowledged before another was asked for has the lower offset. With B1 and B2 this
//! is linearizability of an append-only log, in one descending scan.

use super::{Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{Event, Phase};
use crate::invariant::ledger::Send;

pub(super) const ROW: Row = Row {
    id: "B24",
    jepsen: Some("nonmonotonic-send-realtime"),
    promise: crate::verdict::Promise::Safety,
    about: "a record acknowledged before another was sent has the lower offset",
    white_box: false,
    wants: Kinds::NONE,
    applies: super::always,
    must: |contract| contract.acks != 0,
    make: || Box::new(RealTime::default()),
};

#[derive(Default)]
struct RealTime {
    judged: u64,
}

impl Invariant for RealTime {
    fn see(&mut self, _event: &Event, _view: &View<'_>, _out: &mut Findings) {}

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        let ledger = view.ledger;
        let when = ledger.began(Phase::FinalRead).unwrap_or(view.at);
        for (tp, part) in ledger.parts() {
            // Of all records above: the one acknowledged first.
            let mut first: Option<((u32, u32), &Send)> = None;
            for (offset, slot) in part.table.iter().rev().filter(|(_, slot)| slot.last) {
                let Some((record, send)) = slot.record().and_then(|r| Some((r, ledger.record(r)?))) else { continue };
                if !send.acked() || send.offset != offset {
                    continue;
                }
                self.judged += 1;
                if let Some((above, early)) = first.filter(|(_, early)| early.returned < send.called) {
                    out.violation(when, Some(tp), 1, || {
                        let (low, high, name) = (ledger.who(record), ledger.who(above), ledger.name(tp));
                        let place = format!("offset {offset} of {name}, below offset {}", early.offset);
                        Tell::new(format!("{low} is at {place}, where {high} had been acknowledged before it was sent"))
                            .and(ledger.sending(above))
                            .and(ledger.sending(record))
                            .and(ledger.window(early.called, send.returned))
                    });
                }
                if first.is_none_or(|(_, early)| send.returned < early.returned) {
                    first = Some((record, send));
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
    use super::super::tale::Tale;
    use crate::contract::Contract;

    #[test]
    fn concurrent_sends_may_be_stored_either_way() {
        let mut tale = Tale::new(Contract::default());
        let (a, b) = (tale.send(0), tale.send(1));
        tale.ack(b, 0).ack(a, 1).final_read(&[(0, 1), (1, 0)]);
        tale.holds("B24");
    }

    #[test]
    fn a_later_send_gets_the_lower_offset() {
        let mut tale = Tale::new(Contract::default());
        let a = tale.send(0);
        tale.ack(a, 1);
        let b = tale.send(1);
        tale.ack(b, 0).final_read(&[(0, 1), (1, 0)]);
        tale.breaks("B24", 1);
    }
}
