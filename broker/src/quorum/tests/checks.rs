//! What must hold after every step: the properties of Raft, and that nothing is said before it is durable.

use std::collections::BTreeMap;

use super::log::{Entry, index};
use super::world::Node;
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::quorum::{Effect, Quorum, Request};

#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Who has led each epoch, in which of its lives.
    pub(super) leaders: BTreeMap<LeaderEpoch, (NodeId, u32)>,
    /// What is committed, each with the epoch of the leader that first said so.
    pub(super) committed: Vec<(Entry, LeaderEpoch)>,
    /// Of each node: its life, and the high watermark it has told.
    told: BTreeMap<NodeId, (u32, Offset)>,
    /// How often each node's log was cut: a run in which none ever was shows little.
    pub(super) cuts: usize,
    pub(super) snapshots: usize,
}

impl Checks {
    pub(super) fn started(&mut self, node: &Node) {
        self.told.insert(node.id, (node.life, -1));
    }

    /// Election safety, as soon as a node believes that it leads.
    pub(super) fn stepped(&mut self, node: &Node) {
        if let Some(epoch) = node.quorum.as_ref().and_then(Quorum::leads) {
            let leader = *self.leaders.entry(epoch).or_insert((node.id, node.life));
            assert_eq!(leader, (node.id, node.life), "two leaders (or lives of one) in epoch {epoch}");
        }
    }

    /// Leader completeness: what earlier leaders have committed, the new one has.
    pub(super) fn elected(&mut self, node: &Node) {
        let epoch = node.log.entries.last().unwrap().0;
        for (at, (entry, by)) in self.committed.iter().enumerate() {
            if *by < epoch {
                let has = node.log.entries.get(at);
                assert_eq!(has, Some(entry), "{} leads epoch {epoch} without what is committed at {at}", node.id);
            }
        }
    }

    /// What a node does must rest on what is durable.
    pub(super) fn effect(&mut self, node: &Node, effect: &Effect) {
        match effect {
            Effect::HighWatermark(to) => self.committed(node, *to),
            Effect::Truncate { to } => {
                self.cuts += 1;
                assert!(*to >= self.told[&node.id].1, "{} cuts below its high watermark", node.id);
            }
            Effect::LoadSnapshot { .. } => self.snapshots += 1,
            Effect::Answer { answer, .. } => {
                let stored = node.stored.unwrap_or_default();
                let said = (answer.epoch, answer.leader);
                assert_eq!((stored.epoch, stored.leader), said, "{} tells what is not durable", node.id);
                Self::durable(node);
            }
            Effect::Send { request: Request::Vote { pre_vote: false, epoch, .. }, .. } => {
                let stored = node.stored.unwrap_or_default();
                assert_eq!((stored.epoch, stored.voted), (*epoch, Some(node.id)), "its own vote is not durable");
            }
            Effect::Send { .. } | Effect::Fetch { .. } | Effect::Role(_) => Self::durable(node),
            _ => {}
        }
    }

    /// The disk has what the node believes, unless more of it is to be written in this very step.
    fn durable(node: &Node) {
        let believed = node.quorum.as_ref().unwrap().election;
        let more = node.writing.iter().any(|effect| matches!(effect, Effect::Persist(_)));
        assert!(
            more || node.stored.unwrap_or_default() == believed,
            "{} speaks before {believed:?} is durable",
            node.id
        );
    }

    /// State-machine safety: all agree on what is committed, and nobody ever takes it back.
    fn committed(&mut self, node: &Node, to: Offset) {
        let (life, told) = self.told[&node.id];
        assert_eq!(life, node.life);
        assert!(to > told, "{}: high watermark fell from {told} to {to}", node.id);
        self.told.insert(node.id, (life, to));
        let epoch = node.quorum.as_ref().unwrap().role().epoch;
        for (at, entry) in node.log.entries[..index(to)].iter().enumerate() {
            match self.committed.get(at) {
                Some((known, _)) => assert_eq!(known, entry, "{} commits something else at {at}", node.id),
                None => self.committed.push((*entry, epoch)),
            }
        }
    }

    /// Log matching: logs that have a record of one epoch at one offset are equal up to there.
    pub(super) fn logs(&self, nodes: &[Node]) {
        for (at, one) in nodes.iter().enumerate() {
            for other in &nodes[at + 1..] {
                let pairs = || one.log.entries.iter().zip(&other.log.entries);
                let Some(last) = pairs().rposition(|(a, b)| a.0 == b.0) else { continue };
                assert!(pairs().take(last + 1).all(|(a, b)| a == b), "{} and {} differ below {last}", one.id, other.id);
            }
        }
    }
}
