//! The group's requests and their answers, between the words of the machine and those of the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::ids::{LeaderEpoch, Offset, TopicPartition};
use bytes::Bytes;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::config::GroupConfig;
use super::member::words::{Joined, Say, Told};

/// The protocol type of consumers.
const CONSUMER: &str = "consumer";

/// What is to be committed, or is: the next offset to read (-1 for none), and the epoch of the record before it (-1 if
/// unknown).
pub(super) type Commits = BTreeMap<TopicPartition, (Offset, LeaderEpoch)>;

fn text(from: &str) -> StrBytes {
    StrBytes::from_string(from.to_owned())
}

fn millis(d: std::time::Duration) -> i32 {
    i32::try_from(d.as_millis()).unwrap_or(i32::MAX)
}

fn group(config: &GroupConfig) -> GroupId {
    GroupId(text(&config.group))
}

fn instance(config: &GroupConfig) -> Option<StrBytes> {
    config.instance.as_deref().map(text)
}

pub(super) fn find(config: &GroupConfig) -> FindCoordinatorRequest {
    FindCoordinatorRequest::default().with_key(text(&config.group)).with_key_type(0)
}

pub(super) fn join(config: &GroupConfig, id: &str, protocols: Vec<(&'static str, Bytes)>) -> JoinGroupRequest {
    let protocol = |(name, metadata): (&str, Bytes)| {
        JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(metadata)
    };
    JoinGroupRequest::default()
        .with_group_id(group(config))
        .with_session_timeout_ms(millis(config.session_timeout))
        .with_rebalance_timeout_ms(millis(config.max_poll_interval))
        .with_member_id(text(id))
        .with_group_instance_id(instance(config))
        .with_protocol_type(text(CONSUMER))
        .with_protocols(protocols.into_iter().map(protocol).collect())
}

pub(super) fn joined(answer: JoinGroupResponse) -> Joined {
    let string = |from: StrBytes| from.to_string();
    Joined {
        code: answer.error_code,
        generation: answer.generation_id,
        protocol: answer.protocol_name.map(string).unwrap_or_default(),
        leader: string(answer.leader),
        member_id: string(answer.member_id),
        skip_assignment: answer.skip_assignment,
        members: answer
            .members
            .into_iter()
            .map(|m| Told { id: string(m.member_id), instance: m.group_instance_id.map(string), metadata: m.metadata })
            .collect(),
    }
}

pub(super) fn sync(
    config: &GroupConfig,
    id: &str,
    generation: i32,
    protocol: &str,
    assignments: Vec<(Arc<str>, Bytes)>,
) -> SyncGroupRequest {
    let given = |(id, assignment): (Arc<str>, Bytes)| {
        SyncGroupRequestAssignment::default().with_member_id(text(&id)).with_assignment(assignment)
    };
    SyncGroupRequest::default()
        .with_group_id(group(config))
        .with_generation_id(generation)
        .with_member_id(text(id))
        .with_group_instance_id(instance(config))
        .with_protocol_type(Some(text(CONSUMER)))
        .with_protocol_name(Some(text(protocol)))
        .with_assignments(assignments.into_iter().map(given).collect())
}

pub(super) fn beat(config: &GroupConfig, id: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group(config))
        .with_generation_id(generation)
        .with_member_id(text(id))
        .with_group_instance_id(instance(config))
}

pub(super) fn say(config: &GroupConfig, say: &Say, ids: &BTreeMap<Arc<str>, Uuid>) -> ConsumerGroupHeartbeatRequest {
    let owned = |owned: &BTreeSet<TopicPartition>| {
        let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for tp in owned {
            // It was assigned by that identity.
            let id = ids.get(&tp.topic).copied().unwrap_or_default();
            topics.entry(id).or_default().push(tp.partition);
        }
        let topic = |(id, numbers)| TopicPartitions::default().with_topic_id(id).with_partitions(numbers);
        topics.into_iter().map(topic).collect()
    };
    let names = |topics: &BTreeSet<Arc<str>>| topics.iter().map(|name| TopicName(text(name))).collect();
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(config))
        .with_member_id(text(&say.member_id))
        .with_member_epoch(say.epoch)
        .with_instance_id(instance(config))
        .with_rebalance_timeout_ms(say.topics.as_ref().map_or(-1, |_| millis(config.max_poll_interval)))
        .with_subscribed_topic_names(say.topics.as_ref().map(names))
        .with_topic_partitions(say.owned.as_ref().map(owned))
}

