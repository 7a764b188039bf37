//! SyncGroup (14): the group's leader hands in the assignment; every member gets its part.

use std::rc::Rc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::request::{Sync, Who};
use crate::group::{Answer as Told, Asked};
use crate::node::Node;

/// The first version that names the protocol (KIP-559).
const FIRST_WITH_PROTOCOL: i16 = 5;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<SyncGroupRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let sync = asked(&request);
        // With the frame that it is a part of, before the wait.
        drop(request);
        let answer = SyncGroupResponse::default();
        let answer = match node.ask_group(Asked::Sync(sync)).await {
            Ok(Told::Synced(synced)) if head.version >= FIRST_WITH_PROTOCOL => answer
                .with_assignment(synced.assignment)
                .with_protocol_type(Some(synced.protocol_type))
                .with_protocol_name(Some(synced.protocol)),
            Ok(Told::Synced(synced)) => answer.with_assignment(synced.assignment),
            // Clients do not expect to hear that it is loading; the members are to join again anyway (Kafka, too, says so).
            Err(ResponseError::CoordinatorLoadInProgress) => {
                answer.with_error_code(ResponseError::RebalanceInProgress.code())
            }
            Ok(Told::No(error)) | Err(error) => answer.with_error_code(error.code()),
            Ok(_) => answer.with_error_code(ResponseError::UnknownServerError.code()),
        };
        respond::<SyncGroupRequest>(head, &answer)
    })
}

fn asked(request: &SyncGroupRequest) -> Sync {
    let own = |blob: &Bytes| Bytes::copy_from_slice(blob);
    Sync {
        who: Who::new(
            &request.group_id,
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        ),
        protocol_type: request.protocol_type.as_deref().map(text),
        protocol: request.protocol_name.as_deref().map(text),
        assignments: request.assignments.iter().map(|one| (text(&one.member_id), own(&one.assignment))).collect(),
    }
}
