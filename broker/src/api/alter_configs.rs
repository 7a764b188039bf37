//! IncrementalAlterConfigs (44): set, delete, append to and subtract from a topic's settings (KIP-339).

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::describe_configs::TOPIC;
use super::{Answer, Call, Started, respond};
use crate::controller::plan::{Alteration, Denied, denied};
use crate::controller::record::text;
use crate::env::Env;
use crate::node::Node;
use crate::controller::request::Change;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<IncrementalAlterConfigsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let mut seen = BTreeSet::new();
        let wanted: Vec<Result<Change, Denied>> =
            request.resources.iter().map(|resource| wanted(&mut seen, resource)).collect();
        let changes = wanted.iter().filter_map(|wanted| wanted.clone().ok()).collect();
        let mut ends = node.change(changes, request.validate_only).await.into_iter();
        let ends = wanted.into_iter().map(|wanted| match wanted {
            Ok(_) => ends.next().map_or(denied(ResponseError::UnknownServerError, ""), |end| end.map(|_| ())),
            Err(denied) => Err(denied),
        });
        let responses = request.resources.iter().zip(ends).map(|(resource, end)| result(resource, end));
        let response = IncrementalAlterConfigsResponse::default().with_responses(responses.collect());
        respond::<IncrementalAlterConfigsRequest>(head, &response)
    })
}

fn wanted(seen: &mut BTreeSet<(i8, String)>, resource: &AlterConfigsResource) -> Result<Change, Denied> {
    let name = resource.resource_name.to_string();
    if !seen.insert((resource.resource_type, name.clone())) {
        return denied(ResponseError::InvalidRequest, "Each resource must appear at most once.");
    }
    if resource.resource_type != TOPIC {
        return denied(ResponseError::InvalidRequest, "Only topics have settings that can be changed here.");
    }
    let changes: Result<Vec<_>, Denied> =
        resource.configs.iter().map(|config| Ok((config.name.to_string(), alteration(config)?))).collect();
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
    let answer = AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    match end {
        Ok(()) => answer.with_error_message(None),
        Err(Denied { error, message }) => answer.with_error_code(error.code()).with_error_message(Some(text(&message))),
    }
}
