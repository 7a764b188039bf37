//! CreatePartitions (37).

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::plan::{code_and_message, denied};
use crate::controller::request::Change;
use crate::controller::request::Changed;
use crate::env::Env;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<CreatePartitionsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let mut seen = BTreeSet::new();
        let (first, repeated): (Vec<_>, Vec<_>) =
            request.topics.iter().partition(|topic| seen.insert(topic.name.clone()));
        let changes = first.iter().map(|topic| wanted(topic)).collect();
        let Some(ends) = node.change(changes, request.validate_only).await else { return Answer::Disowned };
        let twice = repeated.iter().map(|_| denied(ResponseError::InvalidRequest, "Duplicate topic name."));
        let results = first.iter().chain(&repeated).zip(ends.into_iter().chain(twice));
        let results = results.map(|(topic, end)| result(topic, end)).collect();
        respond::<CreatePartitionsRequest>(head, &CreatePartitionsResponse::default().with_results(results))
    })
}

fn wanted(topic: &CreatePartitionsTopic) -> Change {
    let brokers = topic
        .assignments
        .as_ref()
        .map(|assignments| assignments.iter().map(|one| one.broker_ids.iter().map(|id| id.0).collect()).collect());
    Change::Grow(topic.name.to_string(), topic.count, brokers)
}

fn result(topic: &CreatePartitionsTopic, end: Changed) -> CreatePartitionsTopicResult {
    let (code, message) = code_and_message(&end);
    CreatePartitionsTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_code(code)
        .with_error_message(message)
}
