//! B2: a record is where its acknowledgement says.

use super::{Findings, Invariant, Kinds, Row, Tell, View, damage};
use crate::history::{Event, Kind};
use crate::invariant::ledger::{Seen, Send};

pub(super) const ROW: Row = Row {
    id: "B2",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a record is at the offset its acknowledgement names",
    white_box: false,
    wants: Kinds::RETURN.and(Kinds::DELIVER),
    applies: super::one_value::loss,
    must: |contract| contract.acks != 0,
    make: || Box::new(AckInPlace::default()),
};

/// Compares as soon as both the acknowledgement and a reading of that offset are known, and at the end looks for records
/// that survive at another offset only.
#[derive(Default)]
struct AckInPlace {
    compared: u64,
    /// Conflicts to be judged when the controller has told of the leader: the record, since when a loss would count, and
    /// what is there.
    held: Vec<((u32, u32), u64, String)>,
}

impl AckInPlace {
    /// Judges what was held, of partitions whose controller has spoken; all of it at the end.
    fn release(&mut self, view: &View<'_>, out: &mut Findings, end: bool) {
        for (record, called, there) in std::mem::take(&mut self.held) {
            let Some(send) = view.ledger.record(record) else { continue };
            match !end && Self::awaits_word(view, record) {
                true => self.held.push((record, called, there)),
                false => Self::judge(view, out, record, (send, called), &there),
            }
        }
    }

    fn awaits_word(view: &View<'_>, record: (u32, u32)) -> bool {
        let part = view.ledger.stream_at(record.0).and_then(|stream| view.ledger.part(stream.tp));
        part.is_some_and(super::ledger::Part::awaits_word)
    }

    fn judge(view: &View<'_>, out: &mut Findings, record: (u32, u32), (send, called): (&Send, u64), there: &str) {
        let Some(stream) = view.ledger.stream_at(record.0) else { return };
        let tell = || {
            let (who, name) = (view.ledger.who(record), view.ledger.name(stream.tp));
            Tell::new(format!("{who} was acknowledged at offset {} of {name}, where {there}", send.offset))
                .and(view.ledger.sending(record))
                .and(view.ledger.window(send.called, view.at))
        };
        let part = view.ledger.part(stream.tp);
        let took = part.is_some_and(|p| {
            p.took(&view.rules.contract, send.offset, called) || damage::cut_took(view, p, send.offset, called)
        });
        match took {
            true => out.expected(view.at, Some(stream.tp), 1, tell),
            false => out.violation(view.at, Some(stream.tp), 1, tell),
        }
    }

    fn returned(&mut self, view: &View<'_>, out: &mut Findings, record: (u32, u32)) {
        let ledger = view.ledger;
        let Some((send, stream)) = ledger.record(record).zip(ledger.stream_at(record.0)) else { return };
        let Some(part) = ledger.part(stream.tp).filter(|_| send.acked()) else { return };
        self.compared += 1;
        if send.offset < 0 {
            Self::judge(view, out, record, (send, send.called), "no record can be");
            return;
        }
        let slot = part.table.get(send.offset);
        if let Some(other) = slot.record().filter(|other| *other != record) {
            // Whichever was there first may be the one that a power loss took, before the other got its offset.
            let called = ledger.record(other).map_or(send.called, |s| s.called.min(send.called));
            self.held.push((record, called, format!("{} had been read", ledger.who(other))));
        }
    }
}

impl Invariant for AckInPlace {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        match (&event.kind, view.ledger.current().record) {
            (Kind::Return { .. }, Some(record)) => self.returned(view, out, record),
            (Kind::Deliver(_), Some(_)) => self.compared += 1,
            _ => {}
        }
        self.release(view, out, false);
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        self.release(view, out, true);
        for (number, stream) in (0u32..).zip(view.ledger.streams()) {
            let Some(part) = view.ledger.part(stream.tp) else { continue };
            let start = part.legal_start(&view.rules.contract);
            for (seq, send) in (0u32..).zip(stream.sends.iter()) {
                if !send.acked() || send.seen != Seen::Elsewhere || send.offset < start {
                    continue;
                }
                let slot = part.table.get(send.offset);
                let there = match slot.record() {
                    Some(other) => format!("the final read found {}", view.ledger.who(other)),
                    None => "the final read found nothing of it: it is elsewhere".into(),
                };
                Self::judge(view, out, (number, seq), (send, send.called), &there);
            }
        }
    }

    fn evidence(&self) -> u64 {
        self.compared
    }
}

