//! A good history of three brokers, made from one of a single broker: what it appends, two others replicate; when it goes
//! down, one of them leads until it is back and in sync.

use std::collections::BTreeMap;

use broker::controller::record::TopicId;
use broker::fact::{BatchMark, Fact};
use broker::ids::{LeaderEpoch, NodeId, Offset, PartitionEpoch, TopicPartition};

use super::Shape;
use crate::contract::Contract;
use crate::history::{Event, Kind, Phase, TpId};
use crate::invariant::Rules;

/// Who leads while the first broker is down; it leads the metadata quorum all the time.
const SECOND: NodeId = NodeId(1);
const FIRST: NodeId = NodeId(0);
const ALL: [NodeId; 3] = [FIRST, SECOND, NodeId(2)];

/// One partition on its way through epochs.
struct Part {
    name: TopicPartition,
    epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    /// Appended by the leader, and not yet by the others.
    pending: Vec<BatchMark>,
    /// Where the others' logs end.
    end: Offset,
}

/// The history in the making.
struct Copies {
    parts: BTreeMap<TpId, Part>,
    lives: BTreeMap<NodeId, u32>,
    out: Vec<Event>,
    at: u64,
}

/// What such a history is judged by.
pub fn rules(shape: Shape) -> Rules {
    let contract = Contract { brokers: 3, replication: 3, min_insync: 2, power_loss: true, ..Contract::default() };
    Rules::new(contract, shape.partitions)
}

/// The history of three brokers in which the first does what the only one of `events` does.
pub fn on_three(events: impl IntoIterator<Item = Event>, shape: Shape) -> Vec<Event> {
    let part = |n: u32| {
        let name = TopicPartition::new("t", i32::try_from(n).unwrap_or(0));
        (TpId(n), Part { name, epoch: 0, partition_epoch: 0, pending: Vec::new(), end: 0 })
    };
    let parts = (0..shape.partitions).map(part).collect();
    let mut copies = Copies { parts, lives: BTreeMap::new(), out: Vec::new(), at: 0 };
    for event in events {
        copies.at = event.at;
        copies.take(event.kind);
    }
    copies.out
}

impl Copies {
    fn note(&mut self, kind: Kind) {
        self.out.push(Event { at: self.at, kind });
    }

    fn fact(&mut self, node: NodeId, tp: Option<TpId>, fact: Fact) {
        let incarnation = self.lives.get(&node).copied().unwrap_or(0);
        self.note(Kind::Fact { node, incarnation, tp, fact });
    }

    fn take(&mut self, kind: Kind) {
        match kind {
            Kind::Fact { tp: Some(tp), fact, .. } => self.partition(tp, fact),
            Kind::Fact { tp: None, fact, .. } => {
                let started = matches!(fact, Fact::Started { .. });
                self.fact(FIRST, None, fact);
                if started {
                    self.comes_back();
                }
            }
            Kind::Strike { strike, fault, on, .. } => self.note(Kind::Strike { strike, fault, on, minority: true }),
            Kind::Down { .. } => {
                self.note(kind);
                self.takes_over();
            }
            Kind::Up { incarnation, .. } => {
                self.lives.insert(FIRST, incarnation);
                self.note(kind);
            }
            Kind::Phase { phase: Phase::WarmUp } => {
                self.note(kind);
                self.begins();
            }
            other => self.note(other),
        }
    }

    /// What the first broker says of a partition, in its epoch, and what the others say after it.
    fn partition(&mut self, tp: TpId, mut fact: Fact) {
        let Some(part) = self.parts.get_mut(&tp) else { return };
        let now = part.epoch;
        match &mut fact {
            Fact::Appended { batch, epoch, .. } => {
                *epoch = now;
                part.pending.push(*batch);
            }
            Fact::Watermarks { epoch, .. } => *epoch = now,
            Fact::Acked { replicas, .. } => *replicas = 3,
            _ => {}
        }
        let followers = [SECOND, ALL[2]];
        match fact.clone() {
            Fact::Flushed { upto, .. } => {
                let pending = std::mem::take(&mut part.pending);
                part.end = upto;
                let name = part.name.clone();
                self.fact(FIRST, Some(tp), fact);
                for node in followers {
                    for batch in &pending {
                        let tp_name = name.clone();
                        self.fact(node, Some(tp), Fact::Replicated { tp: tp_name, batch: *batch, epoch: now });
                    }
                    self.fact(node, Some(tp), Fact::Flushed { tp: name.clone(), upto });
                }
            }
            Fact::Watermarks { .. } | Fact::Audited { .. } => {
                self.fact(FIRST, Some(tp), fact.clone());
                followers.into_iter().for_each(|node| self.fact(node, Some(tp), fact.clone()));
            }
            _ => self.fact(FIRST, Some(tp), fact),
        }
    }

