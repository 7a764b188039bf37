//! AlterPartition (56): a leader proposes another in-sync set (KIP-497, KIP-903).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_request::PartitionData as Asked;
use kafka_protocol::messages::alter_partition_response::{PartitionData, TopicData};
use kafka_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse, BrokerId};
use uuid::Uuid;

use super::{Answer, Call, Started, respond};
use crate::controller::record::TopicId;
use crate::controller::{self, Altered, Request};
use crate::env::Env;
use crate::ids::{BrokerEpoch, NodeId};
use crate::node::Node;

/// The first version that says of which incarnation the members are (KIP-903).
const FIRST_WITH_EPOCHS: i16 = 3;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<AlterPartitionRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let mut topics = Vec::with_capacity(request.topics.len());
        let mut error_code = 0;
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let with_epochs = head.version >= FIRST_WITH_EPOCHS;
                let end = node.raft.decide(wanted(&request, topic.topic_id, asked, with_epochs)).await;
                // What is about the broker itself is said once for all.
                if let Err(error @ (ResponseError::NotController | ResponseError::StaleBrokerEpoch)) = end {
                    error_code = error.code();
                }
                partitions.push(answer(asked, end));
            }
            topics.push(TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions));
        }
        let response = match error_code {
            0 => AlterPartitionResponse::default().with_topics(topics),
            code => AlterPartitionResponse::default().with_error_code(code),
        };
        respond::<AlterPartitionRequest>(head, &response)
    })
}

fn wanted(request: &AlterPartitionRequest, topic: Uuid, asked: &Asked, with_epochs: bool) -> Request {
    let in_sync: Vec<(NodeId, BrokerEpoch)> = match with_epochs {
        true => asked.new_isr_with_epochs.iter().map(|broker| (NodeId(broker.broker_id.0), broker.broker_epoch)).collect(),
        false => asked.new_isr.iter().map(|id| (NodeId(id.0), -1)).collect(),
    };
    Request::AlterPartition {
        node: NodeId(request.broker_id.0),
        epoch: request.broker_epoch,
        topic: TopicId(topic),
        partition: asked.partition_index,
        leader_epoch: asked.leader_epoch,
        partition_epoch: asked.partition_epoch,
        in_sync,
    }
}

fn answer(asked: &Asked, end: Result<controller::Answer, ResponseError>) -> PartitionData {
    let answer = PartitionData::default().with_partition_index(asked.partition_index);
    match end {
        Ok(controller::Answer::Altered(Altered { leader, leader_epoch, in_sync, partition_epoch })) => answer
            .with_leader_id(BrokerId(leader.map_or(-1, |leader| leader.0)))
            .with_leader_epoch(leader_epoch)
            .with_isr(in_sync.iter().map(|node| BrokerId(node.0)).collect())
            .with_partition_epoch(partition_epoch),
        Ok(_) => answer.with_error_code(ResponseError::UnknownServerError.code()),
        Err(error) => answer.with_error_code(error.code()),
    }
}
