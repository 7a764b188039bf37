//! The in-sync set of a partition as its leader sees it, and how far its followers are.
//!
//! What the controller has committed may be overtaken by a proposal of which nobody knows yet whether it was carried
//! out. Until then the high watermark waits for all that are in either set: the maximal set (KIP-497).
//!
//! Only committed metadata says that one was, together with everything that was decided before it. Kafka takes the new set
//! from the controller's answer already; but the controller may have counted with a `min.insync.replicas` that has not come
//! here yet, and the leader would commit by the old value without a replica that was kept as eligible by the new one
//! (KIP-966).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::env::Mono;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch};

/// An in-sync set to propose to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The epoch the proposer leads in.
    pub leader_epoch: LeaderEpoch,
    /// The state it knows.
    pub partition_epoch: PartitionEpoch,
    /// Who is to be in sync, each with the registration it fetched under; -1: not known.
    pub members: Vec<(NodeId, BrokerEpoch)>,
}

/// The in-sync set.
#[derive(Clone, Debug)]
pub struct InSync {
    lag: Duration,
    partition_epoch: PartitionEpoch,
    committed: Vec<NodeId>,
    proposed: Option<Proposal>,
    /// Whether the proposal was made before, and nobody knows what became of it.
    doubtful: bool,
    /// Whom a doubtful proposal named that was refused when it was made again: a first try may yet arrive. Until when.
    lingering: Option<(Vec<NodeId>, Mono)>,
    /// The committed set and whoever else may be in it.
    maximal: Vec<NodeId>,
}

impl InSync {
    /// `lag`: how long a request is believed to be on its way at most.
    pub(super) fn new(partition_epoch: PartitionEpoch, committed: Vec<NodeId>, lag: Duration) -> Self {
        let maximal = committed.clone();
        Self { lag, partition_epoch, committed, proposed: None, doubtful: false, lingering: None, maximal }
    }

    /// The state it is of.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// What the controller has committed.
    pub fn committed(&self) -> &[NodeId] {
        &self.committed
    }

    /// That, and whoever is proposed.
    pub fn maximal(&self) -> &[NodeId] {
        &self.maximal
    }

    pub(super) fn is_proposed(&self) -> bool {
        self.proposed.is_some()
    }

    /// Whether a proposal is under way that leaves this one out.
    pub(super) fn is_unwanted(&self, node: NodeId) -> bool {
        self.proposed.as_ref().is_some_and(|proposal| proposal.members.iter().all(|(member, _)| *member != node))
    }

    pub(super) fn propose(&mut self, leader_epoch: LeaderEpoch, members: Vec<(NodeId, BrokerEpoch)>) -> Proposal {
        let proposal = Proposal { leader_epoch, partition_epoch: self.partition_epoch, members };
        (self.proposed, self.doubtful) = (Some(proposal.clone()), false);
        self.set_maximal();
        proposal
    }

    fn set_maximal(&mut self) {
        let proposed = self.proposed.iter().flat_map(|proposal| &proposal.members).map(|(member, _)| member);
        let lingering = self.lingering.iter().flat_map(|(members, _)| members);
        self.maximal = self.committed.clone();
        for member in proposed.chain(lingering) {
            if !self.maximal.contains(member) {
                self.maximal.push(*member);
            }
        }
    }

    /// It is this now, whatever was proposed.
    pub(super) fn renew(&mut self, partition_epoch: PartitionEpoch, in_sync: Vec<NodeId>) {
        *self = Self::new(partition_epoch, in_sync, self.lag);
    }

    /// What committed metadata says. False if it is no news. With a newer partition epoch no proposal is carried out any
    /// more that named an older one; with the known one, a proposal may be under way that names it.
    pub(super) fn decided(&mut self, partition_epoch: PartitionEpoch, in_sync: Vec<NodeId>) -> bool {
        let news = partition_epoch > self.partition_epoch;
        if news {
            self.renew(partition_epoch, in_sync);
        }
        news
    }

    fn is_open(&self, asked: PartitionEpoch) -> bool {
        self.proposed.as_ref().is_some_and(|proposal| proposal.partition_epoch == asked)
    }

    /// The proposal that named `asked`, if it is still open, to be made again: it may have been carried out or not.
    pub(super) fn again(&mut self, asked: PartitionEpoch) -> Option<Proposal> {
        if !self.is_open(asked) {
            return None;
        }
        self.doubtful = true;
        self.proposed.clone()
    }

    /// The proposal that named `asked` was refused. Whom it would have let in; `None` if it was not open any more.
    pub(super) fn refused(&mut self, asked: PartitionEpoch, now: Mono) -> Option<Vec<NodeId>> {
        if !self.is_open(asked) {
            return None;
        }
        let refused = self.proposed.take()?.members.into_iter().map(|(member, _)| member);
        let mut refused: Vec<NodeId> = refused.collect();
        if self.doubtful {
            self.lingering = Some((refused.clone(), now.after(self.lag)));
        }
        self.set_maximal();
        refused.retain(|member| !self.committed.contains(member));
        Some(refused)
    }

