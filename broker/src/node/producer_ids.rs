//! Producer ids: taken from the controller a thousand at a time, handed out one by one (KIP-730).
//!
//! The metadata log says that a block is taken before any of it is handed out, so that no id is ever given to two
//! producers. What is left of a block when the node stops is lost; there are enough.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;

use super::Node;
use super::checkpoints::Turns;
use crate::controller::request::{Answer, Request};
use crate::env::Env;

/// The ids that this node may hand out.
#[derive(Default)]
pub struct ProducerIds {
    left: RefCell<Range<i64>>,
    asking: Turns,
}

impl<E: Env> Node<E> {
    /// An id that no producer has had before.
    pub async fn next_producer_id(self: &Rc<Self>) -> Result<i64, ResponseError> {
        let ids = &self.producer_ids;
        let next = || ids.left.borrow_mut().next();
        if let Some(id) = next() {
            return Ok(id);
        }
        let _turn = ids.asking.turn().await;
        loop {
            if let Some(id) = next() {
                return Ok(id);
            }
            let (node, epoch) = (self.config.node_id, self.broker_epoch());
            // Kafka's answer, too, while it has no block: clients try again.
            let Ok(Answer::ProducerIds { first, count }) =
                self.ask_controller(Request::AllocateProducerIds { node, epoch }).await
            else {
                return Err(ResponseError::CoordinatorLoadInProgress);
            };
            if count <= 0 {
                return Err(ResponseError::CoordinatorLoadInProgress);
            }
            *ids.left.borrow_mut() = first..first + i64::from(count);
        }
    }
}
