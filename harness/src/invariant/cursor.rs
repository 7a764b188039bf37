//! B10: a consumer gets the smallest existing offset at or above its position, and moves on from there: no skip, no
//! rewind, but by an assignment of its own.

use broker::ids::Offset;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::damage::Damage;
use super::{Findings, Invariant, Kinds, Row, Tell, View, every_run};
use crate::contract::Contract;
use crate::history::{Call, Event, Kind, Outcome, Reply, TpId};
use crate::invariant::Applies;
use crate::invariant::ledger::{Part, Slot, time};

pub(super) const ROW: Row = Row {
    id: "B10",
    jepsen: Some("poll-skip, nonmonotonic-poll"),
    promise: crate::verdict::Promise::Safety,
    about: "a consumer neither skips nor rewinds, but by its own seek",
    white_box: false,
    wants: Kinds::POLL.and(Kinds::ASSIGN).and(Kinds::DELIVER).and(Kinds::RETURN).and(Kinds::AUDITED),
    applies,
    must: every_run,
    make: || Box::new(Cursors::default()),
};

fn applies(contract: &Contract) -> Applies {
    match contract.bit_rot {
        // Consumers pass over what compaction has taken.
        _ if contract.compaction => Applies::No,
        true => Applies::ExpectedLoss,
        false => Applies::Enforced,
    }
}

/// Gaps remembered at most, to be judged when the whole log is known; a sound run has next to none.
const GAPS: usize = 65_536;

/// Offsets of one gap looked at, at most, for records that only nodes know of.
const LOOKED: usize = 1 << 20;

/// A consumer's way through one partition.
#[derive(Clone, Copy)]
struct Cursor {
    incarnation: u16,
    next: Option<Offset>,
}

/// Offsets that a consumer has passed over.
#[derive(Clone, Copy)]
struct Gap {
    at: u64,
    client: u32,
    tp: TpId,
    from: Offset,
    to: Offset,
}

#[derive(Default)]
struct Cursors {
    judged: u64,
    cursors: IndexMap<(u32, u32), Cursor, FxBuildHasher>,
    gaps: Vec<Gap>,
    damage: Damage,
}

impl Cursors {
    fn called(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Call { client, incarnation, call, .. } = event.kind else { return };
        let (tp, position, seeks) = match call {
            Call::Poll { tp, position } => (tp, position, false),
            Call::Assign { tp, position, .. } => (tp, position, true),
            _ => return,
        };
        let fresh = Cursor { incarnation, next: None };
        let cursor = self.cursors.entry((client, tp.0)).or_insert(fresh);
        if seeks || cursor.incarnation != incarnation {
            *cursor = fresh;
        }
        match cursor.next {
            Some(_) => self.moves(event.at, client, tp, position, "polls at", view, out),
            None => cursor.next = (position >= 0).then_some(position),
        }
    }

    /// The consumer goes on at `to`: whatever lies between is passed over.
    #[expect(
        clippy::too_many_arguments,
        reason = "the story needs all of them, and they come from three kinds of event"
    )]
    fn moves(&mut self, at: u64, client: u32, tp: TpId, to: Offset, verb: &str, view: &View<'_>, out: &mut Findings) {
        let Some(cursor) = self.cursors.get_mut(&(client, tp.0)) else { return };
        let Some(from) = cursor.next.replace(to).filter(|from| *from != to) else { return };
        if to < from {
            out.violation(at, Some(tp), 1, || {
                let name = view.ledger.name(tp);
                Tell::new(format!(
                    "client {client} {verb} offset {to} of {name}, behind its position {from}, without a seek"
                ))
                .and(view.ledger.window(0, at))
                .then(format!("{}: client {client} {verb} offset {to}", time(at)))
            });
        } else if self.gaps.len() < GAPS {
            self.gaps.push(Gap { at, client, tp, from, to });
        }
    }

    fn judge(&self, gap: &Gap, part: &Part, view: &View<'_>, out: &mut Findings) {
        let (tp, ledger) = (gap.tp, view.ledger);
        // Nodes know of records that no consumer has shown.
        let stated = part.logs.iter().flat_map(|log| log.held(gap.from, gap.to));
        let unseen = stated.take(LOOKED).filter(|o| !part.table.get(*o).is_some()).map(|o| (o, &Slot::NONE));
        let seen = part.table.from(gap.from).take_while(|(offset, _)| *offset < gap.to);
        for (offset, slot) in seen.chain(unseen) {
            let called = slot.record().and_then(|r| ledger.record(r)).map_or(0, |s| s.called);
            let tell = || {
                let (from, to, name) = (gap.from, gap.to, ledger.name(tp));
                let line = format!("client {} goes from offset {from} of {name} to {to}", gap.client);
                let who = slot.record().map_or("a record that nobody has read".into(), |r| ledger.who(r));
                Tell::new(format!("{line}, and skips {who} at offset {offset}"))
                    .and(slot.record().into_iter().flat_map(|r| ledger.sending(r)))
                    .and(ledger.window(called, gap.at))
                    .then(format!("{}: {line}", time(gap.at)))
            };
            // A record sent only after the consumer had passed was not skipped by it; nor one that was removed by then.
            let removed = offset < part.legal_start(&view.rules.contract) && !slot.is_some();
            if called > gap.at || removed {
                continue;
            }
            match self.damage.took(view, tp, part, offset, called) {
                true => out.expected(gap.at, Some(tp), 1, tell),
                false => out.violation(gap.at, Some(tp), 1, tell),
            }
        }
    }
}

impl Invariant for Cursors {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        match &event.kind {
            Kind::Call { .. } => self.called(event, view, out),
            Kind::Deliver(d) => {
                self.judged += 1;
                self.moves(event.at, d.client, d.tp, d.offset, "is given", view, out);
                let cursor = self.cursors.get_mut(&(d.client, d.tp.0));
                cursor.into_iter().for_each(|c| c.next = Some(d.offset.saturating_add(1)));
            }
            Kind::Return { outcome: Outcome::Ok, reply: Reply::Polled { position, .. }, .. } => {
                let Some(open) = view.ledger.current().ended else { return };
                if let Call::Poll { tp, .. } = open.call {
                    self.moves(event.at, open.client, tp, *position, "ends its poll at", view, out);
                }
            }
            _ => self.damage.see(event),
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        for gap in &self.gaps {
            if let Some(part) = view.ledger.part(gap.tp) {
                self.judge(gap, part, view, out);
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
    fn a_consumer_goes_on_where_it_was_and_passes_offsets_that_hold_nothing() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).assign(1, 0).poll(1, 0, &[(0, 0)]).poll(1, 1, &[(2, 1)]).assign(1, 0).poll(1, 0, &[(0, 0)]);
        tale.final_read(&[(0, 0), (2, 1)]);
        tale.holds("B10");
    }

    #[test]
    fn a_consumer_skips() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).assign(1, 0).poll(1, 0, &[(1, 1)]).final_read(&[(0, 0), (1, 1)]);
        tale.breaks("B10", 1);
    }

    #[test]
    fn a_consumer_skips_silently_between_two_polls() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).assign(1, 0).poll(1, 0, &[]).poll(1, 1, &[(1, 1)]).final_read(&[(0, 0), (1, 1)]);
        tale.breaks("B10", 1);
    }

    #[test]
    fn a_consumer_rewinds_and_another_is_given_a_record_twice() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).poll(1, 0, &[(0, 0), (1, 1)]).poll(1, 0, &[(0, 0)]).poll(2, 0, &[(0, 0), (0, 0)]);
        tale.breaks("B10", 2);
    }
}
