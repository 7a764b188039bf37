//! W5: log start <= last stable offset <= high watermark <= log end; nothing is served at or above the high watermark;
//! the high watermark does not fall within one life of a node and one leader epoch; appends begin at the log's end.
//!
//! Across restarts and leader changes the high watermark may lag (KIP-207), so it is not compared there.

use broker::fact::Fact;
use broker::ids::{NodeId, Offset};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::{Findings, Invariant, Kinds, Row, Tell, View, always, every_run};
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "W5",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "log start <= stable <= high watermark <= log end, and nothing is served above",
    white_box: true,
    wants: Kinds::WATERMARKS
        .and(Kinds::SERVED)
        .and(Kinds::APPENDED)
        .and(Kinds::REPLICATED)
        .and(Kinds::DROPPED)
        .and(Kinds::WIPED)
        .and(Kinds::RECOVERED)
        .and(Kinds::TRUNCATED)
        .and(Kinds::DELETED),
    applies: always,
    must: every_run,
    make: || Box::new(Offsets::default()),
};

/// What one node said last of one partition.
#[derive(Clone, Copy, Default)]
struct Said {
    incarnation: u32,
    epoch: i32,
    high: Offset,
    end: Offset,
}

#[derive(Default)]
struct Offsets {
    judged: u64,
    said: IndexMap<(NodeId, TpId), Said, FxBuildHasher>,
}

impl Offsets {
    /// What is wrong with a fact, if anything.
    fn fault(&mut self, key: (NodeId, TpId), incarnation: u32, fact: &Fact) -> Option<String> {
        let said = self.said.entry(key).or_default();
        match fact {
            Fact::Watermarks { log_start, stable, high, end, epoch, .. } => {
                let same = said.incarnation == incarnation && said.epoch == *epoch;
                let before = if same { said.high } else { 0 };
                *said = Said { incarnation, epoch: *epoch, high: *high, end: said.end };
                if !(log_start <= stable && stable <= high && high <= end) {
                    return Some("its offsets are out of order".into());
                }
                (*high < before)
                    .then(|| format!("its high watermark falls from {before} to {high} in leader epoch {epoch}"))
            }
            Fact::Served { upto, high, .. } => {
                let known = said.high.min(*high);
                let current = said.incarnation == incarnation;
                (*upto > known && current).then(|| format!("it serves up to {upto}, its high watermark is {known}"))
            }
            Fact::Appended { batch, .. } | Fact::Replicated { batch, .. } => {
                let end = std::mem::replace(&mut said.end, batch.last.saturating_add(1));
                (batch.base < end || batch.last < batch.base)
                    .then(|| format!("it appends offsets {} to {}, its log ends at {end}", batch.base, batch.last))
            }
            Fact::Recovered { log_end, .. } => {
                said.end = *log_end;
                None
            }
            Fact::Truncated { log_end, .. } => {
                // A follower's high watermark comes down with its log's end; whether it may, is W1's and W4's matter.
                (said.end, said.high) = (*log_end, said.high.min(*log_end));
                None
            }
            Fact::Deleted { .. } | Fact::Dropped { .. } => {
                *said = Said::default();
                None
            }
            _ => None,
        }
    }
}

impl Invariant for Offsets {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        if let Kind::Wiped { node: Some(node), .. } = &event.kind {
            self.said.retain(|(of, _), _| of != node);
        }
        let Kind::Fact { node, incarnation, tp: Some(tp), fact } = &event.kind else { return };
        self.judged += 1;
        if let Some(fault) = self.fault((*node, *tp), *incarnation, fact) {
            out.violation(event.at, Some(*tp), 1, || {
                Tell::new(format!("{node}, partition {}: {fault}", view.ledger.name(*tp)))
                    .and(view.ledger.window(0, event.at))
                    .then(format!("{}: {fact:?}", time(event.at)))
            });
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::Fact;

    use super::super::tale::{Tale, mark, tp};
    use crate::contract::Contract;

    #[test]
    fn offsets_in_order_and_a_fall_after_recovery() {
        let mut tale = Tale::new(Contract::default());
        tale.append(mark(0, 1)).marks(0, 2, 2).fact(Fact::Served { tp: tp(), from: 0, upto: 2, high: 2 });
        tale.recover(1, &[]).append(mark(1, 1));
        tale.holds("W5");
    }

    #[test]
    fn served_above_the_high_watermark() {
        let mut tale = Tale::new(Contract::default());
        tale.append(mark(0, 1)).marks(0, 1, 2).fact(Fact::Served { tp: tp(), from: 0, upto: 2, high: 2 });
        tale.breaks("W5", 1);
    }

    #[test]
    fn out_of_order_falling_and_overwriting() {
        let mut tale = Tale::new(Contract::default());
        tale.append(mark(0, 1)).marks(0, 2, 2).marks(0, 1, 2).marks(2, 1, 2).append(mark(1, 1));
        tale.breaks("W5", 3);
    }
}
