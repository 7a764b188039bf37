//! M5: the history itself can be trusted: time does not run back, every call returns at most once and with a fitting
//! reply, deliveries lie inside their poll, records are numbered without gaps, cures follow strikes.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, every_run};
use crate::history::{Call, Delivery, Event, Kind, Outcome, Phase, Reply, TpId};
use crate::invariant::ledger::{Open, time};

pub(super) const ROW: Row = Row {
    id: "M5",
    jepsen: None,
    promise: crate::verdict::Promise::Meta,
    about: "the history is well-formed: it can be judged at all",
    white_box: false,
    wants: Kinds::ALL,
    applies: always,
    must: every_run,
    make: || Box::new(WellFormed::default()),
};

#[derive(Default)]
struct WellFormed {
    judged: u64,
    /// The time of the event before.
    at: u64,
    /// The next operation's least number.
    next_op: u64,
    /// The latest life of each client.
    lives: IndexMap<u32, u16, FxBuildHasher>,
    /// The next sequence of each (partition, producer, incarnation).
    seqs: IndexMap<(u32, u32, u16), u64, FxBuildHasher>,
    phase: Option<Phase>,
}

/// What is wrong with an event, if anything.
type Fault = Option<String>;

impl WellFormed {
    fn call(&mut self, view: &View<'_>, op: u64, client: u32, incarnation: u16, call: &Call) -> Fault {
        if op < self.next_op {
            return Some(format!("operation {op} is called after operation {}", self.next_op - 1));
        }
        self.next_op = op.saturating_add(1);
        let life = self.lives.entry(client).or_insert(incarnation);
        if incarnation < *life {
            return Some(format!("client {client} calls in life {incarnation} after its life {life}"));
        }
        *life = incarnation;
        let tp = place(call)?;
        if view.ledger.part(tp).is_none() {
            return Some(format!("partition {} is not in the run's list", tp.0));
        }
        let Call::Send { id, .. } = call else { return None };
        let next = self.seqs.entry((tp.0, id.producer, id.incarnation)).or_insert(0);
        let expected = std::mem::replace(next, id.seq.saturating_add(1).max(*next));
        let (name, producer) = (view.ledger.name(tp), id.producer);
        (id.seq != expected)
            .then(|| format!("producer {producer} sends record {} to {name}, its next is {expected}", id.seq))
    }

    fn returns(view: &View<'_>, op: u64, outcome: Outcome, code: i16, reply: &Reply) -> Fault {
        let Some(open) = view.ledger.current().ended else {
            return Some(format!("operation {op} returns, and is not open: it never was, or returned before"));
        };
        if outcome == Outcome::Ok && code != 0 {
            return Some(format!("operation {op} returns ok with error code {code}"));
        }
        match (open.call, reply) {
            (Call::Poll { .. }, Reply::Polled { records, position, .. }) => {
                let (said, counted) = (*records, open.delivered);
                (said != counted)
                    .then(|| format!("poll {op} says that it delivered {said} records, {counted} were noted"))
                    .or_else(|| {
                        (*position < open.next).then(|| format!("poll {op} ends at {position}, below its last record"))
                    })
            }
            (Call::Send { .. }, Reply::Sent { .. }) if outcome == Outcome::Ok => None,
            (Call::ListOffsets { .. }, Reply::Listed { .. }) if outcome == Outcome::Ok => None,
            (Call::FetchOffset { .. }, Reply::Offset { .. }) if outcome == Outcome::Ok => None,
            (Call::Commit { .. }, Reply::None) => None,
            (Call::Commit { .. }, Reply::Repeated) if outcome == Outcome::Ok => None,
            (
                Call::Send { .. } | Call::Poll { .. } | Call::ListOffsets { .. } | Call::FetchOffset { .. },
                Reply::None,
            ) if outcome != Outcome::Ok => None,
            (Call::Assign { .. } | Call::DeleteRecords { .. } | Call::Admin { .. }, Reply::None) => None,
            (call, reply) => Some(format!("operation {op} asked {call:?} and got {reply:?} as {outcome:?}")),
        }
    }

