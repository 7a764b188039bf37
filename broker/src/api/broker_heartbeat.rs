//! BrokerHeartbeat (63): a broker is alive, and learns whether it may lead (KIP-500, KIP-631).

use std::rc::Rc;

use kafka_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::request::{self, Heartbeat, Request};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<BrokerHeartbeatRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let request = Request::Heartbeat(Heartbeat {
            node: NodeId(asked.broker_id.0),
            epoch: asked.broker_epoch,
            metadata_offset: asked.current_metadata_offset,
            want_fence: asked.want_fence,
            want_shut_down: asked.want_shut_down,
        });
        let response = BrokerHeartbeatResponse::default();
        let response = match node.raft.decide(request).await {
            Ok(request::Answer::Heartbeat { caught_up, fenced, should_shut_down }) => {
                response.with_is_caught_up(caught_up).with_is_fenced(fenced).with_should_shut_down(should_shut_down)
            }
            Ok(_) => response.with_error_code(kafka_protocol::error::ResponseError::UnknownServerError.code()),
            Err(error) => response.with_error_code(error.code()),
        };
        respond::<BrokerHeartbeatRequest>(head, &response)
    })
}
