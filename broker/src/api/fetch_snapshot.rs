//! FetchSnapshot (59): a piece of a snapshot of the metadata, for a replica whose place the log no longer has (KIP-630).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_snapshot_request::PartitionSnapshot as Asked;
use kafka_protocol::messages::fetch_snapshot_response::{
    LeaderIdAndEpoch, PartitionSnapshot, SnapshotId, TopicSnapshot,
};
use kafka_protocol::messages::{BrokerId, FetchSnapshotRequest, FetchSnapshotResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::METADATA_TOPIC;
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::{Node, code_of};
use crate::quorum::{Body, Fetched, OffsetAndEpoch, Request};

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<FetchSnapshotRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let refuse = |error: ResponseError| {
            respond::<FetchSnapshotRequest>(head, &FetchSnapshotResponse::default().with_error_code(error.code()))
        };
        if node.is_other_cluster(request.cluster_id.as_ref()) {
            return refuse(ResponseError::InconsistentClusterId);
        }
        // There is one metadata log, and it has one partition.
        let Some((topic, asked)) = request.topics.iter().find_map(|topic| Some((topic, topic.partitions.first()?)))
        else {
            return refuse(ResponseError::InvalidRequest);
        };
        let known = &**topic.name == METADATA_TOPIC && asked.partition == 0;
        let part = match known {
            true => piece(&node, NodeId(request.replica_id.0), asked, request.max_bytes).await,
            false => Some(refused(asked, ResponseError::UnknownTopicOrPartition.code())),
        };
        let Some(part) = part else { return Answer::Close };
        let topic = TopicSnapshot::default().with_name(topic.name.clone()).with_partitions(vec![part]);
        respond::<FetchSnapshotRequest>(head, &FetchSnapshotResponse::default().with_topics(vec![topic]))
    })
}

fn refused(asked: &Asked, code: i16) -> PartitionSnapshot {
    PartitionSnapshot::default().with_index(asked.partition).with_error_code(code)
}

async fn piece<E: Env>(node: &Node<E>, from: NodeId, asked: &Asked, max_bytes: i32) -> Option<PartitionSnapshot> {
    let id = OffsetAndEpoch { offset: asked.snapshot_id.end_offset, epoch: asked.snapshot_id.epoch };
    let answer = node.raft.ask(from, Request::FetchSnapshot { epoch: asked.current_leader_epoch, id }).await?;
    let leader = LeaderIdAndEpoch::default()
        .with_leader_id(BrokerId(answer.leader.map_or(-1, |leader| leader.0)))
        .with_leader_epoch(answer.epoch);
    let part = match answer.body {
        Body::Fetch(Fetched::Read { .. }) => match node.snapshot_piece(id, asked.position, max_bytes) {
            Ok((size, records)) => PartitionSnapshot::default()
                .with_index(asked.partition)
                .with_snapshot_id(SnapshotId::default().with_end_offset(id.offset).with_epoch(id.epoch))
                .with_size(size)
                .with_position(asked.position)
                .with_unaligned_records(records),
            Err(error) => refused(asked, error.code()),
        },
        Body::Fetch(Fetched::Refused(standing)) => refused(asked, code_of(standing)),
        _ => refused(asked, ResponseError::UnknownServerError.code()),
    };
    Some(part.with_current_leader(leader))
}
