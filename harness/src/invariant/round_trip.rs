//! B27: key, value, headers and create time come back as they were sent.

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, every_run};
use crate::history::{Event, Kind};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B27",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "key, value, headers and timestamp come back unchanged",
    white_box: false,
    wants: Kinds::DELIVER,
    applies: always,
    must: every_run,
    make: || Box::new(RoundTrip::default()),
};

#[derive(Default)]
struct RoundTrip {
    judged: u64,
}

impl Invariant for RoundTrip {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Deliver(d) = &event.kind else { return };
        let ledger = view.ledger;
        let Some((record, send)) = ledger.current().record.and_then(|r| Some((r, ledger.record(r)?))) else { return };
        self.judged += 1;
        if send.checksum == d.checksum {
            return;
        }
        out.violation(event.at, Some(d.tp), 1, || {
            let (who, name) = (ledger.who(record), ledger.name(d.tp));
            let sums = format!("sent with checksum {:08x}, read with {:08x}", send.checksum, d.checksum);
            Tell::new(format!("{who}, at offset {} of {name}, has changed: {sums}", d.offset))
                .and(ledger.sending(record))
                .and(ledger.window(send.called, event.at))
                .then(format!("{}: client {} reads it", time(event.at), d.client))
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
    use crate::history::Kind;

    #[test]
    fn it_comes_back_as_sent() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(1).poll(1, 0, &[(0, 0)]);
        tale.holds("B27");
    }

    #[test]
    fn a_header_is_lost() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(1).poll(1, 0, &[(0, 0)]);
        for event in &mut tale.events {
            if let Kind::Deliver(d) = &mut event.kind {
                d.checksum ^= 1;
            }
        }
        tale.breaks("B27", 1);
    }
}
