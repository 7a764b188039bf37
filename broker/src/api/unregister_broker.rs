//! UnregisterBroker (64): an operator says that a broker will not come back (KIP-500).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::controller::request::{self, Request};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<UnregisterBrokerRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let response = UnregisterBrokerResponse::default().with_error_message(None);
        let response = match node.raft.decide(Request::Unregister(NodeId(asked.broker_id.0))).await {
            Ok(request::Answer::Unregistered) => response,
            Ok(_) => response.with_error_code(ResponseError::UnknownServerError.code()),
            Err(ResponseError::NotController) => return Answer::Disowned,
            Err(error) => {
                let why = (error == ResponseError::BrokerIdNotRegistered)
                    .then(|| text(&format!("Broker ID {} is not currently registered", asked.broker_id.0)));
                response.with_error_code(error.code()).with_error_message(why)
            }
        };
        respond::<UnregisterBrokerRequest>(head, &response)
    })
}
