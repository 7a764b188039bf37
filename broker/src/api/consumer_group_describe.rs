//! ConsumerGroupDescribe (69): groups of the newer protocol: who has what, and who is to have it (KIP-848).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::consumer::{Parts, Peer, Roster, by_topic};
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// Says that authorised operations were not asked for.
const NOT_ASKED: i32 = i32::MIN;
/// Of a member that speaks the newer protocol; from version 1 on it is told.
const NEWER: i8 = 1;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<ConsumerGroupDescribeRequest>() else { return Started::Now(Answer::Close) };
    let groups = request.group_ids.into_iter().map(|group| one(node, head, group)).collect();
    let answer = ConsumerGroupDescribeResponse::default().with_groups(groups);
    Started::Now(respond::<ConsumerGroupDescribeRequest>(head, &answer))
}

fn one<E: Env>(node: &Node<E>, head: RequestHead, group: GroupId) -> DescribedGroup {
    let described = match group.is_empty() {
        true => Err(ResponseError::InvalidGroupId),
        false => node.with_groups(&group, |shard| shard.roster(&group).cloned()),
    };
    let answer = DescribedGroup::default().with_group_id(group).with_authorized_operations(NOT_ASKED);
    let error = match described {
        Ok(Some(roster)) => return found(node, head, answer, &roster),
        Ok(None) => ResponseError::GroupIdNotFound,
        Err(error) => error,
    };
    answer.with_error_code(error.code()).with_error_message(Some(text(&error.to_string())))
}

fn found<E: Env>(node: &Node<E>, head: RequestHead, answer: DescribedGroup, roster: &Roster) -> DescribedGroup {
    let assigned = |parts: &Parts| {
        let image = node.image();
        let part = |(id, numbers)| {
            // One that is deleted is nobody's.
            let name = TopicName(text(&image.topic_by_id(id)?.name));
            Some(TopicPartitions::default().with_topic_id(id.0).with_topic_name(name).with_partitions(numbers))
        };
        Assignment::default().with_topic_partitions(by_topic(parts).into_iter().filter_map(part).collect())
    };
    let member = |id: &StrBytes, peer: &Peer| {
        let (said, standing) = (&peer.said, &peer.standing);
        let member = Member::default()
            .with_member_id(id.clone())
            .with_instance_id(said.instance.clone())
            .with_rack_id(said.rack.clone())
            .with_member_epoch(standing.epoch)
            .with_client_id(said.client_id.clone())
            .with_client_host(said.client_host.clone())
            .with_subscribed_topic_names(said.names.iter().cloned().map(TopicName).collect())
            .with_subscribed_topic_regex(said.regex.clone())
            .with_assignment(assigned(&standing.assigned))
            .with_target_assignment(assigned(&peer.target));
        if head.version >= 1 { member.with_member_type(NEWER) } else { member }
    };
    let otherwise = node.config.groups.consumer_assignors.first().map_or("", String::as_str);
    answer
        .with_group_state(text(roster.state()))
        .with_group_epoch(roster.epoch)
        .with_assignment_epoch(roster.assigned_epoch)
        .with_assignor_name(text(roster.assignor(otherwise)))
        .with_members(roster.members.iter().map(|(id, peer)| member(id, peer)).collect())
}
