//! AllocateProducerIds (67): a broker gets a block of producer ids to hand out (KIP-730).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse, ProducerId};

use super::{Answer, Call, Started, respond};
use crate::controller::request::{self, Request};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<AllocateProducerIdsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let request = Request::AllocateProducerIds { node: NodeId(asked.broker_id.0), epoch: asked.broker_epoch };
        let response = AllocateProducerIdsResponse::default();
        let response = match node.raft.decide(request).await {
            Ok(request::Answer::ProducerIds { first, count }) => {
                response.with_producer_id_start(ProducerId(first)).with_producer_id_len(count)
            }
            Ok(_) => response.with_error_code(ResponseError::UnknownServerError.code()),
            Err(error) => response.with_error_code(error.code()),
        };
        respond::<AllocateProducerIdsRequest>(head, &response)
    })
}
