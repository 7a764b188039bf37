//! W3: at the moment a produce request is acknowledged, the records are appended, durable if the flush policy says so,
//! and on as many in-sync replicas as acks=all requires.

use std::collections::BTreeMap;

use broker::config::FlushPolicy;
use broker::fact::Fact;
use broker::ids::{NodeId, Offset};

use super::{Findings, Invariant, Kinds, Row, Tell, View, always};
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::Part;

pub(super) const ROW: Row = Row {
    id: "W3",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "an acknowledgement waits for the fsync and the replicas it promises",
    white_box: true,
    wants: Kinds::ACKED.and(Kinds::WATERMARKS),
    applies: always,
    must: |contract| contract.acks != 0,
    make: || Box::new(AckedDurable::default()),
};

#[derive(Default)]
struct AckedDurable {
    judged: u64,
    /// Of each partition, by its number, and node: what is below this was on enough replicas when the node committed it. An
    /// acknowledgement may leave later, for it waits for the other partitions of its request.
    settled: BTreeMap<(TpId, NodeId), Offset>,
}

/// How many nodes have stated that their log goes past `last`, and durably so if it must.
fn copies(part: &Part, last: Offset, durable: bool) -> usize {
    part.logs.iter().filter(|log| log.claimed(last, durable)).count()
}

impl AckedDurable {
    /// The node of `at` has committed what is below `high`.
    fn settle(&mut self, at: (TpId, NodeId), high: Offset, view: &View<'_>) {
        let contract = &view.rules.contract;
        let Some(part) = view.ledger.part(at.0) else { return };
        let settled = self.settled.entry(at).or_default();
        let enough =
            copies(part, high.saturating_sub(1), contract.flush == FlushPolicy::Always) >= contract.min_insync as usize;
        *settled = if enough { high } else { high.min(*settled) };
    }
}

impl Invariant for AckedDurable {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        if let Fact::Watermarks { high, .. } = fact {
            return self.settle((*tp, *node), *high, view);
        }
        let Fact::Acked { base, last, acks, durable, replicas, .. } = fact else { return };
        self.judged += 1;
        let contract = &view.rules.contract;
        let Some(part) = view.ledger.part(*tp) else { return };
        let Some(log) = part.log(*node) else { return };
        let must_sync = *acks != 0 && (*durable || contract.flush == FlushPolicy::Always);
        let fault = if *last >= log.end {
            Some(format!("its log ends at {}", log.end))
        } else if must_sync && *last >= log.flushed {
            Some(format!("only what is below {} is durable", log.flushed))
        } else if *acks == -1 && *replicas < contract.min_insync {
            Some(format!("{replicas} in-sync replicas have it, {} are required", contract.min_insync))
        } else if *acks == -1
            && self.settled.get(&(*tp, *node)).is_none_or(|settled| last >= settled)
            && copies(part, *last, must_sync) < contract.min_insync as usize
        {
            let (have, kept) =
                (copies(part, *last, must_sync), if must_sync { "on their disks" } else { "in their logs" });
            Some(format!("{have} replicas have it {kept}, {} are required", contract.min_insync))
        } else {
            None
        };
        let Some(fault) = fault else { return };
        out.violation(
            event.at,
            Some(*tp),
            u64::try_from(last.saturating_sub(*base).saturating_add(1)).unwrap_or(1),
            || {
                let name = view.ledger.name(*tp);
                Tell::new(format!("{node} acknowledges offsets {base} to {last} of {name} (acks={acks}), but {fault}"))
                    .and(view.ledger.window(0, event.at))
                    .then(format!("{}: {fact:?}", super::ledger::time(event.at)))
            },
        );
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::config::FlushPolicy;
    use broker::fact::Fact;
    use broker::ids::{NodeId, Offset};

    use super::super::tale::{Tale, lazy, mark, replicated, tp};
    use crate::contract::Contract;
    use crate::history::Kind;

    fn acked(replicas: u32) -> Fact {
        Fact::Acked { tp: tp(), base: 0, last: 1, acks: -1, durable: false, replicas }
    }

