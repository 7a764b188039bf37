//! Groups of the newer protocol over the wire (KIP-848): heartbeats and descriptions, in every version, and again after a
//! crash.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member};
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::*;
use uuid::Uuid;

use super::groups::{commit_of, find, group, join, quick};
use super::produce_fetch::{create, topic};
use crate::controller::record::text;
use crate::node::testing::*;

/// The first heartbeat of a member that wants to read `t`.
fn enters(member: &str) -> ConsumerGroupHeartbeatRequest {
    beat(member, 0)
        .with_rebalance_timeout_ms(3000)
        .with_subscribed_topic_names(Some(vec![topic("t")]))
        .with_topic_partitions(Some(Vec::new()))
}

/// A later one, in which nothing is new.
fn beat(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(-1)
}

/// Which partitions of the topic a member is told to own, if it is told.
fn assigned(told: &ConsumerGroupHeartbeatResponse, id: Uuid) -> Option<Vec<i32>> {
    assert_eq!(told.error_code, 0, "{:?}", told.error_message);
    let topics = &told.assignment.as_ref()?.topic_partitions;
    assert!(topics.iter().all(|topic| topic.topic_id == id));
    Some(topics.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

async fn refused(wire: &mut Wire, version: i16, request: &ConsumerGroupHeartbeatRequest) -> i16 {
    let told = wire.ask(version, request).await;
    assert_eq!(told.error_message.is_some(), told.error_code != 0);
    told.error_code
}

async fn describe(wire: &mut Wire, version: i16) -> DescribedGroup {
    let asked = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()]);
    wire.ask(version, &asked).await.groups.remove(0)
}

fn named(parts: &Assignment) -> Vec<(String, i32)> {
    let topics = parts.topic_partitions.iter();
    topics.flat_map(|topic| topic.partitions.iter().map(|n| (topic.topic_name.to_string(), *n))).collect()
}

fn member<'a>(described: &'a DescribedGroup, id: &str) -> &'a Member {
    described.members.iter().find(|member| member.member_id.as_str() == id).unwrap()
}

#[test]
fn a_group_is_shared_out_described_and_there_after_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let (kept, _) = with_broker_killed(root.path(), quick(), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 4).await;
        find(&mut wire).await;
        let first = wire.ask(1, &enters("a")).await;
        assert_eq!((first.member_id.as_deref(), first.member_epoch), (Some("a"), 1));
        assert_eq!(first.heartbeat_interval_ms as u128, quick().groups.consumer_heartbeat_interval.as_millis());
        assert_eq!(assigned(&first, id), Some(vec![0, 1, 2, 3]));
        let second = wire.ask(1, &enters("b")).await;
        assert_eq!((second.member_epoch, assigned(&second, id)), (2, Some(vec![])), "all of it is the other's still");
        let described = describe(&mut wire, 1).await;
        assert_eq!((described.error_code, described.group_state.as_str()), (0, "Reconciling"));
        assert_eq!((described.group_epoch, described.assignment_epoch, described.members.len()), (2, 2, 2));
        assert_eq!(described.assignor_name.as_str(), quick().groups.consumer_assignors[0]);
        let a = member(&described, "a");
        assert_eq!((a.member_epoch, named(&a.assignment).len(), named(&a.target_assignment).len()), (1, 4, 2));
        assert_eq!(a.subscribed_topic_names, [topic("t")]);

        let told = wire.ask(1, &beat("a", 1)).await;
        let kept = assigned(&told, id).unwrap();
        assert_eq!((told.member_epoch, kept.len()), (1, 2));
        assert_eq!(commit_of(&mut wire, "t", "a", 1, 0, 7).await, 0);
        let owns = vec![TopicPartitions::default().with_topic_id(id).with_partitions(kept.clone())];
        let told = wire.ask(1, &beat("a", 1).with_topic_partitions(Some(owns))).await;
        assert_eq!((told.member_epoch, assigned(&told, id)), (2, None), "what it has is not news");
        assert_eq!(commit_of(&mut wire, "t", "a", 1, 0, 8).await, ResponseError::StaleMemberEpoch.code());
        let others = assigned(&wire.ask(1, &beat("b", 2)).await, id).unwrap();
        assert!(others.len() == 2 && others.iter().all(|part| !kept.contains(part)));
        let old = wire.ask(9, &join("")).await.error_code;
        assert_eq!(old, ResponseError::InconsistentGroupProtocol.code(), "the protocols do not mix");
        kept
    });
    with_broker(root.path(), quick(), async |mut wire| {
        find(&mut wire).await;
        let described = describe(&mut wire, 0).await;
        assert_eq!((described.group_state.as_str(), described.group_epoch), ("Stable", 2));
        let expected: Vec<_> = kept.iter().map(|part| ("t".to_owned(), *part)).collect();
        assert_eq!(named(&member(&described, "a").assignment), expected);
        assert_eq!(refused(&mut wire, 1, &beat("a", 2)).await, 0);
        let gone = wire.ask(1, &beat("b", -1)).await;
        assert_eq!((gone.error_code, gone.member_epoch), (0, -1));
        let all = wire.ask(1, &beat("a", 2)).await;
        assert_eq!((all.member_epoch, all.assignment.unwrap().topic_partitions[0].partitions.len()), (3, 4));
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), quick(), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 2).await;
        find(&mut wire).await;
        let not_found = ResponseError::GroupIdNotFound.code();
        assert_eq!(refused(&mut wire, 1, &beat("a", 3)).await, not_found);
        for version in [0, 1] {
            assert_eq!(describe(&mut wire, version).await.error_code, not_found);
            let nameless = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(""))]);
            let described = wire.ask(version, &nameless).await.groups.remove(0);
            assert_eq!(described.error_code, ResponseError::InvalidGroupId.code());
            let senseless = ResponseError::InvalidRequest.code();
            assert_eq!(refused(&mut wire, version, &enters("a").with_group_id(GroupId(text("")))).await, senseless);
            assert_eq!(refused(&mut wire, version, &beat("a", 0)).await, senseless, "whoever enters says everything");
            assert_eq!(refused(&mut wire, version, &beat("a", -3)).await, senseless);
            let likes = enters("a").with_server_assignor(Some(text("best")));
            assert_eq!(refused(&mut wire, version, &likes).await, ResponseError::UnsupportedAssignor.code());
        }
        // Older clients are given an id, newer ones make it themselves (KIP-1082).
        let given = wire.ask(0, &enters("")).await;
        assert_eq!((assigned(&given, id), given.member_id.clone().unwrap().len()), (Some(vec![0, 1]), 36));
        assert_eq!(refused(&mut wire, 1, &enters("")).await, ResponseError::InvalidRequest.code());
        let broken = enters("c").with_subscribed_topic_regex(Some(text("t(")));
        assert_eq!(refused(&mut wire, 1, &broken).await, ResponseError::InvalidRegularExpression.code());
        assert_eq!(refused(&mut wire, 1, &beat("who", 1)).await, ResponseError::UnknownMemberId.code());
        let one = given.member_id.unwrap().to_string();
        assert_eq!(refused(&mut wire, 1, &beat(&one, 9)).await, ResponseError::FencedMemberEpoch.code());
        let again = wire.ask(1, &enters(&one)).await;
        assert_eq!(assigned(&again, id), Some(vec![0, 1]), "it begins anew");
        let types: Vec<i8> =
            [describe(&mut wire, 0).await.members[0].member_type, describe(&mut wire, 1).await.members[0].member_type]
                .into();
        assert_eq!(types, [-1, 1]);
    });
}
