//! InitProducerId (22): a producer's identity, by which its retries are told from new batches (KIP-98).
//!
//! Without a transactional id every request gets an id that nobody has had, in epoch 0, also one that names the id and
//! epoch it has: Kafka does so too (`TransactionCoordinator.handleInitProducerId` "blindly accepts"), because nothing is
//! remembered of such producers by which two that ask for the same bump could be told apart. They count their epoch up
//! by themselves (KIP-360) and ask again when it is used up.
//!
//! With a transactional id the answer is COORDINATOR_NOT_AVAILABLE: there is no transaction coordinator.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Answer, Call, Started, respond};
use crate::env::Env;
use crate::node::Node;

/// Stands for no id and no epoch.
const NONE: (i64, i16) = (-1, -1);

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<InitProducerIdRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let given = match check(&request) {
            Ok(()) => node.next_producer_id().await.map(|id| (id, 0)),
            Err(error) => Err(error),
        };
        let code = given.as_ref().err().map_or(0, |error| error.code());
        let (id, epoch) = given.unwrap_or(NONE);
        let answer = InitProducerIdResponse::default().with_error_code(code);
        respond::<InitProducerIdRequest>(head, &answer.with_producer_id(ProducerId(id)).with_producer_epoch(epoch))
    })
}

fn check(request: &InitProducerIdRequest) -> Result<(), ResponseError> {
    let has = (request.producer_id.0 != NONE.0, request.producer_epoch != NONE.1);
    match &request.transactional_id {
        _ if has.0 != has.1 => Err(ResponseError::InvalidRequest),
        None => Ok(()),
        Some(id) if id.is_empty() => Err(ResponseError::InvalidRequest),
        Some(_) => Err(ResponseError::CoordinatorNotAvailable),
    }
}