    fn flushed(upto: Offset) -> Fact {
        Fact::Flushed { tp: tp(), upto }
    }

    #[test]
    fn acknowledged_after_the_fsync() {
        let mut tale = Tale::new(Contract::default());
        tale.append(mark(0, 1)).flush(2).fact(acked(1));
        tale.holds("W3");
    }

    #[test]
    fn acknowledged_from_the_page_cache() {
        let mut tale = Tale::new(Contract::default());
        tale.append(mark(0, 1)).fact(acked(1));
        tale.breaks("W3", 2);
        tale.rules.contract = lazy();
        tale.holds("W3");
    }

    #[test]
    fn acknowledged_before_a_second_replica_has_it() {
        let two = Contract { brokers: 3, replication: 3, min_insync: 2, ..Contract::default() };
        let mut tale = Tale::new(two);
        tale.append(mark(0, 1)).flush(2).fact_of(1, replicated(mark(0, 1))).fact_of(1, flushed(2));
        tale.fact(acked(2));
        tale.holds("W3");
        // The follower has it in its page cache only, though every copy was to be on disk.
        tale.events.retain(|e| !matches!(&e.kind, Kind::Fact { node: NodeId(1), fact: Fact::Flushed { .. }, .. }));
        tale.breaks("W3", 2);
        tale.rules.contract.flush = FlushPolicy::Never;
        tale.holds("W3");
        tale.events.retain(|e| !matches!(&e.kind, Kind::Fact { node: NodeId(1), .. }));
        tale.breaks("W3", 2);
    }

    #[test]
    fn acknowledged_after_a_copy_was_destroyed_of_which_the_leader_had_been_told() {
        let two = Contract { brokers: 3, replication: 3, min_insync: 2, ..Contract::default() };
        let mut tale = Tale::new(two);
        tale.append(mark(0, 1)).flush(2).fact_of(1, replicated(mark(0, 1))).fact_of(1, flushed(2));
        tale.note(Kind::Wiped { host: "b1".into(), node: Some(NodeId(1)) });
        tale.fact(acked(2));
        tale.holds("W3");
        // It had no more than that.
        tale.append(mark(2, 3)).flush(4).fact(Fact::Acked {
            tp: tp(),
            base: 2,
            last: 3,
            acks: -1,
            durable: true,
            replicas: 2,
        });
        tale.breaks("W3", 2);
        tale.events.pop();
        // It is back, and has nothing.
        let tail = Vec::new();
        tale.fact_of(1, Fact::Recovered { tp: tp(), log_start: 0, log_end: 0, recovery_point: 0, tail, synced: true });
        tale.fact(acked(2));
        tale.breaks("W3", 2);
    }

    #[test]
    fn acknowledged_after_a_copy_was_destroyed_that_it_was_committed_by() {
        let two = Contract { brokers: 3, replication: 3, min_insync: 2, ..Contract::default() };
        let tail = Vec::new();
        let empty = Fact::Recovered { tp: tp(), log_start: 0, log_end: 0, recovery_point: 0, tail, synced: true };
        let mut tale = Tale::new(two);
        tale.append(mark(0, 1)).flush(2).fact_of(1, replicated(mark(0, 1))).fact_of(1, flushed(2));
        tale.marks(0, 2, 2);
        tale.note(Kind::Wiped { host: "b1".into(), node: Some(NodeId(1)) }).fact_of(1, empty);
        tale.fact(acked(2));
        tale.holds("W3");
        // Committed without it.
        tale.events.retain(|e| !matches!(&e.kind, Kind::Fact { node: NodeId(1), fact: Fact::Flushed { .. }, .. }));
        tale.breaks("W3", 2);
    }

    #[test]
    fn acknowledged_with_too_few_replicas_and_before_it_is_appended() {
        let mut tale = Tale::new(Contract { min_insync: 2, ..lazy() });
        tale.append(mark(0, 1)).fact(acked(1));
        tale.breaks("W3", 2);
        let mut tale = Tale::new(lazy());
        tale.append(mark(0, 0)).fact(acked(1));
        tale.breaks("W3", 2);
    }
}
