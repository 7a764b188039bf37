//! AlterPartition (56): a leader proposes other in-sync sets (KIP-497, KIP-903).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_request::PartitionData as Asked;
use kafka_protocol::messages::alter_partition_response::{PartitionData, TopicData};
use kafka_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse, BrokerId};
use uuid::Uuid;

use super::{Answer, Call, Started, respond};
use crate::controller::partition::PartitionState;
use crate::controller::record::TopicId;
use crate::controller::request::{self, AlterPartition, Request};
use crate::env::Env;
use crate::ids::{BrokerEpoch, NodeId};
use crate::node::Node;

/// The first version that says of which registration the members are (KIP-903).
const FIRST_WITH_EPOCHS: i16 = 3;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<AlterPartitionRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let with_epochs = head.version >= FIRST_WITH_EPOCHS;
        let all = asked.topics.iter().flat_map(|topic| topic.partitions.iter().map(|part| (topic.topic_id, part)));
        let request = Request::AlterPartitions {
            node: NodeId(asked.broker_id.0),
            epoch: asked.broker_epoch,
            partitions: all.map(|(topic, part)| wanted(topic, part, with_epochs)).collect(),
        };
        let refused = |error: ResponseError| AlterPartitionResponse::default().with_error_code(error.code());
        let response = match node.raft.decide(request).await {
            Ok(request::Answer::AlterPartitions(ends)) => {
                let mut ends = ends.into_iter();
                let topics = asked.topics.iter().map(|topic| {
                    let parts = topic.partitions.iter().zip(&mut ends).map(|(part, end)| answer(part, end));
                    TopicData::default().with_topic_id(topic.topic_id).with_partitions(parts.collect())
                });
                AlterPartitionResponse::default().with_topics(topics.collect())
            }
            Ok(_) => refused(ResponseError::UnknownServerError),
            Err(error) => refused(error),
        };
        respond::<AlterPartitionRequest>(head, &response)
    })
}

fn wanted(topic: Uuid, asked: &Asked, with_epochs: bool) -> AlterPartition {
    let in_sync: Vec<(NodeId, BrokerEpoch)> = match with_epochs {
        true => asked.new_isr_with_epochs.iter().map(|one| (NodeId(one.broker_id.0), one.broker_epoch)).collect(),
        false => asked.new_isr.iter().map(|id| (NodeId(id.0), -1)).collect(),
    };
    AlterPartition {
        topic: TopicId(topic),
        partition: asked.partition_index,
        leader_epoch: asked.leader_epoch,
        partition_epoch: asked.partition_epoch,
        in_sync,
    }
}

fn answer(asked: &Asked, end: Result<PartitionState, ResponseError>) -> PartitionData {
    let answer = PartitionData::default().with_partition_index(asked.partition_index);
    match end {
        Ok(state) => answer
            .with_leader_id(BrokerId(state.leader.map_or(-1, |leader| leader.0)))
            .with_leader_epoch(state.leader_epoch)
            .with_isr(state.in_sync.iter().map(|node| BrokerId(node.0)).collect())
            .with_partition_epoch(state.partition_epoch),
        Err(error) => answer.with_error_code(error.code()),
    }
}
