//! DescribeConfigs (32): the settings in force for a topic, and the few of a broker.

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::config::{BrokerConfig, LogConfig};
use crate::controller::config_table::{Kind, Setting};
use crate::controller::configs::{self, Source};
use crate::controller::record::text;
use crate::env::Env;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// `ConfigResource.Type`.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DescribeConfigsRequest>() else { return Started::Now(Answer::Close) };
    // Each once: an answer is no longer than all there is, however often a resource is named.
    let mut seen = BTreeSet::new();
    let asked = request.resources.iter().filter(|asked| seen.insert((asked.resource_type, &asked.resource_name)));
    let results = asked.map(|resource| one(node, head, &request, resource));
    let response = DescribeConfigsResponse::default().with_results(results.collect());
    Started::Now(respond::<DescribeConfigsRequest>(head, &response))
}

fn one<E: Env>(
    node: &Node<E>,
    head: RequestHead,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> DescribeConfigsResult {
    let answer = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
        .with_error_message(None);
    let wanted = |name: &str| match &resource.configuration_keys {
        Some(keys) => keys.iter().any(|key| &**key == name),
        None => true,
    };
    let fail = |error: ResponseError, why: &str| {
        answer.clone().with_error_code(error.code()).with_error_message(Some(text(why)))
    };
    match resource.resource_type {
        TOPIC => match node.image().topic(&resource.resource_name) {
            Some(topic) => {
                let all = configs::describe(&node.config.log, &topic.configs);
                let shown = all.filter(|(setting, ..)| wanted(setting.name));
                let base = &node.config.log;
                let rows = shown.map(|(setting, value, from)| row(head, request, base, setting, &value, from));
                answer.with_configs(rows.collect())
            }
            None => fail(ResponseError::UnknownTopicOrPartition, "This server does not host this topic-partition."),
        },
        BROKER if *resource.resource_name == *node.config.node_id.0.to_string() => {
            let all = broker_settings(&node.config).into_iter().filter(|(name, ..)| wanted(name));
            answer.with_configs(all.map(|(name, kind, value)| fixed(head, name, kind, &value)).collect())
        }
        BROKER => fail(ResponseError::InvalidRequest, "Unexpected broker id: this is another broker."),
        _ => fail(ResponseError::InvalidRequest, "Only topics and brokers have settings here."),
    }
}

fn row(
    head: RequestHead,
    request: &DescribeConfigsRequest,
    base: &LogConfig,
    setting: &Setting,
    value: &str,
    from: Source,
) -> DescribeConfigsResourceResult {
    let name = StrBytes::from_static_str(setting.name);
    let mut row = DescribeConfigsResourceResult::default()
        .with_name(name.clone())
        .with_value(Some(text(value)))
        .with_config_source(from as i8);
    if request.include_synonyms {
        let inherited = configs::shown(base, setting);
        let mut chain = vec![(from, value.to_owned())];
        if from == Source::Topic && inherited != setting.default {
            chain.push((Source::Broker, inherited));
        }
        if from != Source::Default {
            chain.push((Source::Default, setting.default.to_owned()));
        }
        let synonym = |(source, value): (Source, String)| {
            DescribeConfigsSynonym::default()
                .with_name(name.clone())
                .with_value(Some(text(&value)))
                .with_source(source as i8)
        };
        row = row.with_synonyms(chain.into_iter().map(synonym).collect());
    }
    if head.version >= 3 {
        row = row.with_config_type(setting.kind as i8);
        let doc = request.include_documentation.then(|| StrBytes::from_static_str(setting.doc));
        row = row.with_documentation(doc);
    }
    row
}

fn broker_settings(config: &BrokerConfig) -> Vec<(&'static str, Kind, String)> {
    let ms = |d: std::time::Duration| d.as_millis().to_string();
    vec![
        ("auto.create.topics.enable", Kind::Boolean, config.auto_create_topics.to_string()),
        ("broker.rack", Kind::String, config.rack.clone().unwrap_or_default()),
        ("connections.max.idle.ms", Kind::Long, ms(config.connections_max_idle)),
        ("default.replication.factor", Kind::Int, config.default_replication_factor.to_string()),
        ("log.flush.offset.checkpoint.interval.ms", Kind::Int, ms(config.checkpoint_interval)),
        ("log.retention.check.interval.ms", Kind::Long, ms(config.retention_check_interval)),
        ("max.connections", Kind::Int, config.max_connections.to_string()),
        ("node.id", Kind::Int, config.node_id.0.to_string()),
        ("num.partitions", Kind::Int, config.num_partitions.to_string()),
        ("socket.request.max.bytes", Kind::Int, config.socket_request_max_bytes.to_string()),
    ]
}

/// A broker's setting: given at its start, not to be changed.
fn fixed(head: RequestHead, name: &'static str, kind: Kind, value: &str) -> DescribeConfigsResourceResult {
    let row = DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(text(value)))
        .with_read_only(true)
        .with_config_source(Source::Broker as i8);
    if head.version >= 3 { row.with_config_type(kind as i8).with_documentation(None) } else { row }
}
