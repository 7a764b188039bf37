//! Consumer groups over the wire: joining, assignments, offsets, and all of it again after a restart.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;

use super::produce_fetch::{create, produce, topic};
use crate::config::{BrokerConfig, FlushPolicy, GroupConfig};
use crate::controller::record::text;
use crate::group::OFFSETS_TOPIC;
use crate::node::testing::*;
use crate::record::Compression;

pub fn quick() -> BrokerConfig {
    let groups = GroupConfig {
        initial_rebalance_delay: std::time::Duration::ZERO,
        offsets_topic_partitions: 3,
        ..GroupConfig::default()
    };
    BrokerConfig { groups, ..settings(FlushPolicy::Always) }
}

/// Of the three of the internal topic, the one that the group belongs to.
const PARTITION: i32 = 1;

pub fn group() -> GroupId {
    GroupId(text("g"))
}

/// Returns when this broker coordinates the group.
pub async fn find(wire: &mut Wire) {
    loop {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
        let found = wire.ask(4, &request).await.coordinators.remove(0);
        let described = wire.ask(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).await;
        if (found.error_code, described.groups[0].error_code) == (0, 0) {
            assert_eq!(found.node_id.0, 0);
            return;
        }
    }
}

pub fn join(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol.with_metadata(Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t"))])
}

fn sync(member: &str, generation: i32, assigned: &[&str]) -> SyncGroupRequest {
    let parts = assigned.iter().map(|member| {
        let assignment = Bytes::copy_from_slice(format!("of {member}").as_bytes());
        SyncGroupRequestAssignment::default().with_member_id(text(member)).with_assignment(assignment)
    });
    let request = SyncGroupRequest::default().with_group_id(group()).with_member_id(text(member));
    request.with_generation_id(generation).with_assignments(parts.collect())
}

async fn commit(wire: &mut Wire, member: &str, generation: i32, partition: i32, offset: i64) -> i16 {
    commit_of(wire, "t", member, generation, partition, offset).await
}

pub async fn commit_of(wire: &mut Wire, name: &str, member: &str, generation: i32, partition: i32, offset: i64) -> i16 {
    let part = OffsetCommitRequestPartition::default().with_partition_index(partition).with_committed_offset(offset);
    let part = part.with_committed_leader_epoch(4).with_committed_metadata(Some(text("mine")));
    let named = OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(vec![part]);
    let request = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![named]);
    let request = request.with_member_id(text(member)).with_generation_id_or_member_epoch(generation);
    wire.ask(9, &request).await.topics[0].partitions[0].error_code
}

async fn delete(wire: &mut Wire, name: &str) {
    let gone = DeleteTopicsRequest::default().with_topic_names(vec![topic(name)]).with_timeout_ms(10_000);
    assert_eq!(wire.ask(5, &gone).await.responses[0].error_code, 0);
}

/// Of partitions 0 and 1: offset, leader epoch, metadata.
async fn committed(wire: &mut Wire) -> Vec<(i64, i32, String)> {
    let named = OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0, 1]);
    let one = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![named]));
    let answer = wire.ask(8, &OffsetFetchRequest::default().with_groups(vec![one])).await.groups.remove(0);
    assert_eq!(answer.error_code, 0);
    let told = answer.topics[0].partitions.iter();
    told.map(|p| (p.committed_offset, p.committed_leader_epoch, p.metadata.as_deref().unwrap().to_owned())).collect()
}

fn nothing() -> (i64, i32, String) {
    (-1, -1, String::new())
}

