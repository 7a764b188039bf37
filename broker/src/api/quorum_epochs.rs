//! BeginQuorumEpoch (53) and EndQuorumEpoch (54): the asker leads the metadata quorum, or leads it no more (KIP-595).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, BrokerId, EndQuorumEpochRequest, EndQuorumEpochResponse,
    begin_quorum_epoch_request, begin_quorum_epoch_response, end_quorum_epoch_request, end_quorum_epoch_response,
};

use super::{Answer, Call, Started, respond};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::{Node, code_of};
use crate::quorum::{Body, Request};

fn begun(asked: &begin_quorum_epoch_request::PartitionData) -> Request {
    Request::BeginQuorumEpoch { epoch: asked.leader_epoch }
}

fn ended(asked: &end_quorum_epoch_request::PartitionData) -> Request {
    let preferred = asked.preferred_candidates.iter().map(|info| NodeId(info.candidate_id.0)).collect();
    Request::EndQuorumEpoch { epoch: asked.leader_epoch, preferred }
}

/// The two differ in the types of their messages, which no trait of the protocol crate unites.
macro_rules! news {
    ($serve:ident, $Request:ident, $Response:ident, $response:ident, $news:ident) => {
        pub(super) fn $serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
            let head = call.head;
            let Some(request) = call.decode::<$Request>() else { return Started::Now(Answer::Close) };
            let node = node.clone();
            Started::later(async move {
                let refuse = |error: ResponseError| {
                    respond::<$Request>(head, &$Response::default().with_error_code(error.code()))
                };
                if node.is_other_cluster(request.cluster_id.as_ref()) {
                    return refuse(ResponseError::InconsistentClusterId);
                }
                // There is one metadata log, and it has one partition.
                let asked = request.topics.iter().find_map(|topic| Some((topic, topic.partitions.first()?)));
                let Some((topic, asked)) = asked else { return refuse(ResponseError::InvalidRequest) };
                let Some(answer) = node.raft.ask(NodeId(asked.leader_id.0), $news(asked)).await else {
                    return Answer::Close;
                };
                let Body::Epoch(standing) = answer.body else { return refuse(ResponseError::UnknownServerError) };
                let part = $response::PartitionData::default()
                    .with_partition_index(asked.partition_index)
                    .with_error_code(code_of(standing))
                    .with_leader_id(BrokerId(answer.leader.map_or(-1, |leader| leader.0)))
                    .with_leader_epoch(answer.epoch);
                let topic = $response::TopicData::default().with_topic_name(topic.topic_name.clone());
                let topics = vec![topic.with_partitions(vec![part])];
                respond::<$Request>(head, &$Response::default().with_topics(topics))
            })
        }
    };
}

news!(begin, BeginQuorumEpochRequest, BeginQuorumEpochResponse, begin_quorum_epoch_response, begun);
news!(end, EndQuorumEpochRequest, EndQuorumEpochResponse, end_quorum_epoch_response, ended);