    fn delivery(view: &View<'_>, d: &Delivery) -> Fault {
        let fits = |open: &Open| open.client == d.client && matches!(open.call, Call::Poll { tp, .. } if tp == d.tp);
        match view.ledger.open_op(d.op) {
            None => Some(format!("a record is delivered in operation {}, which is not open", d.op)),
            Some(open) if !fits(open) => {
                Some(format!("a record of {} is delivered to client {} in {open:?}", view.ledger.name(d.tp), d.client))
            }
            Some(_) if d.offset < 0 => Some(format!("a record is delivered at offset {}", d.offset)),
            Some(_) => None,
        }
    }

    fn order(&mut self, event: &Event) -> Fault {
        let before = self.at;
        self.at = before.max(event.at);
        (event.at < before).then(|| format!("time runs back from {} to {}", time(before), time(event.at)))
    }
}

fn place(call: &Call) -> Option<TpId> {
    match call {
        Call::Send { tp, .. } | Call::Poll { tp, .. } | Call::Assign { tp, .. } => Some(*tp),
        Call::ListOffsets { tp, .. } | Call::DeleteRecords { tp, .. } => Some(*tp),
        Call::Commit { tp, .. } | Call::FetchOffset { tp, .. } => Some(*tp),
        Call::Admin { .. } => None,
    }
}

impl Invariant for WellFormed {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        self.judged += 1;
        let fault = self.order(event).or_else(|| match &event.kind {
            Kind::Call { op, client, incarnation, call } => self.call(view, *op, *client, *incarnation, call),
            Kind::Return { op, outcome, code, reply } => Self::returns(view, *op, *outcome, *code, reply),
            Kind::Deliver(d) => Self::delivery(view, d),
            Kind::Fact { tp: Some(tp), .. } if view.ledger.part(*tp).is_none() => {
                Some(format!("a fact speaks of partition {}, which is not in the run's list", tp.0))
            }
            Kind::Heal { strike } if !view.ledger.strikes().iter().any(|s| s.id == *strike) => {
                Some(format!("strike {strike} is cured, and never struck"))
            }
            Kind::Phase { phase } => {
                let before = self.phase.replace(*phase);
                (before >= Some(*phase)).then(|| format!("phase {phase:?} begins after {before:?}"))
            }
            _ => None,
        });
        if let Some(what) = fault {
            let line = || format!("{}: {:?}", time(event.at), event.kind);
            out.violation(event.at, None, 1, || Tell::new(what).then(line()));
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
    use crate::history::{Call, Event, Kind, Outcome, Phase, Reply};

    fn good() -> Tale {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).poll(1, 0, &[(0, 0)]).final_read(&[(0, 0), (1, 1)]);
        tale
    }

    #[test]
    fn a_sound_history() {
        good().holds("M5");
    }

    #[test]
    fn a_call_returns_twice() {
        let mut tale = good();
        tale.ack(0, 0);
        tale.breaks("M5", 1);
    }

    #[test]
    fn a_return_or_a_delivery_without_its_call_and_a_gap_in_the_sequence() {
        let whole = good().events;
        for (skip, event) in whole.iter().enumerate() {
            let mut tale = good();
            tale.events.remove(skip);
            let call = matches!(event.kind, Kind::Call { .. } | Kind::Deliver(_));
            assert_eq!(tale.check("M5").violates("M5"), call, "without {event:?}");
        }
    }

    #[test]
    fn time_runs_back() {
        let mut tale = good();
        tale.events.push(Event { at: 0, kind: Kind::Up { host: "b0".into(), node: None, incarnation: 1 } });
        tale.breaks("M5", 1);
    }

    #[test]
    fn a_reply_to_another_question_and_phases_out_of_order() {
        let mut tale = good();
        let op = tale.call(2, Call::Poll { tp: TP, position: 0 });
        tale.returns(op, Outcome::Ok, Reply::Sent { offset: 0 }).phase(Phase::Steady);
        tale.breaks("M5", 2);
    }
}
