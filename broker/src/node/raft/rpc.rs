//! The quorum's own requests as Kafka's messages, and what comes back.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::begin_quorum_epoch_request as begin;
use kafka_protocol::messages::end_quorum_epoch_request as end;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use kafka_protocol::messages::fetch_response::PartitionData as FetchedData;
use kafka_protocol::messages::vote_request as vote;
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BrokerId, EndQuorumEpochRequest, FetchRequest, TopicName, VoteRequest,
};
use kafka_protocol::protocol::{Request as Message, StrBytes};

use super::Job;
use crate::controller::record::{METADATA_ID, METADATA_TOPIC, text};
use crate::env::Env;
use crate::ids::{LeaderEpoch, NodeId};
use crate::node::Node;
use crate::quorum::{Answer, Body, Call, Fetched, OffsetAndEpoch, Request, Standing};

/// Bytes of metadata asked for at a time.
const MOST_BYTES: i32 = 8 << 20;
/// The version of Fetch that nodes speak among themselves.
const FETCH_VERSION: i16 = 17;
/// How long a leader may hold a fetch without news: well below the fetch timeout.
const HOLD: u32 = 4;

/// Asks `to`, and has the driver told what it said.
pub(super) fn send<E: Env>(node: &Rc<Node<E>>, to: NodeId, call: Call, request: Request) {
    let node = node.clone();
    node.env.clone().spawn("quorum request", async move {
        let asked = ask(&node, to, request).await;
        let answer = asked.map(|answer| (answer, Bytes::new()));
        // An error means that the node stops.
        let _ = node.raft.jobs.send(Job::Answered { call, answer }).await;
    });
}

async fn ask<E: Env>(node: &Node<E>, to: NodeId, request: Request) -> Option<Answer> {
    match request {
        Request::Vote { pre_vote, epoch, last } => {
            let answer = call(node, to, vote_of(node, to, pre_vote, epoch, last)).await?;
            answer.node_endpoints.iter().for_each(|at| node.hears_of(at.node_id, &at.host, i32::from(at.port)));
            let part = answer.topics.into_iter().next()?.partitions.into_iter().next()?;
            let known = standing(part.error_code)? == Standing::Current;
            Some(told(part.leader_id, part.leader_epoch, Body::Vote { granted: part.vote_granted && known }))
        }
        Request::BeginQuorumEpoch { epoch } => {
            let answer = call(node, to, begin_of(node, to, epoch)).await?;
            let part = answer.topics.into_iter().next()?.partitions.into_iter().next()?;
            Some(told(part.leader_id, part.leader_epoch, Body::Epoch(standing(part.error_code)?)))
        }
        Request::EndQuorumEpoch { epoch, preferred } => {
            let answer = call(node, to, end_of(node, epoch, &preferred)).await?;
            let part = answer.topics.into_iter().next()?.partitions.into_iter().next()?;
            Some(told(part.leader_id, part.leader_epoch, Body::Epoch(standing(part.error_code)?)))
        }
        // Fetches go their own way; the others come from operators.
        _ => None,
    }
}

async fn call<E: Env, R: Message>(node: &Node<E>, to: NodeId, request: R) -> Option<R::Response> {
    node.peers.call(to, request, node.config.quorum_fetch_timeout).await.ok()
}

pub(super) fn told(leader: BrokerId, epoch: LeaderEpoch, body: Body) -> Answer {
    Answer { epoch, leader: Some(NodeId(leader.0)).filter(|leader| leader.0 >= 0), body }
}

/// How an error code stands for an epoch's standing. `None`: something else is wrong.
pub(super) fn standing(code: i16) -> Option<Standing> {
    Some(match ResponseError::try_from_code(code) {
        None => Standing::Current,
        Some(ResponseError::FencedLeaderEpoch) => Standing::Fenced,
        Some(ResponseError::UnknownLeaderEpoch) => Standing::Unknown,
        Some(ResponseError::NotLeaderOrFollower) => Standing::NotLeader,
        Some(_) => return None,
    })
}

/// The error code that says so.
pub(crate) fn code_of(standing: Standing) -> i16 {
    match standing {
        Standing::Current => 0,
        Standing::Fenced => ResponseError::FencedLeaderEpoch.code(),
        Standing::Unknown => ResponseError::UnknownLeaderEpoch.code(),
        Standing::NotLeader => ResponseError::NotLeaderOrFollower.code(),
    }
}

pub(super) fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str(METADATA_TOPIC))
}

