//! Clients' changes to the cluster, handed to the active controller, wherever it is.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;

use super::Node;
use crate::controller::plan::denied;
use crate::controller::request::{Answer, Change, Changed, Request};
use crate::env::Env;

impl<E: Env> Node<E> {
    /// Has the controller in this node carry out `changes` in order, each wholly or not at all; with `dry`, only say what
    /// would become of each. What is not forwarded reaches the active controller only.
    pub async fn change(self: &Rc<Self>, changes: Vec<Change>, dry: bool) -> Vec<Changed> {
        let count = changes.len();
        match self.raft.decide(Request::Change { changes, dry }).await {
            Ok(Answer::Changed(ends)) => ends,
            Ok(_) => vec![denied(ResponseError::UnknownServerError, ""); count],
            Err(error) => vec![denied(error, "This is not the active controller any more."); count],
        }
    }
}
