//! The in-sync set of a partition as its leader sees it, and how far its followers are.
//!
//! What the controller has committed may be overtaken by a proposal of which nobody knows yet whether it was carried
//! out. Until then the high watermark waits for all that are in either set: the maximal set (KIP-497).

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
    partition_epoch: PartitionEpoch,
    committed: Vec<NodeId>,
    proposed: Option<Proposal>,
    /// The committed set and whoever is proposed.
    maximal: Vec<NodeId>,
}

impl InSync {
    pub(super) fn new(partition_epoch: PartitionEpoch, committed: Vec<NodeId>) -> Self {
        Self { partition_epoch, maximal: committed.clone(), committed, proposed: None }
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

    pub(super) fn propose(&mut self, leader_epoch: LeaderEpoch, members: Vec<(NodeId, BrokerEpoch)>) -> Proposal {
        let more = members.iter().map(|(member, _)| *member).filter(|member| !self.committed.contains(member));
        self.maximal = self.committed.iter().copied().chain(more).collect();
        let proposal = Proposal { leader_epoch, partition_epoch: self.partition_epoch, members };
        self.proposed = Some(proposal.clone());
        proposal
    }

    /// The controller's decision. False if it is no news.
    pub(super) fn decided(&mut self, partition_epoch: PartitionEpoch, in_sync: Vec<NodeId>) -> bool {
        if partition_epoch < self.partition_epoch {
            return false;
        }
        if partition_epoch == self.partition_epoch && self.proposed.is_none() {
            return false;
        }
        if partition_epoch == self.partition_epoch && in_sync != self.committed {
            return false;
        }
        *self = Self::new(partition_epoch, in_sync);
        true
    }

    /// The proposal under way.
    pub(super) fn proposal(&self) -> Option<Proposal> {
        self.proposed.clone()
    }

    /// The proposal was never carried out, and will not be.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.partition_epoch, std::mem::take(&mut self.committed));
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
    /// whoever may be and has everything below `needed`.
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
                || self.all.get(node).is_some_and(|follower| {
                    follower.position >= end || now.since(follower.caught_up) <= self.lag
                })
        };
        let epoch = |node: &NodeId| self.all.get(node).map_or(-1, |follower| follower.epoch);
        let mut members: Vec<_> = present.iter().copied().filter(stays).map(|node| (node, epoch(&node))).collect();
        for (node, follower) in &self.all {
            if !present.contains(node) && follower.eligible && follower.position >= needed {
                members.push((*node, follower.epoch));
            }
        }
        members
    }
}
