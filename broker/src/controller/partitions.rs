//! What leaders and operators ask of partitions: other in-sync sets (KIP-497, KIP-903), other leaders (KIP-460), other
//! replicas (KIP-455).

use kafka_protocol::error::ResponseError;

use super::elect::Election;
use super::image::Topic;
use super::machine::Controller;
use super::partition::PartitionState;
use super::plan::{self, Denied, denied};
use super::record::MetadataRecord;
use super::request::{AlterPartition, ElectionOutcome, Reassignment};
use crate::ids::{BrokerEpoch, NodeId};
use crate::planted::{Defect, planted};

impl Controller {
    /// A leader's in-sync set. Its broker epoch has been checked.
    pub(super) fn alter_partition(
        &mut self,
        node: NodeId,
        asked: &AlterPartition,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<PartitionState, ResponseError> {
        let topic = self.image.topic_by_id(asked.topic).ok_or(ResponseError::UnknownTopicId)?;
        let state = topic.partitions.get(usize::try_from(asked.partition).unwrap_or(usize::MAX));
        let state = state.ok_or(ResponseError::UnknownTopicOrPartition)?;
        check(node, state, asked)?;
        if !asked.in_sync.iter().all(|(member, epoch)| self.is_eligible(*member, *epoch)) {
            return Err(ResponseError::IneligibleReplica);
        }
        let in_sync: Vec<NodeId> = asked.in_sync.iter().map(|(member, _)| *member).collect();
        if let Some(change) = self.propose(topic, asked.partition, |proposal| proposal.in_sync(in_sync)) {
            self.decide(change, records);
        }
        let state = self.image.partition_by_id(asked.topic, asked.partition);
        match state {
            // The change has completed a reassignment that takes the leader away: it is to look for the news.
            Some(state) if state.leader != Some(node) => Err(ResponseError::NewLeaderElected),
            Some(state) => Ok(state.clone()),
            None => Err(ResponseError::UnknownTopicOrPartition),
        }
    }

    /// Whether a broker may be in sync: active, and in the start that the leader has heard from (KIP-903).
    fn is_eligible(&self, node: NodeId, epoch: BrokerEpoch) -> bool {
        let broker = self.image.broker(node);
        let known = |now: BrokerEpoch| epoch == -1 || epoch == now || planted(Defect::CtStaleBrokerEpoch);
        broker.is_some_and(|broker| broker.is_active() && known(broker.epoch))
    }

    /// Elections that somebody asked for.
    pub(super) fn elect_leaders(
        &mut self,
        unclean: bool,
        partitions: Option<&[(String, i32)]>,
        records: &mut Vec<MetadataRecord>,
    ) -> Vec<ElectionOutcome> {
        let every: Vec<(String, i32)> = match partitions {
            Some(asked) => asked.to_vec(),
            None => self.image.all_partitions().map(|(topic, number, _)| (topic.name.to_string(), number)).collect(),
        };
        let mut outcomes = Vec::with_capacity(every.len());
        for (topic, partition) in every {
            let outcome = self.elect_leader(unclean, &topic, partition, records);
            let needless = outcome.as_ref().is_err_and(|denied| denied.error == ResponseError::ElectionNotNeeded);
            if partitions.is_some() || !needless {
                outcomes.push(ElectionOutcome { topic, partition, outcome });
            }
        }
        outcomes
    }

    fn elect_leader(
        &mut self,
        unclean: bool,
        name: &str,
        partition: i32,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<(), Denied> {
        let (topic, state) = self.find(name, partition)?;
        let needed = if unclean { state.leader.is_none() } else { state.leader != state.preferred() };
        if !needed {
            return denied(ResponseError::ElectionNotNeeded, "The leader is as it should be.");
        }
        let election = if unclean { Election::Unclean } else { Election::Preferred };
        match self.propose(topic, partition, |proposal| proposal.electing(election)) {
            Some(change) => {
                self.decide(change, records);
                Ok(())
            }
            None if unclean => denied(ResponseError::EligibleLeadersNotAvailable, "No replica is alive."),
            None => {
                denied(ResponseError::PreferredLeaderNotAvailable, "The preferred leader is not alive and in sync.")
            }
        }
    }

    fn find(&self, name: &str, partition: i32) -> Result<(&Topic, &PartitionState), Denied> {
        let topic = plan::existing(&self.image, name)?;
        match topic.partitions.get(usize::try_from(partition).unwrap_or(usize::MAX)) {
            Some(state) => Ok((topic, state)),
            None => denied(ResponseError::UnknownTopicOrPartition, format!("No such partition as {name}-{partition}")),
        }
    }

    /// Begins a reassignment, or takes the one under way back.
    pub(super) fn reassign(&mut self, asked: &Reassignment, records: &mut Vec<MetadataRecord>) -> Result<(), Denied> {
        let (topic, state) = self.find(&asked.topic, asked.partition)?;
        let change = match &asked.replicas {
            Some(target) => {
                check_count(state, target.len(), asked.same_count)?;
                self.reassigned(topic, asked.partition, state, target)?
            }
            None => self.cancelled(topic, asked.partition, state)?,
        };
        if let Some(change) = change {
            self.decide(change, records);
        }
        Ok(())
    }

    /// The old replicas stay until all new ones are in sync.
    fn reassigned(
        &self,
        topic: &Topic,
        partition: i32,
        state: &PartitionState,
        target: &[NodeId],
    ) -> Result<Option<MetadataRecord>, Denied> {
        plan::check_assignment(&self.image, target, None)?;
        let without = |from: &[NodeId], less: &[NodeId]| -> Vec<NodeId> {
            from.iter().copied().filter(|node| !less.contains(node)).collect()
        };
        let removing = without(&state.replicas, target);
        let adding = without(target, &state.replicas);
        let replicas = [target, &removing].concat();
        Ok(self.propose(topic, partition, |proposal| proposal.replicas(replicas, adding, removing)))
    }

    /// Those that were being added go. If only they are in sync, that loses what is committed.
    fn cancelled(
        &self,
        topic: &Topic,
        partition: i32,
        state: &PartitionState,
    ) -> Result<Option<MetadataRecord>, Denied> {
        if !state.is_reassigning() {
            return denied(ResponseError::NoReassignmentInProgress, "No partition reassignment is in progress.");
        }
        let stays: Vec<NodeId> = state.replicas.iter().copied().filter(|node| !state.adding.contains(node)).collect();
        let change = self.propose(topic, partition, |proposal| proposal.replicas(stays, Vec::new(), Vec::new()));
        let mut after = state.clone();
        if let Some(MetadataRecord::PartitionChange { change, .. }) = &change {
            after.apply(change);
        }
        let nobody = after.in_sync.is_empty() && after.elr.is_empty() && after.last_known_elr.is_empty();
        if nobody || (state.leader.is_some() && after.leader.is_none()) {
            let message = "The reassignment cannot be taken back: it would require an unclean leader election.";
            return denied(ResponseError::InvalidReplicaAssignment, message);
        }
        Ok(change)
    }
}

/// Whether a partition may have `count` replicas, if it must keep as many as it has or is about to have (KIP-860).
fn check_count(state: &PartitionState, count: usize, same: bool) -> Result<(), Denied> {
    let now = state.replicas.iter().filter(|node| !state.removing.contains(node)).count();
    if !same || now == count {
        return Ok(());
    }
    let message = format!("The replication factor is changed from {now} to {count}");
    denied(ResponseError::InvalidReplicationFactor, message)
}

/// Kafka's checks, in its order (`ReplicationControlManager.validateAlterPartitionData`).
fn check(node: NodeId, state: &PartitionState, asked: &AlterPartition) -> Result<(), ResponseError> {
    let newer = asked.leader_epoch > state.leader_epoch || asked.partition_epoch > state.partition_epoch;
    if newer {
        // The leader knows more than we: another controller has been elected.
        return Err(ResponseError::NotController);
    }
    if asked.leader_epoch < state.leader_epoch {
        return Err(ResponseError::FencedLeaderEpoch);
    }
    if state.leader != Some(node) {
        return Err(ResponseError::InvalidRequest);
    }
    if asked.partition_epoch < state.partition_epoch && !planted(Defect::CtStalePartitionEpoch) {
        return Err(ResponseError::InvalidUpdateVersion);
    }
    let members = asked.in_sync.iter().map(|(member, _)| *member);
    let distinct: std::collections::BTreeSet<NodeId> = members.clone().collect();
    let valid = distinct.len() == asked.in_sync.len() && distinct.iter().all(|member| state.replicas.contains(member));
    if valid && distinct.contains(&node) { Ok(()) } else { Err(ResponseError::InvalidRequest) }
}