#[test]
fn a_group_forms_shares_commits_and_is_there_after_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = with_broker_killed(root.path(), quick(), async |mut one| {
        create(&mut one, "t", 2).await;
        find(&mut one).await;
        let asked = one.ask(9, &join("")).await;
        assert_eq!(asked.error_code, ResponseError::MemberIdRequired.code());
        assert!(asked.member_id.starts_with("test-"));
        let first = asked.member_id.to_string();
        let joined = one.ask(9, &join(&first)).await;
        assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (0, 1, 1));
        assert_eq!(one.ask(5, &sync(&first, 1, &[&first])).await.assignment, format!("of {first}").as_bytes());
        assert_eq!(commit(&mut one, &first, 1, 0, 7).await, 0);

        let mut two = one.another().await;
        let second = two.ask(9, &join("")).await.member_id.to_string();
        two.send(9, &join(&second)).await;
        let heartbeat = |member: &str, generation| {
            let request = HeartbeatRequest::default().with_group_id(group()).with_member_id(text(member));
            request.with_generation_id(generation)
        };
        while one.ask(4, &heartbeat(&first, 1)).await.error_code == 0 {}
        let again = one.ask(9, &join(&first)).await;
        assert_eq!((again.generation_id, again.leader.to_string(), again.members.len()), (2, first.clone(), 2));
        let other = two.receive::<JoinGroupRequest>(9).await.1;
        assert_eq!((other.generation_id, other.leader.to_string(), other.members.len()), (2, first.clone(), 0));
        two.send(5, &sync(&second, 2, &[])).await;
        one.ask(5, &sync(&first, 2, &[&first, &second])).await;
        let synced = two.receive::<SyncGroupRequest>(5).await.1;
        assert_eq!(synced.assignment, format!("of {second}").as_bytes());
        assert_eq!(commit(&mut two, &second, 1, 1, 9).await, ResponseError::IllegalGeneration.code());
        assert_eq!(commit(&mut two, "who", 2, 1, 9).await, ResponseError::UnknownMemberId.code());
        assert_eq!(commit(&mut two, &second, 2, 1, 9).await, 0);
        assert_eq!(one.ask(4, &heartbeat(&first, 2)).await.error_code, 0);
        (first, second)
    })
    .0;
    with_broker(root.path(), quick(), async |mut wire| {
        find(&mut wire).await;
        assert_eq!(committed(&mut wire).await, [(7, 4, "mine".into()), (9, 4, "mine".into())]);
        let described =
            wire.ask(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).await.groups.remove(0);
        assert_eq!((described.group_state.as_str(), described.protocol_data.as_str()), ("Stable", "range"));
        let ids: Vec<&str> = described.members.iter().map(|member| member.member_id.as_str()).collect();
        assert!(ids.contains(&&*first) && ids.contains(&&*second) && ids.len() == 2);
        assert_eq!(commit(&mut wire, &second, 2, 1, 10).await, 0, "its session goes on");
    });
}

#[test]
fn what_is_forgotten_stays_forgotten() {
    let root = tempfile::tempdir().unwrap();
    with_broker_killed(root.path(), quick(), async |mut wire| {
        create(&mut wire, "t", 2).await;
        find(&mut wire).await;
        assert_eq!(commit(&mut wire, "", -1, 0, 5).await, 0, "without a group");
        assert_eq!(commit(&mut wire, "", -1, 1, 6).await, 0);
        assert_eq!(commit(&mut wire, "", -1, 9, 6).await, ResponseError::UnknownTopicOrPartition.code());
        let listed = wire.ask(5, &ListGroupsRequest::default().with_states_filter(vec![text("empty")])).await;
        assert_eq!((listed.error_code, listed.groups.len(), listed.groups[0].group_type.as_str()), (0, 1, "classic"));
        let part = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let named = OffsetDeleteRequestTopic::default().with_name(topic("t")).with_partitions(vec![part]);
        let request = OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![named]);
        assert_eq!(wire.ask(0, &request).await.topics[0].partitions[0].error_code, 0);
        assert_eq!(committed(&mut wire).await[0], nothing());
    });
    with_broker_killed(root.path(), quick(), async |mut wire| {
        find(&mut wire).await;
        assert_eq!(committed(&mut wire).await, [nothing(), (6, 4, "mine".into())]);
        let delete = DeleteGroupsRequest::default().with_groups_names(vec![group(), GroupId(text("none"))]);
        let codes: Vec<i16> = wire.ask(2, &delete).await.results.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, ResponseError::GroupIdNotFound.code()]);
    });
    with_broker(root.path(), quick(), async |mut wire| {
        find(&mut wire).await;
        assert_eq!(committed(&mut wire).await, [nothing(), nothing()]);
        assert!(wire.ask(5, &ListGroupsRequest::default()).await.groups.is_empty());
    });
}