#[cfg(test)]
mod tests {
    use broker::config::FlushPolicy;
    use broker::fact::Fact;
    use broker::ids::NodeId;

    use super::super::tale::{Tale, decided, leads, mark, marks, replicated, three, tp};
    use crate::contract::Contract;
    use crate::history::{Event, Kind};

    #[test]
    fn records_are_where_they_were_acknowledged() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).final_read(&[(0, 0), (1, 1)]);
        tale.holds("B2");
    }

    #[test]
    fn a_copy_that_a_retry_left_behind_is_no_breach() {
        let mut tale = Tale::new(Contract::default());
        let op = tale.send(0);
        tale.ack(op, 1).final_read(&[(0, 0), (1, 0)]);
        tale.holds("B2");
    }

    #[test]
    fn a_record_is_elsewhere() {
        let mut tale = Tale::new(Contract::default());
        let op = tale.send(0);
        tale.ack(op, 5).final_read(&[(4, 0)]);
        tale.breaks("B2", 1);
    }

    #[test]
    fn an_acknowledgement_names_an_offset_already_taken() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(1).poll(1, 0, &[(0, 0)]);
        let op = tale.send(1);
        tale.ack(op, 0);
        tale.breaks("B2", 1);
    }

    /// The leader loses its power and what it had not synced; a follower has it still. It leads again, and acknowledges
    /// another record where the first was, before the follower has cut that.
    fn comes_back(unclean: bool, contract: Contract) -> Tale {
        let mut tale = Tale::new(contract);
        tale.fact_of(2, decided(0, Some(0), 0, &[0, 1, 2]));
        tale.sent(1).append(mark(0, 0)).fact_of(1, replicated(mark(0, 0))).fact_of(0, marks(1, 1, 0)).poll(
            1,
            0,
            &[(0, 0)],
        );
        tale.note(Kind::Down { host: "b".into(), node: Some(NodeId(0)), power: true, why: "power".into() });
        let tail = Vec::new();
        let back = Fact::Recovered { tp: tp(), log_start: 0, log_end: 0, recovery_point: 0, tail, synced: true };
        let mut now = decided(1, Some(0), 1, &[0]);
        if let Fact::Decided { unclean: said, .. } = &mut now {
            *said = unclean;
        }
        tale.fact_of(0, back).fact_of(2, now).fact_of(0, leads(1, 0, &[0]));
        let op = tale.send(1);
        tale.ack(op, 0);
        tale
    }

    #[test]
    fn the_last_leader_gives_away_again_what_the_power_took() {
        let lazy = Contract { flush: FlushPolicy::Never, power_loss: true, ..three() };
        comes_back(true, lazy.clone()).excuses("B2", 1);
        comes_back(false, lazy.clone()).breaks("B2", 1);
        comes_back(true, Contract { spared: true, ..lazy }).breaks("B2", 1);
        comes_back(true, three()).breaks("B2", 1);
    }

    #[test]
    fn the_controllers_word_comes_after_its_leaders() {
        for unclean in [true, false] {
            let mut tale = comes_back(unclean, Contract { flush: FlushPolicy::Never, power_loss: true, ..three() });
            let judged = |tale: &Tale| if unclean { tale.excuses("B2", 1) } else { tale.breaks("B2", 1) };
            let leads = tale.events.iter().position(|e| matches!(&e.kind, Kind::Fact { fact: Fact::Leads { .. }, .. }));
            let leads = leads.unwrap_or(0);
            let at = tale.events[leads - 1].at;
            tale.events.swap(leads - 1, leads);
            tale.events[leads].at = std::mem::replace(&mut tale.events[leads - 1].at, at);
            judged(&tale);
            // Later than the acknowledgement, too; if it never comes, there is no excuse.
            let word = tale.events.remove(leads);
            tale.breaks("B2", 1);
            tale.events.push(Event { at: tale.events.last().map_or(0, |last| last.at), ..word });
            judged(&tale);
        }
    }
}
