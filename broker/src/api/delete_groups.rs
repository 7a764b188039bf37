//! DeleteGroups (42): forgets groups without members, and how far they have come.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::{Answer as Told, Asked};
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DeleteGroupsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let mut results = Vec::with_capacity(request.groups_names.len());
        for name in request.groups_names {
            let code = match node.ask_group(Asked::Delete(text(&name))).await {
                Ok(Told::Done) => 0,
                Ok(Told::No(error)) | Err(error) => error.code(),
                Ok(_) => ResponseError::UnknownServerError.code(),
            };
            results.push(DeletableGroupResult::default().with_group_id(name).with_error_code(code));
        }
        respond::<DeleteGroupsRequest>(head, &DeleteGroupsResponse::default().with_results(results))
    })
}
