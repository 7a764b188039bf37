//! B7: what is read was sent: no phantom, no damaged payload, nothing from another partition.

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, every_run};
use crate::history::{Event, Kind};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B7",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "every record read was sent to that partition before, and its value is whole",
    white_box: false,
    wants: Kinds::DELIVER,
    applies: always,
    must: every_run,
    make: || Box::new(Genuine::default()),
};

#[derive(Default)]
struct Genuine {
    judged: u64,
}

impl Invariant for Genuine {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Deliver(d) = &event.kind else { return };
        self.judged += 1;
        if view.ledger.current().record.is_some() {
            return;
        }
        out.violation(event.at, Some(d.tp), 1, || {
            let name = view.ledger.name(d.tp);
            let what = match d.id {
                None => format!("offset {} of {name} holds a value that is damaged or none of ours", d.offset),
                Some(id) => format!(
                    "offset {} of {name} holds record {} of producer {} (life {}), which had not been sent there",
                    d.offset, id.seq, id.producer, id.incarnation
                ),
            };
            let line = format!("{}: client {} reads it, checksum {:08x}", time(event.at), d.client, d.checksum);
            Tell::new(what).and(view.ledger.window(0, event.at)).then(line)
        });
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale};
    use crate::contract::Contract;
    use crate::history::Call;

    #[test]
    fn what_is_read_was_sent() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(1).poll(1, 0, &[(0, 0)]);
        tale.holds("B7");
    }

    #[test]
    fn a_record_nobody_has_sent() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(1).poll(1, 0, &[(0, 0), (1, 1)]);
        tale.breaks("B7", 1);
    }

    #[test]
    fn a_damaged_value() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(1);
        let op = tale.call(1, Call::Poll { tp: TP, position: 0 });
        tale.deliver(op, 1, 0, None);
        tale.breaks("B7", 1);
    }
}
