//! IncrementalAlterConfigs (44): set, delete, append to and subtract from a topic's settings (KIP-339).

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::describe_configs::TOPIC;
use super::{Answer, Call, Started, respond};
use crate::controller::plan::{Alteration, Denied, code_and_message, denied};
use crate::controller::request::Change;
use crate::env::Env;
use crate::node::Node;

/// What is wanted of one resource's settings: its type, its name, the changes.
pub(super) type Wanted = (i8, String, Result<Vec<(String, Alteration)>, Denied>);

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<IncrementalAlterConfigsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let alterations = |resource: &AlterConfigsResource| {
            resource.configs.iter().map(|config| Ok((config.name.to_string(), alteration(config)?))).collect()
        };
        let wanted = request.resources.iter().map(|r| (r.resource_type, r.resource_name.to_string(), alterations(r)));
        let ended = carry_out(&node, wanted.collect(), request.validate_only).await;
        let Some(ends) = ended else { return Answer::Disowned };
        let responses = request.resources.iter().zip(ends).map(|(resource, end)| result(resource, end));
        let response = IncrementalAlterConfigsResponse::default().with_responses(responses.collect());
        respond::<IncrementalAlterConfigsRequest>(head, &response)
    })
}

/// Carries out what is wanted, as far as it can be, or only says whether it could. An end for each, in order.
/// `None`: this is not the active controller any more.
pub(super) async fn carry_out<E: Env>(
    node: &Rc<Node<E>>,
    wanted: Vec<Wanted>,
    validate_only: bool,
) -> Option<Vec<Result<(), Denied>>> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<Result<Change, Denied>> = wanted.into_iter().map(|wanted| change(&mut seen, wanted)).collect();
    let changes = wanted.iter().filter_map(|wanted| wanted.clone().ok()).collect();
    let mut ends = node.change(changes, validate_only).await?.into_iter();
    let ends = wanted.into_iter().map(|wanted| match wanted {
        Ok(_) => ends.next().map_or(denied(ResponseError::UnknownServerError, ""), |end| end.map(|_| ())),
        Err(denied) => Err(denied),
    });
    Some(ends.collect())
}

fn change(seen: &mut BTreeSet<(i8, String)>, (kind, name, changes): Wanted) -> Result<Change, Denied> {
    if !seen.insert((kind, name.clone())) {
        return denied(ResponseError::InvalidRequest, "Each resource must appear at most once.");
    }
    if kind != TOPIC {
        return denied(ResponseError::InvalidRequest, "Only topics have settings that can be changed here.");
    }
    Ok(Change::Alter(name, changes?))
}

fn alteration(config: &AlterableConfig) -> Result<Alteration, Denied> {
    let value = || match &config.value {
        Some(value) => Ok(value.to_string()),
        None => denied(ResponseError::InvalidRequest, format!("Null value not supported for {}.", config.name)),
    };
    match config.config_operation {
        0 => Ok(Alteration::Set(value()?)),
        1 => Ok(Alteration::Delete),
        2 => Ok(Alteration::Append(value()?)),
        3 => Ok(Alteration::Subtract(value()?)),
        other => denied(ResponseError::InvalidRequest, format!("Unknown operation {other} on {}.", config.name)),
    }
}

fn result(resource: &AlterConfigsResource, end: Result<(), Denied>) -> AlterConfigsResourceResponse {
    let (code, message) = code_and_message(&end);
    AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
        .with_error_code(code)
        .with_error_message(message)
}