#[test]
fn what_is_committed_for_a_topic_is_forgotten_when_it_is_deleted() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), quick(), async |mut wire| {
        create(&mut wire, "t", 1).await;
        create(&mut wire, "u", 1).await;
        find(&mut wire).await;
        assert_eq!(commit_of(&mut wire, "u", "", -1, 0, 6).await, 0);
        delete(&mut wire, "u").await;
        assert_eq!(commit_of(&mut wire, "t", "", -1, 0, 7).await, 0);
        assert_eq!(fetch_all(&mut wire).await, (0, vec![("t".to_owned(), 7)]));
    });
}

#[test]
fn a_coordinator_reads_its_whole_log_before_it_answers() {
    let root = tempfile::tempdir().unwrap();
    with_broker_killed(root.path(), quick(), async |mut wire| {
        create(&mut wire, "t", 2).await;
        find(&mut wire).await;
        // More than is read at a time.
        for offset in 0..4 {
            let part = OffsetCommitRequestPartition::default().with_committed_offset(offset);
            let part = part.with_committed_metadata(Some(text(&"x".repeat(4096))));
            let named = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![part; 100]);
            let request = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![named]);
            assert_eq!(wire.ask(8, &request).await.topics[0].partitions[99].error_code, 0);
        }
        assert_eq!(commit(&mut wire, "", -1, 1, 9).await, 0);
    });
    with_broker(root.path(), quick(), async |mut wire| {
        find(&mut wire).await;
        let offsets: Vec<i64> = committed(&mut wire).await.iter().map(|part| part.0).collect();
        assert_eq!(offsets, [3, 9]);
    });
}

#[test]
fn of_fewer_replicas_than_are_to_be_in_sync_all_are_enough() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), quick(), async |mut wire| {
        create(&mut wire, "t", 2).await;
        find(&mut wire).await;
        let least = AlterableConfig::default().with_name(text("min.insync.replicas")).with_value(Some(text("2")));
        let named = AlterConfigsResource::default().with_resource_type(2).with_resource_name(text(OFFSETS_TOPIC));
        let asked = IncrementalAlterConfigsRequest::default().with_resources(vec![named.with_configs(vec![least])]);
        assert_eq!(wire.ask(1, &asked).await.responses[0].error_code, 0);
        assert_eq!(commit(&mut wire, "", -1, 0, 5).await, 0);
        assert_eq!(committed(&mut wire).await[0].0, 5);
    });
}

#[test]
fn members_that_leave_or_fall_silent_are_not_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let mut config = quick();
    config.groups.min_session_timeout = std::time::Duration::ZERO;
    with_broker(root.path(), config, async |mut wire| {
        find(&mut wire).await;
        let refused = wire.ask(9, &join("").with_session_timeout_ms(2_000_000)).await;
        assert_eq!(refused.error_code, ResponseError::InvalidSessionTimeout.code());
        let silent = wire.ask(3, &join("").with_session_timeout_ms(50)).await;
        assert_eq!((silent.error_code, silent.generation_id), (0, 1), "old clients are let in at once");
        let stays = wire.ask(3, &join("")).await;
        assert_eq!((stays.generation_id, stays.members.len()), (2, 1));
        let leaving = MemberIdentity::default().with_member_id(stays.member_id.clone());
        let nobody = MemberIdentity::default().with_member_id(text("who"));
        let leave = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![leaving, nobody]);
        let codes: Vec<i16> = wire.ask(5, &leave).await.members.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, ResponseError::UnknownMemberId.code()]);
        let described = wire.ask(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).await;
        assert_eq!(described.groups[0].group_state.as_str(), "Empty");
    });
}

