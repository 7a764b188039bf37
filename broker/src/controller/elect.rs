//! What becomes of one partition when its replicas, its in-sync set or the brokers' states change: who leads, who is in
//! sync, who is eligible. Kafka's rules (`PartitionChangeBuilder`, with eligible leader replicas on, KIP-966):
//!
//! * A leader comes from the in-sync set, in the replicas' order, the present one first; while the in-sync set is
//!   empty, from the eligible leader replicas (ELR); while both are empty, it is the last that led. That one has been
//!   down uncleanly, or it would be eligible: it is trusted for want of a better, and [`Elected::LastKnown`] says so. Any
//!   other replica only by an unclean election.
//! * Whoever leaves the in-sync set while it is smaller than `min.insync.replicas` (or than all replicas, if those are
//!   fewer) becomes eligible: nothing is committed without that many in sync, so nothing is missing there. All lose it
//!   when the set is large enough again, and one that comes back from an unclean shutdown loses it, and its place in
//!   the in-sync set: its disk may have less than it said.
//! * Every change is a new partition epoch. It is a new leader epoch too when the leader is another (or nobody, or
//!   somebody again), or when a reassignment takes replicas away. Not when the in-sync set shrinks: since Kafka 3.6
//!   (KAFKA-15021) leaders need no new epoch for that.
//! * A reassignment is complete as soon as every replica that stays is in sync.
//!
//! Kafka differs in four places, where it seems to be by mistake: it elects a last known leader even if that is not
//! alive; it keeps as eligible who is no replica any more, and others beside a leader that was eligible itself and, since
//! `min.insync.replicas` was lowered meanwhile, commits alone; and a cancelled reassignment may name a fenced replica in
//! sync.

use super::partition::{Elected, NO_LEADER, PartitionDelta, PartitionState};
use crate::ids::NodeId;
use crate::planted::{Defect, planted};

/// Who may be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The preferred leader, even if another leads well.
    Preferred,
    /// Whoever has all that is committed.
    Online,
    /// Anyone, if there is no such.
    Unclean,
}

/// A partition that is about to change.
pub(super) struct Proposal<'a> {
    now: &'a PartitionState,
    active: &'a dyn Fn(NodeId) -> bool,
    min_in_sync: usize,
    election: Election,
    lost: Option<NodeId>,
    replicas: Vec<NodeId>,
    in_sync: Vec<NodeId>,
    adding: Vec<NodeId>,
    removing: Vec<NodeId>,
}

impl<'a> Proposal<'a> {
    /// Begins with the partition as it is. `active`: which brokers may lead.
    pub fn new(now: &'a PartitionState, min_in_sync: usize, active: &'a dyn Fn(NodeId) -> bool) -> Self {
        Self {
            now,
            active,
            min_in_sync,
            election: Election::Online,
            lost: None,
            replicas: now.replicas.clone(),
            in_sync: now.in_sync.clone(),
            adding: now.adding.clone(),
            removing: now.removing.clone(),
        }
    }

    /// Elects so.
    pub fn electing(self, election: Election) -> Self {
        Self { election, ..self }
    }

    /// With this in-sync set.
    pub fn in_sync(self, in_sync: Vec<NodeId>) -> Self {
        Self { in_sync, ..self }
    }

    /// Without `node` in sync.
    pub fn without(mut self, node: NodeId) -> Self {
        self.in_sync.retain(|replica| *replica != node);
        self
    }

    /// Without `node` in sync, nor eligible: what it had may be gone.
    pub fn lost(self, node: NodeId) -> Self {
        Self { lost: Some(node), ..self.without(node) }
    }

    /// With these replicas, of which those are being added and removed.
    pub fn replicas(self, replicas: Vec<NodeId>, adding: Vec<NodeId>, removing: Vec<NodeId>) -> Self {
        Self { replicas, adding, removing, ..self }
    }

