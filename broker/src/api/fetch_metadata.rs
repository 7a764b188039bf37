//! Fetch (1) of the metadata log by another node's replica (KIP-595).

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData, SnapshotId,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};

use super::{Answer, Started, respond};
use crate::controller::record::METADATA_ID;
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::raft::{FetchJob, FetchReply};
use crate::node::{Node, code_of};
use crate::quorum::{Body, Fetched, OffsetAndEpoch};
use crate::wire::guard::RequestHead;

/// The first version in which replicas fetch here.
const FIRST: i16 = 15;
/// The first that says to one that is refused where the leader listens (KIP-853).
const FIRST_WITH_ENDPOINTS: i16 = 16;

/// Whether the request is one of those.
pub(super) fn wants(head: RequestHead, request: &FetchRequest) -> bool {
    head.version >= FIRST
        && request.replica_state.replica_id.0 >= 0
        && request.topics.first().is_some_and(|topic| topic.topic_id == METADATA_ID.0)
}

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, head: RequestHead, request: FetchRequest) -> Started {
    let node = node.clone();
    Started::later(async move {
        let refuse = |error: ResponseError| {
            respond::<FetchRequest>(head, &FetchResponse::default().with_error_code(error.code()))
        };
        if node.is_other_cluster(request.cluster_id.as_ref()) {
            return refuse(ResponseError::InconsistentClusterId);
        }
        let Some(asked) = request.topics.first().and_then(|topic| topic.partitions.first()) else {
            return refuse(ResponseError::InvalidRequest);
        };
        let hold = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let job = FetchJob {
            from: NodeId(request.replica_state.replica_id.0),
            epoch: asked.current_leader_epoch,
            position: OffsetAndEpoch { offset: asked.fetch_offset, epoch: asked.last_fetched_epoch },
            deadline: node.env.now().after(hold),
            max_bytes: usize::try_from(asked.partition_max_bytes).unwrap_or(0),
        };
        let Some(reply) = node.raft.fetch(job).await else { return Answer::Close };
        let refused = matches!(reply.answer.body, Body::Fetch(Fetched::Refused(_)));
        let leader = reply.answer.leader.filter(|_| refused && head.version >= FIRST_WITH_ENDPOINTS);
        let leads = node.leads_at(leader).map(|(id, host, port)| {
            NodeEndpoint::default().with_node_id(id).with_host(host).with_port(i32::from(port)).with_rack(None)
        });
        let topic = FetchableTopicResponse::default().with_topic_id(METADATA_ID.0).with_partitions(vec![part(reply)]);
        let response = FetchResponse::default().with_responses(vec![topic]);
        respond::<FetchRequest>(head, &response.with_node_endpoints(leads.into_iter().collect()))
    })
}

fn part(reply: FetchReply) -> PartitionData {
    let FetchReply { answer, records, log_start } = reply;
    let leader = LeaderIdAndEpoch::default()
        .with_leader_id(BrokerId(answer.leader.map_or(-1, |leader| leader.0)))
        .with_leader_epoch(answer.epoch);
    let part = PartitionData::default()
        .with_current_leader(leader)
        .with_log_start_offset(log_start)
        .with_high_watermark(-1)
        .with_records(Some(records));
    match answer.body {
        Body::Fetch(Fetched::Read { high_watermark }) => part.with_high_watermark(high_watermark),
        Body::Fetch(Fetched::Diverging(OffsetAndEpoch { offset, epoch })) => {
            part.with_diverging_epoch(EpochEndOffset::default().with_epoch(epoch).with_end_offset(offset))
        }
        Body::Fetch(Fetched::Snapshot(OffsetAndEpoch { offset, epoch })) => {
            part.with_snapshot_id(SnapshotId::default().with_epoch(epoch).with_end_offset(offset))
        }
        Body::Fetch(Fetched::Refused(standing)) => part.with_error_code(code_of(standing)),
        _ => part.with_error_code(ResponseError::UnknownServerError.code()),
    }
}