    fn begins(&mut self) {
        self.fact(SECOND, None, Fact::QuorumLeads { epoch: 1, end: 0 });
        ALL.into_iter().for_each(|node| self.fact(node, None, Fact::Registered { broker_epoch: i64::from(node.0) }));
        self.tps().into_iter().for_each(|tp| self.elect(tp, FIRST, &ALL));
    }

    /// The first broker is down: what it had not synced was nobody's but its own.
    fn takes_over(&mut self) {
        for tp in self.tps() {
            self.parts.get_mut(&tp).into_iter().for_each(|part| part.pending.clear());
            self.elect(tp, SECOND, &ALL[1..]);
        }
    }

    /// It is back, in sync, and preferred.
    fn comes_back(&mut self) {
        self.fact(FIRST, None, Fact::Registered { broker_epoch: i64::try_from(self.at).unwrap_or(0) });
        for tp in self.tps() {
            self.decide(tp, SECOND, &ALL);
            let Some(part) = self.parts.get(&tp) else { continue };
            let (name, epoch, partition_epoch) = (part.name.clone(), part.epoch, part.partition_epoch);
            let (in_sync, maximal) = (ALL.to_vec(), ALL.to_vec());
            self.fact(SECOND, Some(tp), Fact::InSync { tp: name, epoch, partition_epoch, in_sync, maximal });
            self.elect(tp, FIRST, &ALL);
        }
    }

    fn tps(&self) -> Vec<TpId> {
        self.parts.keys().copied().collect()
    }

    /// The controller decides; the epochs were moved on by then.
    fn decide(&mut self, tp: TpId, leader: NodeId, in_sync: &[NodeId]) {
        let Some(part) = self.parts.get_mut(&tp) else { return };
        part.partition_epoch += 1;
        let fact = Fact::Decided {
            tp: part.name.clone(),
            topic: TopicId(uuid::Uuid::nil()),
            partition_epoch: part.partition_epoch,
            leader: Some(leader),
            leader_epoch: part.epoch,
            in_sync: in_sync.to_vec(),
            elr: Vec::new(),
            unclean: false,
        };
        self.fact(SECOND, Some(tp), fact);
    }

    fn elect(&mut self, tp: TpId, leader: NodeId, in_sync: &[NodeId]) {
        self.parts.get_mut(&tp).into_iter().for_each(|part| part.epoch += 1);
        self.decide(tp, leader, in_sync);
        let Some(part) = self.parts.get(&tp) else { return };
        let (name, epoch, partition_epoch, end) = (part.name.clone(), part.epoch, part.partition_epoch, part.end);
        let leads = Fact::Leads { tp: name.clone(), epoch, partition_epoch, end, in_sync: in_sync.to_vec() };
        self.fact(leader, Some(tp), leads);
        for node in in_sync.iter().filter(|node| **node != leader) {
            self.fact(*node, Some(tp), Fact::Follows { tp: name.clone(), epoch, leader: Some(leader) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shape, Synth};
    use super::{on_three, rules};
    use crate::invariant::Checker;

    #[test]
    fn a_good_history_of_three_passes_every_invariant_with_evidence_for_each() {
        let shape = Shape { ops: 1500, ..Shape::default() };
        for seed in 0..20 {
            let mut checker = Checker::new(rules(shape));
            let events = on_three(Synth::new(shape, seed), shape);
            events.iter().for_each(|e| checker.see(e));
            let checked = checker.end(events.last().map_or(0, |e| e.at));
            assert!(checked.findings.is_empty(), "seed {seed}: {:#?}", checked.findings);
            let idle: Vec<_> = checked.evidence.iter().filter(|e| e.count == 0).map(|e| &*e.invariant).collect();
            assert!(idle.iter().all(|id| ["W14", "W19", "L9", "W4"].contains(id)), "seed {seed}: {idle:?}");
        }
    }
}
