//! DescribeGroups (15): groups' states and members. A group that is not there is described as dead; from version 6 on it is
//! an error (KIP-1043).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::member::Member;
use crate::group::request::Described;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// The first version in which a group that is not there is an error.
const FIRST_WITH_NOT_FOUND: i16 = 6;
/// Says that authorised operations were not asked for.
const NOT_ASKED: i32 = i32::MIN;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DescribeGroupsRequest>() else { return Started::Now(Answer::Close) };
    let groups = request.groups.into_iter().map(|group| one(node, head, group)).collect();
    Started::Now(respond::<DescribeGroupsRequest>(head, &DescribeGroupsResponse::default().with_groups(groups)))
}

fn one<E: Env>(node: &Node<E>, head: RequestHead, group: GroupId) -> DescribedGroup {
    let described = match group.is_empty() {
        true => Err(ResponseError::InvalidGroupId),
        false => node.with_groups(&group, |shard| shard.describe(&group)),
    };
    let answer = DescribedGroup::default().with_group_id(group).with_authorized_operations(NOT_ASKED);
    match described {
        Ok(Some(described)) => found(head, answer, described),
        Ok(None) if head.version >= FIRST_WITH_NOT_FOUND => {
            let error = ResponseError::GroupIdNotFound;
            let answer = answer.with_group_state(text("Dead")).with_error_code(error.code());
            answer.with_error_message(Some(text(&error.to_string())))
        }
        Ok(None) => answer.with_group_state(text("Dead")),
        Err(error) => answer.with_error_code(error.code()),
    }
}

fn found(head: RequestHead, answer: DescribedGroup, described: Described) -> DescribedGroup {
    let member = |member: Member| {
        let metadata = member.metadata(&described.protocol).cloned().unwrap_or_default();
        DescribedGroupMember::default()
            .with_member_id(member.id)
            .with_group_instance_id(member.instance.filter(|_| head.version >= 4))
            .with_client_id(member.client_id)
            .with_client_host(member.client_host)
            .with_member_metadata(metadata)
            .with_member_assignment(member.assignment)
    };
    let members = described.members.into_iter().map(member).collect();
    let answer = answer.with_group_state(text(described.state.name())).with_protocol_type(described.protocol_type);
    answer.with_protocol_data(described.protocol).with_members(members)
}
