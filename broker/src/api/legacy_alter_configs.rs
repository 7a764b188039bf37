//! AlterConfigs (33): gives a topic exactly the settings named, and no others of its own. Deprecated since KIP-339 for
//! IncrementalAlterConfigs, and what JavaScript's kafkajs still asks for.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::alter_configs::{Wanted, carry_out};
use super::describe_configs::TOPIC;
use super::{Answer, Call, Started, respond};
use crate::controller::plan::{Alteration, Denied, code_and_message, denied};
use crate::env::Env;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<AlterConfigsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let wanted = request.resources.iter().map(|resource| wanted(&node, resource)).collect();
        let Some(ends) = carry_out(&node, wanted, request.validate_only).await else { return Answer::Disowned };
        let responses = request.resources.iter().zip(ends).map(|(resource, end)| result(resource, end));
        respond::<AlterConfigsRequest>(head, &AlterConfigsResponse::default().with_responses(responses.collect()))
    })
}

fn wanted<E: Env>(node: &Node<E>, resource: &AlterConfigsResource) -> Wanted {
    let name = resource.resource_name.to_string();
    let set = resource.configs.iter().map(|config| match &config.value {
        Some(value) => Ok((config.name.to_string(), Alteration::Set(value.to_string()))),
        None => denied(ResponseError::InvalidRequest, format!("Null value not supported for {}.", config.name)),
    });
    let changes = set.collect::<Result<Vec<_>, Denied>>().map(|mut changes| {
        // What the topic has of its own and is not named goes back to the default.
        let image = node.image();
        let own = image.topic(&name).filter(|_| resource.resource_type == TOPIC);
        let left = own.into_iter().flat_map(|topic| topic.configs.keys());
        let dropped: Vec<_> = left.filter(|key| changes.iter().all(|(name, _)| name != *key)).cloned().collect();
        changes.extend(dropped.into_iter().map(|key| (key, Alteration::Delete)));
        changes
    });
    (resource.resource_type, name, changes)
}

fn result(resource: &AlterConfigsResource, end: Result<(), Denied>) -> AlterConfigsResourceResponse {
    let (code, message) = code_and_message(&end);
    AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
        .with_error_code(code)
        .with_error_message(message)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::alter_configs_request::AlterableConfig;
    use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
    use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
    use kafka_protocol::messages::{CreateTopicsRequest, DescribeConfigsRequest, TopicName};

    use super::*;
    use crate::config::FlushPolicy;
    use crate::controller::record::text;
    use crate::node::testing::{Wire, settings, with_broker};

    async fn own(wire: &mut Wire) -> Vec<(String, String)> {
        let topic = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text("t"))
            .with_configuration_keys(None);
        let described = wire.ask(4, &DescribeConfigsRequest::default().with_resources(vec![topic])).await;
        let rows = described.results[0].configs.iter().filter(|row| row.config_source == 1);
        rows.map(|row| (row.name.to_string(), row.value.as_deref().unwrap_or_default().to_owned())).collect()
    }

    fn request(resource_type: i8, name: &'static str, configs: &[(&str, Option<&str>)]) -> AlterConfigsRequest {
        let configs = configs
            .iter()
            .map(|(name, value)| AlterableConfig::default().with_name(text(name)).with_value(value.map(text)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_configs(configs.collect());
        AlterConfigsRequest::default().with_resources(vec![resource])
    }

    #[test]
    fn what_is_not_named_goes_back_to_its_default() {
        let root = tempfile::tempdir().unwrap();
        with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
            let config = CreatableTopicConfig::default().with_name(text("segment.ms")).with_value(Some(text("60000")));
            let topic = CreatableTopic::default()
                .with_name(TopicName(text("t")))
                .with_num_partitions(1)
                .with_replication_factor(1)
                .with_configs(vec![config]);
            wire.ask(7, &CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)).await;
            let before = vec![("segment.ms".to_owned(), "60000".to_owned())];
            assert_eq!(own(&mut wire).await, before);
            let code = |response: AlterConfigsResponse| response.responses[0].error_code;
            let after = request(TOPIC, "t", &[("retention.ms", Some("1000"))]);
            assert_eq!(code(wire.ask(2, &after.clone().with_validate_only(true)).await), 0);
            assert_eq!(own(&mut wire).await, before, "validated only");
            for version in 0..=2 {
                assert_eq!(code(wire.ask(version, &after).await), 0);
                assert_eq!(own(&mut wire).await, [("retention.ms".to_owned(), "1000".to_owned())]);
            }
            assert_eq!(code(wire.ask(2, &request(TOPIC, "t", &[("retention.ms", None)])).await), 42);
            assert_eq!(code(wire.ask(2, &request(TOPIC, "t", &[("no.such", Some("1"))])).await), 40);
            assert_eq!(code(wire.ask(2, &request(TOPIC, "u", &[])).await), 3);
            assert_eq!(code(wire.ask(2, &request(4, "0", &[])).await), 42);
            assert_eq!(own(&mut wire).await.len(), 1, "what is refused changes nothing");
            assert_eq!(code(wire.ask(2, &request(TOPIC, "t", &[])).await), 0);
            assert!(own(&mut wire).await.is_empty());
        });
    }
}