/// A static member says that it will be back.
pub(super) fn say_goodbye(config: &GroupConfig, id: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(config))
        .with_member_id(text(id))
        .with_member_epoch(if config.instance.is_some() { -2 } else { -1 })
        .with_instance_id(instance(config))
}

pub(super) fn leave(config: &GroupConfig, id: &str) -> LeaveGroupRequest {
    let member = MemberIdentity::default().with_member_id(text(id)).with_group_instance_id(instance(config));
    LeaveGroupRequest::default().with_group_id(group(config)).with_members(vec![member])
}

pub(super) fn commit(config: &GroupConfig, id: &str, generation: i32, offsets: &Commits) -> OffsetCommitRequest {
    let mut topics: BTreeMap<Arc<str>, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (tp, (offset, epoch)) in offsets {
        let part = OffsetCommitRequestPartition::default()
            .with_partition_index(tp.partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(*epoch);
        topics.entry(tp.topic.clone()).or_default().push(part);
    }
    let topic = |(name, parts): (Arc<str>, Vec<_>)| {
        OffsetCommitRequestTopic::default().with_name(TopicName(text(&name))).with_partitions(parts)
    };
    OffsetCommitRequest::default()
        .with_group_id(group(config))
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(id))
        .with_group_instance_id(instance(config))
        .with_topics(topics.into_iter().map(topic).collect())
}

/// Without the epochs.
pub(super) fn offsets(of: &Commits) -> BTreeMap<TopicPartition, Offset> {
    of.iter().map(|(tp, (offset, _))| (tp.clone(), *offset)).collect()
}

/// The code of each partition asked for; `None` if one is missing.
pub(super) fn commit_codes(answer: &OffsetCommitResponse, offsets: &Commits) -> Option<Vec<i16>> {
    let code = |tp: &TopicPartition| {
        let topic = answer.topics.iter().find(|topic| topic.name.as_bytes() == tp.topic.as_bytes())?;
        topic.partitions.iter().find(|part| part.partition_index == tp.partition).map(|part| part.error_code)
    };
    offsets.keys().map(code).collect()
}

pub(super) fn fetch(config: &GroupConfig, partitions: &BTreeSet<TopicPartition>) -> OffsetFetchRequest {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for tp in partitions {
        topics.entry(tp.topic.clone()).or_default().push(tp.partition);
    }
    let topic = |(name, numbers): (Arc<str>, Vec<i32>)| {
        OffsetFetchRequestTopic::default().with_name(TopicName(text(&name))).with_partition_indexes(numbers)
    };
    OffsetFetchRequest::default()
        .with_group_id(group(config))
        .with_topics(Some(topics.into_iter().map(topic).collect()))
        .with_require_stable(true)
}

/// What is committed, or the code why there is none to tell; `Err(None)` if a partition is missing.
pub(super) fn fetched(
    answer: &OffsetFetchResponse,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<Commits, Option<i16>> {
    if answer.error_code != 0 {
        return Err(Some(answer.error_code));
    }
    let one = |tp: &TopicPartition| {
        let topic = answer.topics.iter().find(|topic| topic.name.as_bytes() == tp.topic.as_bytes()).ok_or(None)?;
        let part = topic.partitions.iter().find(|part| part.partition_index == tp.partition).ok_or(None)?;
        match part.error_code {
            0 => Ok((tp.clone(), (part.committed_offset, part.committed_leader_epoch))),
            code => Err(Some(code)),
        }
    };
    partitions.iter().map(one).collect()
}
