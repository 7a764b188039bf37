//! CreateTopics (19).

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::configs;
use crate::controller::image::Topic;
use crate::controller::plan::{Denied, NewTopic};
use crate::controller::record::text;
use crate::controller::request::Change;
use crate::controller::request::Changed;
use crate::env::Env;
use crate::node::Node;
use crate::wire::guard::RequestHead;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<CreateTopicsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let mut times: BTreeMap<&StrBytes, usize> = BTreeMap::new();
        for topic in &request.topics {
            *times.entry(&topic.name.0).or_default() += 1;
        }
        let once = || request.topics.iter().filter(|topic| times[&topic.name.0] == 1);
        let changes = once().map(|topic| Change::Create(wanted(topic))).collect();
        let Some(ends) = node.change(changes, request.validate_only).await else { return Answer::Disowned };
        let mut topics: Vec<_> = once().zip(ends).map(|(topic, end)| result(&node, head, &topic.name, end)).collect();
        let repeated = times.iter().filter(|(_, times)| **times > 1);
        topics.extend(repeated.map(|(name, _)| twice(&TopicName((*name).clone()))));
        respond::<CreateTopicsRequest>(head, &CreateTopicsResponse::default().with_topics(topics))
    })
}

fn wanted(topic: &CreatableTopic) -> NewTopic {
    let brokers = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).collect();
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication: topic.replication_factor,
        assignments: topic.assignments.iter().map(|a| (a.partition_index, brokers(&a.broker_ids))).collect(),
        configs: topic.configs.iter().map(|c| (c.name.to_string(), c.value.as_deref().map(str::to_owned))).collect(),
    }
}

fn twice(name: &TopicName) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name.clone())
        .with_error_code(ResponseError::InvalidRequest.code())
        .with_error_message(Some(StrBytes::from_static_str("Duplicate topic name.")))
        // Never null, although the schema has it so: Java's admin client does not expect it.
        .with_configs(Some(Vec::new()))
}

fn result<E: Env>(node: &Node<E>, head: RequestHead, name: &TopicName, end: Changed) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default().with_name(name.clone()).with_configs(Some(Vec::new()));
    match end {
        Ok(topic) => {
            let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let answer = answer.with_error_message(None);
            let answer = if head.version >= 7 { answer.with_topic_id(topic.id.0) } else { answer };
            if head.version < 5 {
                return answer;
            }
            let configs = settings(node, &topic);
            let replicas = topic.partitions.first().map_or(0, |first| first.replicas.len());
            let replicas = i16::try_from(replicas).unwrap_or(i16::MAX);
            answer.with_num_partitions(count).with_replication_factor(replicas).with_configs(Some(configs))
        }
        Err(Denied { error, message }) => answer.with_error_code(error.code()).with_error_message(Some(text(&message))),
    }
}

fn settings<E: Env>(node: &Node<E>, topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let described = configs::describe(&node.config.log, &topic.configs);
    let shown = described.map(|(setting, value, source)| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(text(&value)))
            .with_config_source(source as i8)
    });
    shown.collect()
}
