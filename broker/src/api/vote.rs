//! Vote (52): shall the asker lead the metadata quorum (KIP-595, KIP-996)?

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::vote_request::PartitionData as Asked;
use kafka_protocol::messages::vote_response::{NodeEndpoint, PartitionData, TopicData};
use kafka_protocol::messages::{BrokerId, VoteRequest, VoteResponse};

use super::{Answer, Call, Started, respond};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;
use crate::quorum::{Body, OffsetAndEpoch, Request};

/// The first version that says where the leader listens (KIP-853).
const FIRST_WITH_ENDPOINTS: i16 = 1;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<VoteRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        if node.is_other_cluster(request.cluster_id.as_ref()) {
            let code = ResponseError::InconsistentClusterId.code();
            return respond::<VoteRequest>(head, &VoteResponse::default().with_error_code(code));
        }
        // There is one metadata log, and it has one partition.
        let Some((topic, asked)) = request.topics.iter().find_map(|topic| Some((topic, topic.partitions.first()?)))
        else {
            let code = ResponseError::InvalidRequest.code();
            return respond::<VoteRequest>(head, &VoteResponse::default().with_error_code(code));
        };
        let Some(part) = vote(&node, asked).await else { return Answer::Close };
        let leader =
            Some(NodeId(part.leader_id.0)).filter(|leader| leader.0 >= 0 && head.version >= FIRST_WITH_ENDPOINTS);
        let leads = node
            .leads_at(leader)
            .map(|(id, host, port)| NodeEndpoint::default().with_node_id(id).with_host(host).with_port(port));
        let topic = TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(vec![part]);
        respond::<VoteRequest>(
            head,
            &VoteResponse::default().with_topics(vec![topic]).with_node_endpoints(leads.into_iter().collect()),
        )
    })
}

async fn vote<E: Env>(node: &Node<E>, asked: &Asked) -> Option<PartitionData> {
    let last = OffsetAndEpoch { offset: asked.last_offset, epoch: asked.last_offset_epoch };
    let request = Request::Vote { pre_vote: asked.pre_vote, epoch: asked.replica_epoch, last };
    let answer = node.raft.ask(NodeId(asked.replica_id.0), request).await?;
    let part = PartitionData::default()
        .with_partition_index(asked.partition_index)
        .with_leader_id(BrokerId(answer.leader.map_or(-1, |leader| leader.0)))
        .with_leader_epoch(answer.epoch);
    Some(match answer.body {
        Body::Vote { granted } => part.with_vote_granted(granted),
        _ => part.with_error_code(ResponseError::UnknownServerError.code()),
    })
}
