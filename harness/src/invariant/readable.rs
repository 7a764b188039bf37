//! L3: once all faults are cured, everything acknowledged becomes readable: the final read comes to the end of every
//! partition that has acknowledged records.

use super::{Findings, Invariant, Kinds, Row, Tell, View, damage, every_run};
use crate::contract::Contract;
use crate::history::{Event, Phase};
use crate::invariant::Applies;
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "L3",
    jepsen: Some("unseen"),
    promise: crate::verdict::Promise::Liveness,
    about: "after healing, every partition can be read to its end",
    white_box: false,
    wants: Kinds::NONE,
    applies: unless_rotten,
    must: every_run,
    make: || Box::new(Readable::default()),
};

/// Where stored bits may flip, a partition may stay closed or unreadable behind the damage; each is counted.
pub(super) fn unless_rotten(contract: &Contract) -> Applies {
    if contract.bit_rot { Applies::ExpectedLoss } else { Applies::Enforced }
}

#[derive(Default)]
struct Readable {
    judged: u64,
}

impl Invariant for Readable {
    fn see(&mut self, _event: &Event, _view: &View<'_>, _out: &mut Findings) {}

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        let ledger = view.ledger;
        let Some(began) = ledger.began(Phase::FinalRead) else { return };
        for (tp, part) in ledger.parts().filter(|(_, part)| part.visible > 0) {
            self.judged += 1;
            let last = part.last;
            if last.done() {
                continue;
            }
            let tell = || {
                let high =
                    if last.high < 0 { "an end nobody stated".into() } else { format!("high watermark {}", last.high) };
                let name = ledger.name(tp);
                Tell::new(format!("the final read of {name} stops at offset {}, short of {high}", last.next))
                    .then(format!("offsets below {} had been acknowledged or read before", part.visible))
                    .and(ledger.window(0, began))
                    .then(format!("{}: the final read begins; {} polls were answered", time(began), last.polls))
            };
            // Behind damage in a batch's header nothing can be found: the harm itself.
            damage::report(view, tp, 1, tell, out);
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale};
    use crate::contract::Contract;
    use crate::history::{Call, Outcome, Phase, Reply};

    #[test]
    fn the_end_is_reached() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).final_read(&[(0, 0), (1, 1)]);
        tale.holds("L3");
    }

    #[test]
    fn the_final_read_gets_stuck() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).phase(Phase::FinalRead).assign(9, 0);
        let op = tale.call(9, Call::Poll { tp: TP, position: 0 });
        tale.deliver(op, 9, 0, Some(0));
        tale.returns(op, Outcome::Ok, Reply::Polled { records: 1, position: 1, high: 2 });
        tale.breaks("L3", 1);
    }
}
