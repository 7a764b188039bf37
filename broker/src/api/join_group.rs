//! JoinGroup (11): a member enters a group, or a rebalance of it.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::request::{Join, Joined};
use crate::group::{Answer as Told, Asked};
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// Bytes of a client's id, or an instance's, in the member ids made of it.
const MOST_NAMED: usize = 1000;
/// The first version whose clients know MEMBER_ID_REQUIRED (KIP-394).
const FIRST_TWICE: i16 = 4;
/// The first version that carries the protocol type in its answer (KIP-559).
const FIRST_WITH_TYPE: i16 = 7;
/// The first version whose leaders need not assign (KIP-814).
const FIRST_SKIPPING: i16 = 9;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let (head, client) = (call.head, call.client_id());
    let Some(request) = call.decode::<JoinGroupRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let join = asked(&node, head, client, &request);
        // With the frame that it is a part of, before the wait.
        drop(request);
        let member = join.member.clone();
        let answer = match node.ask_group(Asked::Join(Box::new(join))).await {
            Ok(Told::Joined(joined)) => told(head, *joined),
            Ok(Told::NotJoined(error, member)) => refused(head, error, member),
            Ok(_) => refused(head, ResponseError::UnknownServerError, member),
            Err(error) => refused(head, error, member),
        };
        respond::<JoinGroupRequest>(head, &answer)
    })
}

/// What is kept of the request is copied: it must not hold its frame in memory.
fn asked<E: Env>(node: &Node<E>, head: RequestHead, client_id: StrBytes, request: &JoinGroupRequest) -> Join {
    let ms = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let instance = request.group_instance_id.as_deref().map(text);
    let unique = Uuid::from_u64_pair(node.env.draw(), node.env.draw());
    let whose = instance.as_deref().unwrap_or(&client_id);
    let fresh = text(&format!("{}-{unique}", &whose[..whose.floor_char_boundary(MOST_NAMED)]));
    let own = |blob: &Bytes| Bytes::copy_from_slice(blob);
    let session = ms(request.session_timeout_ms);
    Join {
        group: text(&request.group_id),
        member: text(&request.member_id),
        fresh,
        twice: head.version >= FIRST_TWICE && instance.is_none(),
        may_skip: head.version >= FIRST_SKIPPING,
        instance,
        client_id,
        client_host: StrBytes::default(),
        protocol_type: text(&request.protocol_type),
        protocols: request.protocols.iter().map(|one| (text(&one.name), own(&one.metadata))).collect(),
        session_timeout: session,
        rebalance_timeout: if head.version >= 1 { ms(request.rebalance_timeout_ms) } else { session },
    }
}

fn told(head: RequestHead, joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|(id, instance, metadata)| {
        let member = JoinGroupResponseMember::default().with_member_id(id).with_metadata(metadata);
        member.with_group_instance_id(instance.filter(|_| head.version >= 5))
    });
    let answer = JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_name(Some(joined.protocol))
        .with_leader(joined.leader)
        .with_member_id(joined.member)
        .with_members(members.collect())
        .with_skip_assignment(joined.skip);
    if head.version >= FIRST_WITH_TYPE { answer.with_protocol_type(Some(joined.protocol_type)) } else { answer }
}

fn refused(head: RequestHead, error: ResponseError, member: StrBytes) -> JoinGroupResponse {
    // Before version 7 the protocol cannot be null.
    let nothing = (head.version < FIRST_WITH_TYPE).then(StrBytes::default);
    let answer = JoinGroupResponse::default().with_error_code(error.code()).with_generation_id(-1);
    answer.with_protocol_name(nothing).with_protocol_type(None).with_member_id(member)
}