    /// Believes no longer that a lost proposal may arrive, when its time is up. Whether it did until now.
    pub(super) fn expire(&mut self, now: Mono) -> bool {
        let over = self.lingering.as_ref().is_some_and(|(_, until)| *until <= now);
        if over {
            self.lingering = None;
            self.set_maximal();
        }
        over
    }
}

/// What the leader knows of one follower.
#[derive(Clone, Copy, Debug)]
struct Follower {
    /// It has everything below; -1: it has not been heard.
    position: Offset,
    epoch: BrokerEpoch,
    eligible: bool,
    /// When it last had all that the leader had.
    caught_up: Mono,
    /// When it last fetched, and where the log ended then.
    fetched: Mono,
    end: Offset,
}

/// The followers.
#[derive(Clone, Debug)]
pub(super) struct Followers {
    lag: Duration,
    all: BTreeMap<NodeId, Follower>,
}

impl Followers {
    pub(super) fn new(me: NodeId, replicas: &[NodeId], lag: Duration, now: Mono) -> Self {
        let mut followers = Self { lag, all: BTreeMap::new() };
        followers.keep(me, replicas, now);
        followers
    }

    /// The replicas are these from now on. New ones have one lag's time to be heard.
    pub(super) fn keep(&mut self, me: NodeId, replicas: &[NodeId], now: Mono) {
        self.all.retain(|node, _| replicas.contains(node));
        for node in replicas.iter().filter(|node| **node != me) {
            let fresh = Follower { position: -1, epoch: -1, eligible: false, caught_up: now, fetched: now, end: 0 };
            self.all.entry(*node).or_insert(fresh);
        }
    }

    /// Nothing is known of any of them.
    pub(super) fn reset(&mut self, me: NodeId, replicas: &[NodeId], now: Mono) {
        self.all.clear();
        self.keep(me, replicas, now);
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// They may not be in sync, until they fetch again and are seen to be able to.
    pub(super) fn disqualify(&mut self, nodes: &[NodeId]) {
        for node in nodes {
            self.all.entry(*node).and_modify(|follower| follower.eligible = false);
        }
    }

    /// How far all of them are.
    pub(super) fn slowest(&self) -> Offset {
        self.all.values().map(|follower| follower.position).min().unwrap_or(Offset::MAX)
    }

    pub(super) fn position(&self, node: NodeId) -> Offset {
        self.all.get(&node).map_or(-1, |follower| follower.position)
    }

    /// As `Replica.updateFetchStateOrThrow` counts: it is caught up now if it asks for the log's end, and was when it last
    /// fetched if it has got to where the end was then.
    pub(super) fn fetched(
        &mut self,
        now: Mono,
        node: NodeId,
        epoch: BrokerEpoch,
        offset: Offset,
        eligible: bool,
        end: Offset,
    ) {
        let Some(follower) = self.all.get_mut(&node) else { return };
        if epoch < follower.epoch {
            // From before it was started again: what it had then says nothing (KIP-903).
            return;
        }
        if offset >= end {
            follower.caught_up = now;
        } else if offset >= follower.end && follower.position >= 0 {
            follower.caught_up = follower.caught_up.max(follower.fetched);
        }
        (follower.position, follower.epoch, follower.eligible) = (offset, epoch, eligible);
        (follower.fetched, follower.end) = (now, end);
    }

    /// Who should be in sync, in the order of the present set, then by id: whoever is and has not fallen behind, and
    /// whoever may be, has not either, and has everything below `needed`. (Kafka asks only the last of who would join, and
    /// has it leave again if it has fallen behind.)
    pub(super) fn wanted(
        &self,
        me: NodeId,
        present: &[NodeId],
        now: Mono,
        end: Offset,
        needed: Offset,
    ) -> Vec<(NodeId, BrokerEpoch)> {
        let stays = |node: &NodeId| {
            *node == me
                || self
                    .all
                    .get(node)
                    .is_some_and(|follower| follower.position >= end || now.since(follower.caught_up) <= self.lag)
        };
        let epoch = |node: &NodeId| self.all.get(node).map_or(-1, |follower| follower.epoch);
        let mut members: Vec<_> = present.iter().copied().filter(stays).map(|node| (node, epoch(&node))).collect();
        for (node, follower) in &self.all {
            let joins = follower.eligible && follower.position >= needed && stays(node);
            if joins && !present.contains(node) {
                members.push((*node, follower.epoch));
            }
        }
        members
    }
}