#[test]
fn nobody_but_the_coordinator_writes_what_it_believes() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), quick(), async |mut wire| {
        find(&mut wire).await;
        let internal = wire.ask(12, &MetadataRequest::default().with_topics(None)).await.topics.remove(0);
        assert_eq!((internal.name.unwrap().as_str(), internal.is_internal), (OFFSETS_TOPIC, true));
        let id = internal.topic_id;
        for version in [9, 13] {
            let request = produce(OFFSETS_TOPIC, id, version, 0, -1, batch(&["x"], Compression::None));
            let part = wire.ask(version, &request).await.responses.remove(0).partition_responses.remove(0);
            assert_eq!(part.error_code, ResponseError::InvalidTopicException.code());
        }
        let all = DeleteRecordsPartition::default().with_partition_index(PARTITION).with_offset(-1);
        let all = DeleteRecordsTopic::default().with_name(topic(OFFSETS_TOPIC)).with_partitions(vec![all]);
        let done = wire.ask(2, &DeleteRecordsRequest::default().with_topics(vec![all]).with_timeout_ms(1000)).await;
        assert_eq!(done.topics[0].partitions[0].error_code, ResponseError::PolicyViolation.code());
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the damage is done behind the broker's back")]
fn a_coordinator_whose_log_cannot_be_read_yet_says_so_and_misses_nothing_meanwhile() {
    let root = tempfile::tempdir().unwrap();
    let log = root.path().join(format!("{OFFSETS_TOPIC}-{PARTITION}/{:020}.log", 0));
    let aside = root.path().join("aside");
    with_broker_killed(root.path(), quick(), async |mut wire| {
        create(&mut wire, "t", 1).await;
        create(&mut wire, "u", 1).await;
        find(&mut wire).await;
        assert_eq!(commit_of(&mut wire, "t", "", -1, 0, 5).await, 0);
        assert_eq!(commit_of(&mut wire, "u", "", -1, 0, 6).await, 0);
    });
    std::fs::rename(&log, &aside).unwrap();
    std::fs::create_dir(&log).unwrap();
    with_broker(root.path(), quick(), async |mut wire| {
        let loading = ResponseError::CoordinatorLoadInProgress.code();
        assert_eq!(fetch_all(&mut wire).await, (loading, Vec::new()));
        assert_eq!(commit_of(&mut wire, "t", "", -1, 0, 7).await, loading);
        assert_eq!(wire.ask(5, &ListGroupsRequest::default()).await.error_code, loading);
        delete(&mut wire, "u").await;
        std::fs::remove_dir(&log).unwrap();
        std::fs::rename(&aside, &log).unwrap();
        find(&mut wire).await;
        assert_eq!(committed(&mut wire).await[0].0, 5);
        // What was committed for a topic that is deleted meanwhile goes with it, before anything else is written.
        assert_eq!(commit_of(&mut wire, "t", "", -1, 0, 7).await, 0);
        assert_eq!(fetch_all(&mut wire).await, (0, vec![("t".to_owned(), 7)]));
    });
}

#[test]
fn every_version_of_every_answer_can_be_read() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), quick(), async |mut wire| {
        create(&mut wire, "t", 2).await;
        find(&mut wire).await;
        for version in 0..=6 {
            let request = FindCoordinatorRequest::default();
            let many = request.clone().with_coordinator_keys(vec![text("g")]);
            let found = wire.ask(version, &if version < 4 { request.with_key(text("g")) } else { many }).await;
            assert_eq!((found.error_code, found.coordinators.len()), (0, usize::from(version >= 4)));
        }
        for version in 0..=9 {
            one_life(&mut wire, version).await;
        }
    });
}

