//! B6: what one producer sends to one partition is stored in the order in which it was sent.
//!
//! Judged by acknowledged places: a record whose fate is unknown may arrive late over a connection long given up, and a
//! retry may leave a second copy; neither is promised an order.

use super::{Findings, Invariant, Kinds, Row, Tell, View, damage, every_run};
use crate::contract::Contract;
use crate::history::{Event, Phase};
use crate::invariant::Applies;
use crate::invariant::ledger::Send;

pub(super) const ROW: Row = Row {
    id: "B6",
    jepsen: Some("nonmonotonic-send"),
    promise: crate::verdict::Promise::Safety,
    about: "a producer's records to a partition are stored in the order sent",
    white_box: false,
    wants: Kinds::NONE,
    applies,
    must: every_run,
    make: || Box::new(Order::default()),
};

fn applies(contract: &Contract) -> Applies {
    if contract.order_is_kept() && contract.acks != 0 { Applies::Enforced } else { Applies::No }
}

#[derive(Default)]
struct Order {
    judged: u64,
}

impl Invariant for Order {
    fn see(&mut self, _event: &Event, _view: &View<'_>, _out: &mut Findings) {}

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        let ledger = view.ledger;
        let when = ledger.began(Phase::FinalRead).unwrap_or(view.at);
        for (number, stream) in (0u32..).zip(ledger.streams()) {
            let Some(part) = ledger.part(stream.tp) else { continue };
            let mut highest: Option<(u32, &Send)> = None;
            let stored = |s: &Send, seq| part.table.get(s.offset).record() == Some((number, seq));
            // One that a crash took, as the contract lets it, holds its place no longer.
            let taken = |s: &Send| {
                part.took(&view.rules.contract, s.offset, s.called) || damage::cut_took(view, part, s.offset, s.called)
            };
            let placed = (0u32..).zip(stream.sends.iter()).filter(|(seq, s)| s.acked() && stored(s, *seq) && !taken(s));
            for (seq, send) in placed {
                self.judged += 1;
                let Some((older, before)) = highest.filter(|(_, before)| before.offset > send.offset) else {
                    highest = Some((seq, send));
                    continue;
                };
                out.violation(when, Some(stream.tp), 1, || {
                    let (young, old) = (ledger.who((number, seq)), ledger.who((number, older)));
                    let (at, above, name) = (send.offset, before.offset, ledger.name(stream.tp));
                    Tell::new(format!(
                        "{young} is at offset {at} of {name}, below {old}, sent earlier, at offset {above}"
                    ))
                    .and(ledger.sending((number, older)))
                    .and(ledger.sending((number, seq)))
                    .and(ledger.window(before.called, send.returned))
                });
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
    fn a_late_second_copy_is_no_disorder() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).final_read(&[(0, 0), (1, 1), (2, 0)]);
        tale.holds("B6");
    }

    #[test]
    fn a_retry_overtakes() {
        let mut tale = Tale::new(Contract::default());
        let (a, b) = (tale.send(0), tale.send(1));
        tale.ack(b, 0).ack(a, 1).final_read(&[(0, 1), (1, 0)]);
        tale.breaks("B6", 1);
    }

    #[test]
    fn nothing_is_promised_with_retries_and_several_requests_in_flight() {
        let contract = Contract { max_in_flight: 5, ..Contract::default() };
        assert_eq!(super::applies(&contract), super::Applies::No);
        assert_eq!(super::applies(&Contract { retries: false, ..contract }), super::Applies::Enforced);
    }
}
