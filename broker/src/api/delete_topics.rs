//! DeleteTopics (20): by name, or by identity from version 6 on.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use uuid::Uuid;

use super::{Answer, Call, Started, respond};
use crate::controller::plan::Denied;
use crate::controller::record::{TopicId, text};
use crate::controller::request::Change;
use crate::controller::request::Changed;
use crate::env::Env;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// One topic asked for, found or not.
struct Asked {
    name: Option<Arc<str>>,
    id: Uuid,
    error: Option<ResponseError>,
}

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DeleteTopicsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let asked = asked(&node, &request);
        let good: Vec<&Asked> = asked.iter().filter(|asked| asked.error.is_none()).collect();
        let changes = good.iter().filter_map(|asked| asked.name.clone()).map(Change::Delete).collect();
        let Some(ends) = node.change(changes, false).await else { return Answer::Disowned };
        let mut ends = ends.into_iter();
        let answered = asked.iter().map(|asked| match asked.error {
            Some(error) => result(head, asked, Some(error)),
            None => finished(head, asked, ends.next()),
        });
        let response = DeleteTopicsResponse::default().with_responses(answered.collect());
        respond::<DeleteTopicsRequest>(head, &response)
    })
}

fn asked<E: Env>(node: &Node<E>, request: &DeleteTopicsRequest) -> Vec<Asked> {
    let image = node.image();
    let mut seen = BTreeSet::new();
    let by_name = |name: &str| Asked { name: Some(name.into()), id: Uuid::nil(), error: None };
    let names = request.topic_names.iter().map(|name| by_name(name));
    let states = request.topics.iter().map(|topic| match (&topic.name, topic.topic_id) {
        (Some(name), id) if id.is_nil() => by_name(name),
        // Both, or neither.
        (Some(name), id) => Asked { name: Some((&*name.0).into()), id, error: Some(ResponseError::InvalidRequest) },
        (None, id) if id.is_nil() => Asked { name: None, id, error: Some(ResponseError::InvalidRequest) },
        (None, id) => match image.topic_by_id(TopicId(id)) {
            Some(topic) => Asked { name: Some(topic.name.clone()), id, error: None },
            None => Asked { name: None, id, error: Some(ResponseError::UnknownTopicId) },
        },
    });
    let mut all: Vec<Asked> = names.chain(states).collect();
    for asked in &mut all {
        let repeated = asked.name.as_ref().is_some_and(|name| !seen.insert(name.clone()));
        if repeated && asked.error.is_none() {
            asked.error = Some(ResponseError::InvalidRequest);
        }
    }
    all
}

fn finished(head: RequestHead, asked: &Asked, end: Option<Changed>) -> DeletableTopicResult {
    match end {
        Some(Ok(topic)) => {
            let answer = result(head, asked, None);
            if head.version >= 6 { answer.with_topic_id(topic.id.0) } else { answer }
        }
        Some(Err(Denied { error, message })) => {
            let answer = result(head, asked, Some(error));
            if head.version >= 5 { answer.with_error_message(Some(text(&message))) } else { answer }
        }
        None => result(head, asked, Some(ResponseError::UnknownServerError)),
    }
}

fn result(head: RequestHead, asked: &Asked, error: Option<ResponseError>) -> DeletableTopicResult {
    let name = asked.name.as_deref().map(text);
    // Null is for topics asked for by an identity that is unknown, which versions before 6 cannot.
    let name = if head.version >= 6 { name } else { Some(name.unwrap_or_default()) };
    let code = error.map_or(0, |error| error.code());
    let answer = DeletableTopicResult::default().with_name(name.map(TopicName)).with_error_code(code);
    if head.version >= 6 { answer.with_topic_id(asked.id) } else { answer }
}
