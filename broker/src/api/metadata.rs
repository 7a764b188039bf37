//! Metadata (3): brokers, topics, and who leads their partitions.

use std::collections::BTreeSet;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};

use super::{Answer, Call, Started, respond};
use crate::controller::image::{Image, PartitionState, Topic};
use crate::controller::partition::NO_LEADER;
use crate::controller::record::{TopicId, text};
use crate::env::Env;
use crate::group::OFFSETS_TOPIC;
use crate::ids::NodeId;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// Topics one request may create in passing; the others it asks for are answered as unknown.
const MOST_CREATED: usize = 1000;
/// Says that authorised operations were not asked for.
const NOT_ASKED: i32 = i32::MIN;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<MetadataRequest>() else { return Started::Now(Answer::Close) };
    if node.is_ready() && missing(node, &request).is_empty() {
        return Started::Now(respond::<MetadataRequest>(head, &answer(node, head, &request)));
    }
    let node = node.clone();
    Started::later(async move {
        if !node.ready_soon().await {
            return Answer::Close;
        }
        let missing = missing(&node, &request);
        if !missing.is_empty() {
            // Whether it worked shows in the answer; a concurrent request may have been quicker.
            node.create_unasked(missing).await;
        }
        respond::<MetadataRequest>(head, &answer(&node, head, &request))
    })
}

/// The topics to be created because they were asked for (`auto.create.topics.enable`).
fn missing<E: Env>(node: &Node<E>, request: &MetadataRequest) -> Vec<String> {
    if !node.config.auto_create_topics || !request.allow_auto_topic_creation || node.is_stopping() {
        return Vec::new();
    }
    let image = node.image();
    let names = request.topics.iter().flatten().filter_map(|topic| topic.name.as_ref());
    let unknown: BTreeSet<&str> = names.map(|name| name.as_str()).filter(|name| image.topic(name).is_none()).collect();
    unknown.into_iter().take(MOST_CREATED).map(str::to_owned).collect()
}

fn answer<E: Env>(node: &Node<E>, head: RequestHead, request: &MetadataRequest) -> MetadataResponse {
    let image = node.image();
    let brokers = image.brokers().filter(|broker| !broker.fenced).map(|broker| {
        let answer = MetadataResponseBroker::default()
            .with_node_id(BrokerId(broker.node.0))
            .with_host(text(&broker.host))
            .with_port(i32::from(broker.port));
        answer.with_rack(broker.rack.as_deref().filter(|_| head.version >= 1).map(text))
    });
    // Whoever is asked forwards to the active controller (KIP-590), so that clients need not know it.
    let mut response =
        MetadataResponse::default().with_brokers(brokers.collect()).with_controller_id(BrokerId(node.config.node_id.0));
    if head.version >= 2 {
        response = response.with_cluster_id(Some(text(&node.config.cluster_id)));
    }
    // Version 0 has no null: there an empty list asks for all.
    response.topics = match &request.topics {
        Some(asked) if !(asked.is_empty() && head.version == 0) => {
            // Each once: an answer is no longer than all there is, however often a topic is named.
            let mut seen = BTreeSet::new();
            let asked = asked.iter().filter(|topic| seen.insert((topic.name.as_deref(), topic.topic_id)));
            asked.map(|topic| one(node, &image, head, topic.name.as_deref(), topic.topic_id)).collect()
        }
        _ => image.topics().map(|topic| found(node, head, topic)).collect(),
    };
    response
}

fn one<E: Env>(
    node: &Node<E>,
    image: &Image,
    head: RequestHead,
    name: Option<&kafka_protocol::protocol::StrBytes>,
    id: uuid::Uuid,
) -> MetadataResponseTopic {
    let topic = match name {
        Some(name) => image.topic(name),
        None => image.topic_by_id(TopicId(id)),
    };
    if let Some(topic) = topic {
        return found(node, head, topic);
    }
    let error = match name {
        None => ResponseError::UnknownTopicId,
        Some(name) if !crate::controller::plan::is_legal(name) => ResponseError::InvalidTopicException,
        Some(_) => ResponseError::UnknownTopicOrPartition,
    };
    // Versions before 12 cannot say null.
    let name = name.cloned().or((head.version < 12).then(Default::default));
    let topic = MetadataResponseTopic::default().with_error_code(error.code()).with_name(name.map(TopicName));
    identified(topic, head, id)
}

/// With the topic's identity, in the versions that carry it.
fn identified(topic: MetadataResponseTopic, head: RequestHead, id: uuid::Uuid) -> MetadataResponseTopic {
    let topic = if head.version >= 10 { topic.with_topic_id(id) } else { topic };
    topic.with_topic_authorized_operations(NOT_ASKED)
}

fn found<E: Env>(node: &Node<E>, head: RequestHead, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(number, state)| partition(node, head, topic, number, state));
    let answer = MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_partitions(partitions.collect());
    // Version 0 cannot say it.
    let answer = answer.with_is_internal(head.version >= 1 && *topic.name == *OFFSETS_TOPIC);
    identified(answer, head, topic.id.0)
}

fn partition<E: Env>(
    node: &Node<E>,
    head: RequestHead,
    topic: &Topic,
    number: i32,
    state: &PartitionState,
) -> MetadataResponsePartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| BrokerId(node.0)).collect();
    let here = state.leader == Some(node.config.node_id);
    let online = !here || node.partition(&topic.name, number).is_some_and(|partition| partition.is_online());
    let mut answer = MetadataResponsePartition::default()
        .with_partition_index(number)
        .with_leader_id(BrokerId(state.leader.filter(|_| online).unwrap_or(NO_LEADER).0))
        .with_replica_nodes(ids(&state.replicas))
        .with_isr_nodes(ids(&state.in_sync));
    if head.version >= 7 {
        answer = answer.with_leader_epoch(state.leader_epoch);
    }
    if head.version >= 5 {
        let image = node.image();
        let gone = |replica: &NodeId| image.broker(*replica).is_none_or(|broker| broker.fenced);
        let mut offline: Vec<NodeId> = state.replicas.iter().copied().filter(gone).collect();
        if !online && !offline.contains(&node.config.node_id) {
            offline.push(node.config.node_id);
        }
        answer = answer.with_offline_replicas(ids(&offline));
    }
    if state.leader.is_some() && online {
        return answer;
    }
    answer.with_error_code(ResponseError::LeaderNotAvailable.code())
}
