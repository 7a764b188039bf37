//! Heartbeat (12): a member is there still, and learns whether it has to join again.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Answer, Call, Started, respond};
use crate::env::Env;
use crate::group::request::Who;
use crate::group::{Answer as Told, Asked};
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<HeartbeatRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let instance = request.group_instance_id.as_deref();
        let who = Who::new(&request.group_id, &request.member_id, instance, request.generation_id);
        let code = match node.ask_group(Asked::Heartbeat(who)).await {
            // While it is loading nobody's session runs (Kafka answers so, too).
            Ok(Told::Done) | Err(ResponseError::CoordinatorLoadInProgress) => 0,
            Ok(Told::No(error)) | Err(error) => error.code(),
            Ok(_) => ResponseError::UnknownServerError.code(),
        };
        respond::<HeartbeatRequest>(head, &HeartbeatResponse::default().with_error_code(code))
    })
}
