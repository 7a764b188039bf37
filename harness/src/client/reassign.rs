//! Administrative calls about who holds and who leads partitions.

use broker::env::{Env, Mono};
use broker::ids::{NodeId, TopicPartition};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::admin::written;
use super::{CallError, Client};

/// ElectLeaders: of the preferred replicas, not uncleanly.
const PREFERRED: i8 = 0;

impl<E: Env> Client<E> {
    /// Gives a partition's replicas to these brokers, the first of them preferred (KIP-455). The move itself takes its
    /// time after the answer.
    pub async fn reassign(&self, tp: &TopicPartition, to: &[NodeId], deadline: Mono) -> Result<(), CallError> {
        let replicas = to.iter().map(|node| BrokerId(node.0)).collect();
        let partition =
            ReassignablePartition::default().with_partition_index(tp.partition).with_replicas(Some(replicas));
        let name = TopicName(StrBytes::from_string(tp.topic.to_string()));
        let topic = ReassignableTopic::default().with_name(name).with_partitions(vec![partition]);
        let request =
            AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).with_timeout_ms(self.left(deadline));
        let answer = self.call_controller(&request, deadline).await?;
        written(Some(answer.error_code))?;
        written(answer.responses.first().and_then(|t| t.partitions.first()).map(|p| p.error_code))
    }

    /// Has the preferred replica of every partition lead, where it is in sync.
    pub async fn elect_preferred(&self, deadline: Mono) -> Result<(), CallError> {
        let request = ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_topic_partitions(None)
            .with_timeout_ms(self.left(deadline));
        let answer = self.call_controller(&request, deadline).await?;
        written(Some(answer.error_code))
    }
}
