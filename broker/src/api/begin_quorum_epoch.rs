//! BeginQuorumEpoch (53): the asker leads the metadata quorum (KIP-595).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::begin_quorum_epoch_response::{PartitionData, TopicData};
use kafka_protocol::messages::{BeginQuorumEpochRequest, BeginQuorumEpochResponse, BrokerId};

use super::{Answer, Call, Started, respond};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::{Node, code_of};
use crate::quorum::{Body, Request};

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<BeginQuorumEpochRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let refuse = |error: ResponseError| {
            respond::<BeginQuorumEpochRequest>(head, &BeginQuorumEpochResponse::default().with_error_code(error.code()))
        };
        if request.cluster_id.as_deref().is_some_and(|id| id != node.config.cluster_id) {
            return refuse(ResponseError::InconsistentClusterId);
        }
        let Some((topic, asked)) = request.topics.iter().find_map(|topic| Some((topic, topic.partitions.first()?)))
        else {
            return refuse(ResponseError::InvalidRequest);
        };
        let begun = Request::BeginQuorumEpoch { epoch: asked.leader_epoch };
        let Some(answer) = node.raft.ask(NodeId(asked.leader_id.0), begun).await else { return Answer::Close };
        let Body::Epoch(standing) = answer.body else { return refuse(ResponseError::UnknownServerError) };
        let part = PartitionData::default()
            .with_partition_index(asked.partition_index)
            .with_error_code(code_of(standing))
            .with_leader_id(BrokerId(answer.leader.map_or(-1, |leader| leader.0)))
            .with_leader_epoch(answer.epoch);
        let topic = TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(vec![part]);
        respond::<BeginQuorumEpochRequest>(head, &BeginQuorumEpochResponse::default().with_topics(vec![topic]))
    })
}
