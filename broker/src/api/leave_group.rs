//! LeaveGroup (13): members go, and are not waited for.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::{Answer as Told, Asked};
use crate::node::Node;

/// The first version that names several (KIP-345).
const FIRST_WITH_MANY: i16 = 3;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<LeaveGroupRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let one = |member: &StrBytes, instance: Option<&StrBytes>| (text(member), instance.map(|it| text(it)));
        let leaving = match head.version >= FIRST_WITH_MANY {
            true => request.members.iter().map(|it| one(&it.member_id, it.group_instance_id.as_ref())).collect(),
            false => vec![one(&request.member_id, None)],
        };
        let code = |end: Result<(), ResponseError>| end.err().map_or(0, |error| error.code());
        let answer = LeaveGroupResponse::default();
        let answer = match node.ask_group(Asked::Leave(text(&request.group_id), leaving)).await {
            Ok(Told::Left(ends)) if head.version >= FIRST_WITH_MANY => {
                let members = request.members.into_iter().zip(ends).map(|(member, end)| {
                    MemberResponse::default()
                        .with_member_id(member.member_id)
                        .with_group_instance_id(member.group_instance_id)
                        .with_error_code(code(end))
                });
                answer.with_members(members.collect())
            }
            Ok(Told::Left(ends)) => answer.with_error_code(ends.into_iter().next().map_or(0, code)),
            Ok(_) => answer.with_error_code(ResponseError::UnknownServerError.code()),
            Err(error) => answer.with_error_code(error.code()),
        };
        respond::<LeaveGroupRequest>(head, &answer)
    })
}