fn vote_of<E: Env>(
    node: &Node<E>,
    to: NodeId,
    pre_vote: bool,
    epoch: LeaderEpoch,
    last: OffsetAndEpoch,
) -> VoteRequest {
    let asked = vote::PartitionData::default()
        .with_replica_epoch(epoch)
        .with_replica_id(BrokerId(node.config.node_id.0))
        .with_last_offset_epoch(last.epoch)
        .with_last_offset(last.offset)
        .with_pre_vote(pre_vote);
    VoteRequest::default()
        .with_cluster_id(Some(text(&node.config.cluster_id)))
        .with_voter_id(BrokerId(to.0))
        .with_topics(vec![vote::TopicData::default().with_topic_name(topic()).with_partitions(vec![asked])])
}

fn begin_of<E: Env>(node: &Node<E>, to: NodeId, epoch: LeaderEpoch) -> BeginQuorumEpochRequest {
    let asked =
        begin::PartitionData::default().with_leader_id(BrokerId(node.config.node_id.0)).with_leader_epoch(epoch);
    BeginQuorumEpochRequest::default()
        .with_cluster_id(Some(text(&node.config.cluster_id)))
        .with_voter_id(BrokerId(to.0))
        .with_topics(vec![begin::TopicData::default().with_topic_name(topic()).with_partitions(vec![asked])])
}

fn end_of<E: Env>(node: &Node<E>, epoch: LeaderEpoch, preferred: &[NodeId]) -> EndQuorumEpochRequest {
    let candidates = preferred.iter().map(|node| end::ReplicaInfo::default().with_candidate_id(BrokerId(node.0)));
    let asked = end::PartitionData::default()
        .with_leader_id(BrokerId(node.config.node_id.0))
        .with_leader_epoch(epoch)
        .with_preferred_candidates(candidates.collect());
    EndQuorumEpochRequest::default()
        .with_cluster_id(Some(text(&node.config.cluster_id)))
        .with_topics(vec![end::TopicData::default().with_topic_name(topic()).with_partitions(vec![asked])])
}

/// Fetches what follows `position`, and has the driver told.
pub(super) fn fetch<E: Env>(node: &Rc<Node<E>>, to: NodeId, call: Call, epoch: LeaderEpoch, position: OffsetAndEpoch) {
    let node = node.clone();
    node.env.clone().spawn("metadata fetch", async move {
        let patience = node.config.quorum_fetch_timeout;
        let request = fetch_of(&node, epoch, position, patience / HOLD);
        let answer = node.peers.call_as(to, request, FETCH_VERSION, patience).await.ok();
        let answer = answer.filter(|answer| answer.error_code == 0).and_then(|mut answer| {
            answer.node_endpoints.iter().for_each(|at| node.hears_of(at.node_id, &at.host, at.port));
            let part = answer.responses.pop()?.partitions.pop()?;
            let body = fetched(&part)?;
            let records = part.records.unwrap_or_default();
            Some((told(part.current_leader.leader_id, part.current_leader.leader_epoch, body), records))
        });
        // An error means that the node stops.
        let _ = node.raft.jobs.send(Job::Answered { call, answer }).await;
    });
}

fn fetch_of<E: Env>(node: &Node<E>, epoch: LeaderEpoch, position: OffsetAndEpoch, hold: Duration) -> FetchRequest {
    let asked = FetchPartition::default()
        .with_current_leader_epoch(epoch)
        .with_fetch_offset(position.offset)
        .with_last_fetched_epoch(position.epoch)
        .with_log_start_offset(node.raft.log_start())
        .with_partition_max_bytes(MOST_BYTES);
    let topic = FetchTopic::default().with_topic_id(METADATA_ID.0).with_partitions(vec![asked]);
    let replica = ReplicaState::default().with_replica_id(BrokerId(node.config.node_id.0));
    FetchRequest::default()
        .with_cluster_id(Some(text(&node.config.cluster_id)))
        .with_replica_state(replica)
        .with_max_wait_ms(i32::try_from(hold.as_millis()).unwrap_or(i32::MAX))
        .with_max_bytes(MOST_BYTES)
        .with_topics(vec![topic])
}

fn fetched(part: &FetchedData) -> Option<Body> {
    let standing = standing(part.error_code)?;
    let (diverging, snapshot) = (&part.diverging_epoch, &part.snapshot_id);
    Some(Body::Fetch(if standing != Standing::Current {
        Fetched::Refused(standing)
    } else if diverging.epoch >= 0 {
        Fetched::Diverging(OffsetAndEpoch { offset: diverging.end_offset, epoch: diverging.epoch })
    } else if snapshot.end_offset >= 0 {
        Fetched::Snapshot(OffsetAndEpoch { offset: snapshot.end_offset, epoch: snapshot.epoch })
    } else {
        Fetched::Read { high_watermark: part.high_watermark }
    }))
}
