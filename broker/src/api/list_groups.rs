//! ListGroups (16): the groups that are coordinated here, by state and type if asked so.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::request::Listed;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<ListGroupsRequest>() else { return Started::Now(Answer::Close) };
    // Kafka compares without regard to case.
    let named = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let mut groups = Vec::new();
    let loading = node.each_shard(|shard| {
        for (name, Listed { protocol_type, kind, state }) in shard.list() {
            if named(&request.states_filter, state) && named(&request.types_filter, kind) {
                let group = ListedGroup::default().with_group_id(GroupId(name.clone()));
                let group = group.with_protocol_type(text(protocol_type));
                let group = if head.version >= 4 { group.with_group_state(text(state)) } else { group };
                groups.push(if head.version >= 5 { group.with_group_type(text(kind)) } else { group });
            }
        }
    });
    let error = if loading { ResponseError::CoordinatorLoadInProgress.code() } else { 0 };
    Started::Now(respond::<ListGroupsRequest>(
        head,
        &ListGroupsResponse::default().with_groups(groups).with_error_code(error),
    ))
}