    /// What changes; `None`: nothing.
    pub fn decide(mut self) -> Option<PartitionDelta> {
        self.complete_reassignment();
        let replicas = self.replicas.clone();
        self.in_sync.retain(|node| replicas.contains(node));
        let mut elr = self.eligible();
        let (leader, how) = self.elect(&elr).map_or((None, Elected::Clean), |(node, how)| (Some(node), how));
        let mut delta = PartitionDelta::default();
        if leader != self.now.leader {
            delta.leader = Some(leader.unwrap_or(NO_LEADER));
            delta.elected = (leader.is_some() && how != self.now.elected).then_some(how);
            if let Some(leader) = leader
                && !self.in_sync.contains(&leader)
            {
                self.in_sync = vec![leader];
                // Others are eligible still, unless the new leader lacks something, or commits without them from now on.
                elr.retain(|node| *node != leader && how == Elected::Clean && !self.is_enough());
            }
        } else if self.now.replicas.iter().any(|node| !self.replicas.contains(node)) {
            delta.leader = Some(leader.unwrap_or(NO_LEADER));
        }
        let last = self.last_known(leader, &elr);
        let changed = |to: Vec<NodeId>, from: &Vec<NodeId>| (to != *from).then_some(to);
        delta.in_sync = changed(self.in_sync, &self.now.in_sync);
        delta.elr = changed(elr, &self.now.elr);
        delta.last_known_elr = changed(last, &self.now.last_known_elr);
        delta.replicas = changed(self.replicas, &self.now.replicas);
        delta.adding = changed(self.adding, &self.now.adding);
        delta.removing = changed(self.removing, &self.now.removing);
        (delta != PartitionDelta::default()).then_some(delta)
    }

    /// `PartitionReassignmentReplicas.maybeCompleteReassignment`.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |node: &NodeId| !self.removing.contains(node);
        let in_sync: Vec<NodeId> = self.in_sync.iter().copied().filter(stays).collect();
        let replicas: Vec<NodeId> = self.replicas.iter().copied().filter(stays).collect();
        if in_sync.is_empty() || !replicas.iter().all(|node| in_sync.contains(node)) {
            return;
        }
        (self.in_sync, self.replicas) = (in_sync, replicas);
        self.adding.clear();
        self.removing.clear();
    }

    /// Whether the in-sync set can commit.
    fn is_enough(&self) -> bool {
        self.in_sync.len() >= self.min_in_sync.min(self.replicas.len())
    }

    /// The eligible leader replicas there will be, in the replicas' order.
    fn eligible(&self) -> Vec<NodeId> {
        if self.is_enough() && !planted(Defect::CtElrNotCleared) {
            return Vec::new();
        }
        let has_all = |node: &NodeId| self.now.elr.contains(node) || self.now.in_sync.contains(node);
        let apart = |node: &NodeId| !self.in_sync.contains(node) && Some(*node) != self.lost;
        self.replicas.iter().copied().filter(|node| has_all(node) && apart(node)).collect()
    }

    fn elect(&self, elr: &[NodeId]) -> Option<(NodeId, Elected)> {
        let active = self.active;
        let has_all = |node: &NodeId| {
            let from = if self.in_sync.is_empty() { elr } else { &self.in_sync };
            from.contains(node) && active(*node)
        };
        let preferred = self.replicas.first().copied().filter(|_| self.election == Election::Preferred);
        let in_order = preferred.into_iter().chain(self.now.leader).chain(self.replicas.iter().copied());
        if let Some(clean) = in_order.into_iter().find(|node| has_all(node)) {
            return Some((clean, Elected::Clean));
        }
        let here = |node: &NodeId| self.replicas.contains(node) && active(*node);
        if self.in_sync.is_empty()
            && elr.is_empty()
            && let Some(last) = self.now.last_known_elr.first().copied().filter(here)
        {
            return Some((last, Elected::LastKnown));
        }
        let anyone = self.replicas.iter().copied().find(|node| active(*node));
        if planted(Defect::CtUncleanSilent) {
            return anyone.map(|node| (node, Elected::Clean));
        }
        anyone.filter(|_| self.election == Election::Unclean).map(|node| (node, Elected::Unclean))
    }

    /// Who led last, while nobody does: noted when the partition loses its leader. If that one is no replica any more,
    /// one that is eligible stands in for it, should it lose that.
    fn last_known(&self, leader: Option<NodeId>, elr: &[NodeId]) -> Vec<NodeId> {
        if leader.is_some() {
            return Vec::new();
        }
        let last = self.now.leader.or(self.now.last_known_elr.first().copied());
        let last = last.filter(|node| self.replicas.contains(node));
        last.or(elr.first().copied()).into_iter().collect()
    }
}
