//! What brokers have on their disks, as far as the controller's promise is about it: a leader that is elected cleanly
//! has all that was committed.

use std::collections::BTreeMap;

use super::super::partition::PartitionState;
use crate::ids::{LeaderEpoch, NodeId};

/// Names a record.
type Id = u64;

/// One partition's logs.
#[derive(Debug, Default)]
pub(super) struct Data {
    logs: BTreeMap<NodeId, Vec<Id>>,
    committed: Vec<Id>,
    /// The last leader epoch that began with a loss. What older leaders commit does not count.
    forked: LeaderEpoch,
    written: Id,
}

fn common(a: &[Id], b: &[Id]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Data {
    pub fn log(&self, node: NodeId) -> &[Id] {
        self.logs.get(&node).map_or(&[], Vec::as_slice)
    }

    /// A leader appends.
    pub fn produce(&mut self, leader: NodeId) {
        self.written += 1;
        let written = self.written;
        self.logs.entry(leader).or_default().push(written);
    }

    /// A follower drops what its leader does not have, and takes what it has.
    pub fn replicate(&mut self, leader: NodeId, follower: NodeId, most: usize) {
        let from = self.log(leader).to_vec();
        let log = self.logs.entry(follower).or_default();
        log.truncate(common(log, &from));
        let end = from.len().min(log.len().saturating_add(most));
        log.extend_from_slice(&from[log.len()..end]);
    }

    /// A power loss leaves `kept` of 256 parts.
    pub fn lose(&mut self, node: NodeId, kept: u8) {
        if let Some(log) = self.logs.get_mut(&node) {
            log.truncate(log.len() * usize::from(kept) / 256);
        }
    }

    /// A leader sees what all that it takes for in sync have; it commits it if they are enough.
    pub fn commit(&mut self, leader: NodeId, view: &PartitionState, min_in_sync: usize) {
        if view.in_sync.len() < min_in_sync.min(view.replicas.len()) || view.leader_epoch < self.forked {
            return;
        }
        let own = self.log(leader);
        let all = view.in_sync.iter().map(|node| common(own, self.log(*node))).min().unwrap_or(0);
        let committed = own[..all].to_vec();
        let agreed = common(&committed, &self.committed);
        assert_eq!(agreed, committed.len().min(self.committed.len()), "two leaders have committed different records");
        if committed.len() > self.committed.len() {
            self.committed = committed;
        }
    }

    /// A leader was elected that may lack anything.
    pub fn fork(&mut self, leader: NodeId, epoch: LeaderEpoch) {
        self.committed.truncate(common(&self.committed, self.logs.get(&leader).map_or(&[], Vec::as_slice)));
        self.forked = epoch;
    }

    /// Whether a broker has all that is committed.
    pub fn has_all(&self, node: NodeId) -> bool {
        self.log(node).starts_with(&self.committed)
    }
}
