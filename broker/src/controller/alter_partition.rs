//! A leader proposes another in-sync set (KIP-497), of members that may be in it (KIP-841, KIP-903).

use kafka_protocol::error::ResponseError;

use super::image::PartitionState;
use super::record::MetadataRecord;
use super::{Altered, Answer, Controller, Request};
use crate::ids::{BrokerEpoch, NodeId};

impl Controller {
    /// In the order of `ReplicationControlManager.validateAlterPartitionData`.
    pub(super) fn alter_partition(
        &mut self,
        request: &Request,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<Answer, ResponseError> {
        let Request::AlterPartition { node, epoch, topic, partition, leader_epoch, partition_epoch, in_sync } = request
        else {
            return Err(ResponseError::UnknownServerError);
        };
        self.check_epoch(*node, *epoch)?;
        let Some(known) = self.image.topic_by_id(*topic) else { return Err(ResponseError::UnknownTopicId) };
        let at = usize::try_from(*partition).unwrap_or(usize::MAX);
        let Some(state) = known.partitions.get(at).cloned() else {
            return Err(ResponseError::UnknownTopicOrPartition);
        };
        if state.leader != Some(*node) {
            return Err(ResponseError::InvalidRequest);
        }
        if *leader_epoch > state.leader_epoch || *partition_epoch > state.partition_epoch {
            return Err(ResponseError::NotController);
        }
        if *leader_epoch < state.leader_epoch {
            return Err(ResponseError::FencedLeaderEpoch);
        }
        if *partition_epoch < state.partition_epoch {
            return Err(ResponseError::InvalidUpdateVersion);
        }
        self.check_members(*node, &state, in_sync)?;
        let members: Vec<NodeId> = in_sync.iter().map(|(member, _)| *member).collect();
        if members != state.in_sync {
            let (topic, partition) = (*topic, *partition);
            let change = MetadataRecord::PartitionChange { topic, partition, leader: None, in_sync: Some(members) };
            self.put(change, records);
        }
        let state = self.image.topic_by_id(*topic).and_then(|topic| topic.partitions.get(at));
        let Some(state) = state else { return Err(ResponseError::UnknownTopicOrPartition) };
        Ok(Answer::Altered(Altered {
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            in_sync: state.in_sync.clone(),
            partition_epoch: state.partition_epoch,
        }))
    }

    /// A member has to be a replica, alive, and the process that did the fetching.
    fn check_members(
        &self,
        leader: NodeId,
        state: &PartitionState,
        in_sync: &[(NodeId, BrokerEpoch)],
    ) -> Result<(), ResponseError> {
        let replicas = in_sync.iter().all(|(member, _)| state.replicas.contains(member));
        let mut seen: Vec<NodeId> = in_sync.iter().map(|(member, _)| *member).collect();
        seen.sort_unstable();
        seen.dedup();
        if !replicas || seen.len() != in_sync.len() || !seen.contains(&leader) {
            return Err(ResponseError::InvalidRequest);
        }
        let eligible = |(member, epoch): &(NodeId, BrokerEpoch)| {
            let broker = self.image.broker(*member);
            broker.is_some_and(|broker| broker.is_active() && (*epoch == -1 || *epoch == broker.epoch))
        };
        if in_sync.iter().all(eligible) { Ok(()) } else { Err(ResponseError::IneligibleReplica) }
    }
}
