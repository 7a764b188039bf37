//! W1: log matching: below the high watermark all copies of a partition hold the same batches, batch for batch; and no
//! deposed leader commits what its successor does not have.

use broker::fact::{BatchMark, Fact};
use broker::ids::{LeaderEpoch, NodeId, Offset, PartitionEpoch};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View, damage};
use crate::contract::Contract;
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::{Part, time};

pub(super) const ROW: Row = Row {
    id: "W1",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "all copies of a partition hold the same batches below the high watermark",
    white_box: true,
    wants: Kinds::WATERMARKS
        .and(Kinds::TRUNCATED)
        .and(Kinds::RECOVERED)
        .and(Kinds::DELETED)
        .and(Kinds::DROPPED)
        .and(Kinds::WIPED)
        .and(Kinds::DECIDED)
        .and(Kinds::AUDITED),
    applies: of_copies,
    must: |contract| contract.replication > 1,
    make: || Box::new(LogMatching::default()),
};

/// For rows about what is committed: where there are copies, in full unless the contract lets it be lost.
pub(super) fn of_copies(contract: &Contract) -> Applies {
    match (contract.replication > 1, contract.committed_is_kept()) {
        (false, _) => Applies::No,
        (true, true) => Applies::Enforced,
        (true, false) => Applies::ExpectedLoss,
    }
}

#[derive(Default)]
struct LogMatching {
    judged: u64,
    /// By copy: up to where it has been compared.
    compared: IndexMap<(NodeId, TpId), Offset, FxBuildHasher>,
    /// The newest in-sync set that was decided.
    in_sync: IndexMap<TpId, (PartitionEpoch, Vec<NodeId>), FxBuildHasher>,
}

impl LogMatching {
    /// The copy's batches below `high` that were not compared yet, against the committed ones.
    fn advance(&mut self, (node, tp): (NodeId, TpId), part: &Part, high: Offset) -> Option<String> {
        let log = part.log(node)?;
        let from = self.compared.entry((node, tp)).or_default();
        let first = part.committed.partition_point(|b| b.base < (*from).max(log.start).max(part.compacted));
        let owed = (first..part.committed.len()).filter_map(|n| part.committed.get(n));
        for batch in owed.take_while(|b| b.mark().last < high) {
            self.judged += 1;
            *from = batch.mark().last.saturating_add(1);
            let held = log.batch_at(batch.base);
            if held != Some(batch) {
                let instead = held.map_or("nothing".into(), |b| format!("{:?}", b.mark()));
                return Some(format!(
                    "below its high watermark {high} it holds {instead} in place of {:?}",
                    batch.mark()
                ));
            }
        }
        None
    }

    /// In epoch -1 a node repeats what it had written down, and has yet to hear its part.
    fn deposed(part: &Part, epoch: LeaderEpoch, high: Offset) -> Option<String> {
        let last = part.elections.last().filter(|last| epoch >= 0 && last.epoch > epoch && last.end < high)?;
        let (end, node) = (last.end, last.node);
        Some(format!("in epoch {epoch} it commits up to {high}; {node} leads epoch {} since, from {end}", last.epoch))
    }

    /// Up to where a copy must have what is committed: to the end, unless it is out of sync, or no replica any more, which
    /// its node need not know yet. Then as far as it goes.
    fn owes(&self, (node, tp): (NodeId, TpId), end: Offset) -> Offset {
        let out = self.in_sync.get(&tp).is_some_and(|(_, in_sync)| !in_sync.contains(&node));
        if out { end } else { Offset::MAX }
    }

    fn audited(
        &mut self,
        part: &Part,
        (start, end, bad): (Offset, Offset, &[Offset]),
        batches: &[BatchMark],
    ) -> Option<String> {
        let found = |b: &BatchMark| batches.binary_search_by_key(&b.base, |found| found.base).map(|n| batches[n]);
        let first = part.committed.partition_point(|b| b.base < start.max(part.compacted));
        let owed = (first..part.committed.len()).filter_map(|n| part.committed.get(n)).map(|b| b.mark());
        let mut owed = owed.filter(|b| !bad.contains(&b.base) && b.last < end);
        let judged = &mut self.judged;
        let differs = owed.find(|b| {
            *judged += 1;
            found(b) != Ok(*b)
        })?;
        Some(format!("its files hold {:?} in place of {differs:?}, which is committed", found(&differs).ok()))
    }
}

