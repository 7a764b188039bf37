//! B8: at most one copy of a record, where a retry must not leave a second one.

use super::{Findings, Invariant, Kinds, Row, Tell, View, every_run};
use crate::contract::Contract;
use crate::history::{Event, Kind};
use crate::invariant::Applies;

pub(super) const ROW: Row = Row {
    id: "B8",
    jepsen: Some("duplicate"),
    promise: crate::verdict::Promise::Safety,
    about: "a record is stored once (producers that are idempotent, or do not retry)",
    white_box: false,
    wants: Kinds::DELIVER,
    applies,
    must: every_run,
    make: || Box::new(Copies::default()),
};

fn applies(contract: &Contract) -> Applies {
    if contract.idempotent || !contract.retries { Applies::Enforced } else { Applies::No }
}

#[derive(Default)]
struct Copies {
    judged: u64,
}

impl Invariant for Copies {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Deliver(d) = &event.kind else { return };
        let ledger = view.ledger;
        let Some(record) = ledger.current().record.filter(|_| d.last) else { return };
        self.judged += 1;
        let copies = ledger.record(record).map_or(0, |s| s.copies);
        if copies < 2 || ledger.current().before.last {
            return;
        }
        out.violation(event.at, Some(d.tp), 1, || {
            let (who, name) = (ledger.who(record), ledger.name(d.tp));
            Tell::new(format!("{who} is stored {copies} times in {name}, the last time at offset {}", d.offset))
                .and(ledger.sending(record))
                .and(ledger.window(ledger.record(record).map_or(0, |s| s.called), event.at))
        });
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::Tale;
    use crate::contract::Contract;

    fn idempotent() -> Contract {
        Contract { idempotent: true, ..Contract::default() }
    }

    #[test]
    fn one_copy_each() {
        let mut tale = Tale::new(idempotent());
        tale.sent(2).final_read(&[(0, 0), (1, 1)]);
        tale.holds("B8");
    }

    #[test]
    fn a_retry_leaves_a_second_copy() {
        let mut tale = Tale::new(idempotent());
        tale.sent(1).final_read(&[(0, 0), (1, 0)]);
        tale.breaks("B8", 1);
    }
}
