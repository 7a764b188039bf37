//! B18: fencing: once a newer leader epoch of a partition, or a newer epoch of a producer, has had an acknowledgement,
//! nothing that is appended later under an older one is acknowledged (to acks=all: an ex-leader that does not know of its
//! successor may well take what nobody is promised).
//!
//! What was appended before may be acknowledged after: the newcomer has it.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId, Offset};

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View, no_run};
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B18",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "what is appended under an epoch that has a successor is not acknowledged",
    white_box: true,
    wants: Kinds::APPENDED.and(Kinds::SEQUENCED).and(Kinds::ACKED).and(Kinds::TRUNCATED).and(Kinds::DELETED),
    // An unclean leader shares nothing with the one before, which may go on alone for a while: both are believed.
    applies: |contract| if contract.unclean || contract.bit_rot { Applies::No } else { Applies::Enforced },
    must: no_run,
    make: || Box::new(Fencing::default()),
};

/// A batch that its leader has not acknowledged yet.
#[derive(Clone, Debug)]
struct Pending {
    last: Offset,
    epoch: LeaderEpoch,
    /// Of an idempotent producer: its id and epoch.
    producer: Option<(i64, i16)>,
    /// It came too late.
    fenced: Option<Fence>,
}

/// A newer epoch had an acknowledgement before a batch of an older one was appended.
#[derive(Clone, Debug)]
struct Fence {
    older: String,
    newer: String,
    at: u64,
}

/// Of one partition: the newest epochs that had an acknowledgement, and when that came.
#[derive(Default)]
struct Part {
    leader: Option<(LeaderEpoch, u64)>,
    producers: BTreeMap<i64, (i16, u64)>,
    /// By node and first offset.
    pending: BTreeMap<(NodeId, Offset), Pending>,
}

#[derive(Default)]
struct Fencing {
    judged: u64,
    parts: BTreeMap<TpId, Part>,
}

impl Part {
    fn appended(&mut self, node: NodeId, base: Offset, last: Offset, epoch: LeaderEpoch) {
        let newer = self.leader.filter(|(newer, _)| *newer > epoch);
        let fence =
            |(newer, at)| Fence { older: format!("leader epoch {epoch}"), newer: format!("leader epoch {newer}"), at };
        let fenced = newer.map(fence);
        self.pending.insert((node, base), Pending { last, epoch, producer: None, fenced });
    }

    /// The batch just appended is of that producer. A follower's batches are not pending.
    fn sequenced(&mut self, node: NodeId, base: Offset, producer: i64, epoch: i16) {
        let Some(pending) = self.pending.get_mut(&(node, base)) else { return };
        pending.producer = Some((producer, epoch));
        let newer = self.producers.get(&producer).filter(|(newer, _)| *newer > epoch);
        let fence = |(newer, at): &(i16, u64)| {
            let of = |epoch: i16| format!("epoch {epoch} of producer {producer}");
            Fence { older: of(epoch), newer: of(*newer), at: *at }
        };
        let fenced = newer.map(fence);
        pending.fenced = pending.fenced.take().or(fenced);
    }

    /// A batch is acknowledged to everyone who asked for all: raises the fences, and returns it.
    fn acked(&mut self, at: u64, node: NodeId, base: Offset) -> Option<Pending> {
        let pending = self.pending.remove(&(node, base))?;
        if self.leader.is_none_or(|(epoch, _)| epoch < pending.epoch) {
            self.leader = Some((pending.epoch, at));
        }
        if let Some((producer, epoch)) = pending.producer {
            let fence = self.producers.entry(producer).or_insert((epoch, at));
            if fence.0 < epoch {
                *fence = (epoch, at);
            }
        }
        Some(pending)
    }
}

impl Invariant for Fencing {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        let part = self.parts.entry(*tp).or_default();
        let base = match *fact {
            Fact::Appended { batch, epoch, .. } => return part.appended(*node, batch.base, batch.last, epoch),
            Fact::Sequenced { producer, epoch, base, .. } => return part.sequenced(*node, base, producer, epoch),
            Fact::Truncated { log_end, .. } => return part.pending.retain(|(of, at), _| of != node || *at < log_end),
            Fact::Deleted { .. } => return *part = Part::default(),
            Fact::Acked { base, acks: -1, .. } => base,
            _ => return,
        };
        let Some(pending) = part.acked(event.at, *node, base) else { return };
        self.judged += 1;
        let Some(fence) = pending.fenced else { return };
        out.violation(event.at, Some(*tp), 1, || {
            let (name, last, at) = (view.ledger.name(*tp), pending.last, time(fence.at));
            let (under, newer) = (fence.older, fence.newer);
            Tell::new(format!("{node} acknowledges {base}..={last} of {name} under {under}, which {newer} has fenced"))
                .and(view.ledger.window(fence.at, event.at))
                .then(format!("{at}: the first acknowledgement under {newer}; the batch was appended later"))
        });
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::Fact;

    use super::super::tale::{Tale, mark, three, tp};

    fn appended(base: i64, epoch: i32) -> Fact {
        Fact::Appended { tp: tp(), batch: mark(base, base), epoch, max_timestamp: 0 }
    }

    fn sequenced(base: i64, epoch: i16) -> Fact {
        Fact::Sequenced { tp: tp(), producer: 7, epoch, first: 0, last: 0, base }
    }

    fn acked(base: i64, acks: i16) -> Fact {
        Fact::Acked { tp: tp(), base, last: base, acks, durable: true, replicas: 2 }
    }

    #[test]
    fn what_an_ex_leader_had_before_may_be_acknowledged_after() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, appended(0, 1)).fact_of(1, appended(1, 2)).fact_of(1, acked(1, -1)).fact_of(0, acked(0, -1));
        // To whom asked for its word alone, it may give it.
        tale.fact_of(0, appended(1, 1)).fact_of(0, acked(1, 1));
        tale.holds("B18");
    }

    #[test]
    fn an_ex_leader_acknowledges_what_it_appended_after_its_successor_was_heard() {
        let mut tale = Tale::new(three());
        tale.fact_of(1, appended(0, 2)).fact_of(1, acked(0, -1)).fact_of(0, appended(0, 1)).fact_of(0, acked(0, -1));
        tale.breaks("B18", 1);
    }

    #[test]
    fn a_producer_s_older_epoch_is_let_in_again() {
        let mut tale = Tale::new(three());
        let pair = |tale: &mut Tale, base, epoch| {
            tale.fact_of(0, appended(base, 0)).fact_of(0, sequenced(base, epoch)).fact_of(0, acked(base, -1));
        };
        pair(&mut tale, 0, 3);
        pair(&mut tale, 1, 4);
        tale.holds("B18");
        pair(&mut tale, 2, 3);
        tale.breaks("B18", 1);
    }

    #[test]
    fn what_was_cut_away_is_forgotten() {
        let mut tale = Tale::new(three());
        tale.fact_of(1, appended(0, 2)).fact_of(1, acked(0, -1)).fact_of(0, appended(0, 1));
        tale.fact_of(0, Fact::Truncated { tp: tp(), log_end: 0 }).fact_of(0, acked(0, -1));
        tale.holds("B18");
    }
}