/// A group comes, commits and goes, all in the version that is nearest; and as often it is told no.
async fn one_life(wire: &mut Wire, version: i16) {
    let mut me = wire.ask(version, &join("")).await;
    if version >= 4 {
        assert_eq!(me.error_code, ResponseError::MemberIdRequired.code());
        me = wire.ask(version, &join(&me.member_id)).await;
    }
    let (id, generation) = (me.member_id.to_string(), me.generation_id);
    let type_and_protocol = (me.protocol_type.map(|it| it.to_string()), me.protocol_name.unwrap().to_string());
    assert_eq!(type_and_protocol, ((version >= 7).then(|| "consumer".to_owned()), "range".to_owned()));
    assert_eq!((me.error_code, me.leader.as_str(), me.members.len()), (0, &*id, 1));
    let stranger = ResponseError::UnknownMemberId.code();
    assert_eq!(wire.ask(version, &join("who")).await.error_code, stranger);
    let synced = wire.ask(version.min(5), &sync(&id, generation, &[&id])).await;
    let type_and_protocol = (synced.protocol_type.as_deref(), synced.protocol_name.as_deref());
    let named = if version >= 5 { (Some("consumer"), Some("range")) } else { (None, None) };
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, format!("of {id}").as_bytes()));
    assert_eq!(type_and_protocol, named);
    assert_eq!(wire.ask(version.min(5), &sync("who", generation, &[])).await.error_code, stranger);
    for (member, code) in [(&*id, 0), ("who", stranger)] {
        let beat = HeartbeatRequest::default().with_group_id(group()).with_member_id(text(member));
        let beat = beat.with_generation_id(generation);
        assert_eq!(wire.ask(version.min(4), &beat).await.error_code, code);
        let part = OffsetCommitRequestPartition::default().with_committed_offset(i64::from(version));
        let part = part.with_committed_metadata(Some(text("mine")));
        let named = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![part]);
        let commit = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![named]);
        let commit = commit.with_member_id(text(member)).with_generation_id_or_member_epoch(generation);
        assert_eq!(wire.ask(version.max(2), &commit).await.topics[0].partitions[0].error_code, code);
    }
    assert_eq!(fetch_in(wire, version.max(1)).await, (0, i64::from(version), "mine".to_owned()));
    let described = wire.ask(version.min(6), &DescribeGroupsRequest::default().with_groups(vec![group()])).await;
    assert_eq!((described.groups[0].group_state.as_str(), described.groups[0].members.len()), ("Stable", 1));
    let nobody = vec![GroupId(text("none"))];
    let described = wire.ask(version.min(6), &DescribeGroupsRequest::default().with_groups(nobody)).await;
    assert_eq!(described.groups[0].error_code != 0, version >= 6);
    let listed = wire.ask(version.min(5), &ListGroupsRequest::default()).await.groups.remove(0);
    let (state, kind) = (listed.group_state.as_str(), listed.group_type.as_str());
    assert_eq!((state == "Stable", kind == "classic"), (version >= 4, version >= 5));
    let leave = LeaveGroupRequest::default().with_group_id(group());
    let member = MemberIdentity::default().with_member_id(text(&id));
    let many = leave.clone().with_members(vec![member.clone(), member]);
    let leave = if version < 3 { leave.with_member_id(text(&id)) } else { many };
    let left = wire.ask(version.min(5), &leave).await;
    let codes: Vec<i16> = left.members.iter().map(|one| one.error_code).collect();
    assert_eq!((left.error_code, codes), (0, if version < 3 { vec![] } else { vec![0, stranger] }));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    assert_eq!(wire.ask(version.min(2), &delete).await.results[0].error_code, 0);
}

/// Of partition 0 of `t`: the error, the offset, the metadata.
async fn fetch_in(wire: &mut Wire, version: i16) -> (i16, i64, String) {
    if version >= 8 {
        let named = OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0]);
        let one = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![named]));
        let told = wire.ask(version, &OffsetFetchRequest::default().with_groups(vec![one])).await.groups.remove(0);
        let part = &told.topics[0].partitions[0];
        return (part.error_code, part.committed_offset, part.metadata.as_deref().unwrap().to_owned());
    }
    let named = OffsetFetchRequestTopic::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![named]));
    let told = wire.ask(version, &request).await;
    let part = &told.topics[0].partitions[0];
    (part.error_code, part.committed_offset, part.metadata.as_deref().unwrap().to_owned())
}

/// The error, and by topic what is committed for its first partition.
async fn fetch_all(wire: &mut Wire) -> (i16, Vec<(String, i64)>) {
    let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
    let told = wire.ask(8, &OffsetFetchRequest::default().with_groups(vec![all])).await.groups.remove(0);
    let topics = told.topics.iter().map(|it| (it.name.to_string(), it.partitions[0].committed_offset));
    (told.error_code, topics.collect())
}
