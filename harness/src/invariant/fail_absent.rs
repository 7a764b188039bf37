//! B4: a send that is reported as surely not written is never read (aborted read, G1a, for sends outside transactions).

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, every_run};
use crate::history::{Event, Kind};
use crate::invariant::ledger::{Fate, Seen, time};

pub(super) const ROW: Row = Row {
    id: "B4",
    jepsen: Some("G1a"),
    promise: crate::verdict::Promise::Safety,
    about: "a send reported as surely failed is never read",
    white_box: false,
    wants: Kinds::RETURN.and(Kinds::DELIVER),
    applies: always,
    must: every_run,
    make: || Box::new(FailAbsent::default()),
};

#[derive(Default)]
struct FailAbsent {
    judged: u64,
}

impl Invariant for FailAbsent {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let ledger = view.ledger;
        let Some(record) = ledger.current().record else { return };
        let Some((send, stream)) = ledger.record(record).zip(ledger.stream_at(record.0)) else { return };
        let failed = send.fate == Fate::Fail;
        let read = matches!(event.kind, Kind::Deliver(_)) || send.seen != Seen::Never;
        self.judged += u64::from(read || failed);
        if !(read && failed) {
            return;
        }
        out.violation(event.at, Some(stream.tp), 1, || {
            let (place, how) = match &event.kind {
                Kind::Deliver(d) => {
                    (format!(" at offset {}", d.offset), format!("{}: client {} reads it", time(event.at), d.client))
                }
                _ => (String::new(), "it had been read before that".into()),
            };
            let (who, name) = (ledger.who(record), ledger.name(stream.tp));
            Tell::new(format!("{who} was reported as surely not written to {name}, and is read{place}"))
                .and(ledger.sending(record))
                .and(ledger.window(send.called, event.at))
                .then(how)
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
    use crate::history::{Outcome, Reply};

    #[test]
    fn what_failed_stays_away_and_what_is_unknown_may_come() {
        let mut tale = Tale::new(Contract::default());
        let (a, b) = (tale.send(0), tale.send(1));
        tale.returns(a, Outcome::Fail, Reply::None).returns(b, Outcome::Info, Reply::None).final_read(&[(0, 1)]);
        tale.holds("B4");
    }

    #[test]
    fn what_failed_is_read_later() {
        let mut tale = Tale::new(Contract::default());
        let op = tale.send(0);
        tale.returns(op, Outcome::Fail, Reply::None).final_read(&[(0, 0)]);
        tale.breaks("B4", 1);
    }

    #[test]
    fn what_was_read_is_reported_as_failed() {
        let mut tale = Tale::new(Contract::default());
        let op = tale.send(0);
        tale.poll(1, 0, &[(0, 0)]).returns(op, Outcome::Fail, Reply::None);
        tale.breaks("B4", 1);
    }
}