impl Invariant for LogMatching {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        if let Kind::Wiped { node: Some(node), .. } = &event.kind {
            self.compared.retain(|(of, _), _| of != node);
        }
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        let Some(part) = view.ledger.part(*tp) else { return };
        let key = (*node, *tp);
        let fault = match fact {
            Fact::Watermarks { high, epoch, .. } => {
                let rises = self.compared.get(&key).is_none_or(|compared| high > compared);
                let late = Self::deposed(part, *epoch, *high).filter(|_| rises);
                late.or_else(|| self.advance(key, part, *high))
            }
            Fact::Recovered { log_end, .. } | Fact::Truncated { log_end, .. } => {
                let compared = self.compared.entry(key).or_default();
                *compared = (*compared).min(*log_end);
                None
            }
            Fact::Decided { partition_epoch, in_sync, .. } => {
                let newest = self.in_sync.entry(*tp).or_default();
                if newest.0 <= *partition_epoch {
                    *newest = (*partition_epoch, in_sync.clone());
                }
                None
            }
            Fact::Deleted { .. } | Fact::Dropped { .. } => {
                self.compared.swap_remove(&key);
                if matches!(fact, Fact::Deleted { .. }) {
                    self.in_sync.swap_remove(tp);
                }
                None
            }
            Fact::Audited { log_start, log_end, batches, bad_crc, .. } => {
                self.audited(part, (*log_start, self.owes(key, *log_end), bad_crc), batches)
            }
            _ => None,
        };
        let Some(what) = fault else { return };
        let tell = || {
            Tell::new(format!("the copy of {} on {node}: {what}", view.ledger.name(*tp)))
                .and(view.ledger.window(0, event.at))
                .then(format!("{}: it says so", time(event.at)))
        };
        match damage::struck(view) || !view.rules.contract.committed_is_kept() {
            true => out.expected(event.at, Some(*tp), 1, tell),
            false => out.violation(event.at, Some(*tp), 1, tell),
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::{BatchMark, Fact};

    use super::super::tale::{Tale, audited, decided, leads, mark, marks, replicated, three, tp};

    #[test]
    fn copies_agree_and_an_uncommitted_tail_may_differ() {
        let mut tale = Tale::new(three());
        tale.append(mark(0, 1)).append(mark(2, 2)).fact_of(1, replicated(mark(0, 1)));
        tale.fact_of(0, marks(2, 3, 0)).fact_of(1, marks(2, 2, 0));
        // Node 1 takes over; node 0 gives up its tail.
        tale.fact_of(1, leads(1, 2, &[1, 2]))
            .fact_of(1, Fact::Appended { tp: tp(), batch: other(), epoch: 1, max_timestamp: 0 });
        tale.fact_of(0, Fact::Truncated { tp: tp(), log_end: 2 }).fact_of(0, replicated(other()));
        tale.fact_of(1, marks(3, 3, 1)).fact_of(0, marks(3, 3, 1));
        tale.fact_of(0, audited(&[mark(0, 1), other()])).fact_of(1, audited(&[mark(0, 1), other()]));
        tale.holds("W1");
    }

    fn other() -> BatchMark {
        BatchMark { crc: 1, ..mark(2, 2) }
    }

    #[test]
    fn two_copies_differ_at_one_offset() {
        let mut tale = Tale::new(three());
        tale.append(mark(0, 1)).append(mark(2, 2)).fact_of(1, replicated(mark(0, 1))).fact_of(1, replicated(other()));
        tale.fact_of(0, marks(3, 3, 0)).fact_of(1, marks(3, 3, 0));
        tale.breaks("W1", 1);
        tale.fact_of(1, audited(&[mark(0, 1), other()]));
        tale.breaks("W1", 2);
    }

    #[test]
    fn a_copy_that_is_out_of_sync_at_the_end_may_be_short_but_not_other() {
        let tale = |in_sync: &[i32], held: &[BatchMark]| {
            let mut tale = Tale::new(three());
            tale.append(mark(0, 1)).append(mark(2, 2)).fact_of(1, replicated(mark(0, 1))).fact_of(0, marks(3, 3, 0));
            tale.fact_of(0, decided(1, Some(0), 0, in_sync)).fact_of(1, audited(held));
            tale
        };
        tale(&[0, 2], &[mark(0, 1)]).holds("W1");
        tale(&[0, 1, 2], &[mark(0, 1)]).breaks("W1", 1);
        tale(&[0, 2], &[mark(0, 1), other()]).breaks("W1", 1);
    }

    #[test]
    fn a_replica_that_starts_shows_what_it_had_shown() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 1)).fact_of(1, replicated(mark(0, 1)));
        tale.fact_of(0, marks(2, 2, 0)).fact_of(1, marks(2, 2, -1));
        tale.holds("W1");
    }

    #[test]
    fn a_deposed_leader_commits_on() {
        let mut tale = Tale::new(three());
        tale.append(mark(0, 1)).fact_of(1, replicated(mark(0, 1))).fact_of(1, leads(1, 2, &[1, 2]));
        tale.append(mark(2, 2)).fact_of(0, marks(3, 3, 0));
        tale.breaks("W1", 1);
    }
}
