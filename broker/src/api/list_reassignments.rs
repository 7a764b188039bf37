//! ListPartitionReassignments (46): which replicas are on the move (KIP-455).

use std::rc::Rc;

use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{
    BrokerId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};

use super::{Answer, Call, Started, respond};
use crate::controller::image::{Image, Topic};
use crate::controller::partition::PartitionState;
use crate::controller::record::text;
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<ListPartitionReassignmentsRequest>() else { return Started::Now(Answer::Close) };
    let topics = moving(&node.image(), &asked);
    let response = ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics);
    Started::Now(respond::<ListPartitionReassignmentsRequest>(head, &response))
}

/// Whoever asks for no topic in particular asks for all. Topics and partitions that are not there are left out, as in
/// Kafka (`ReplicationControlManager.listPartitionReassignments`).
fn moving(image: &Image, asked: &ListPartitionReassignmentsRequest) -> Vec<OngoingTopicReassignment> {
    let found: Vec<Option<OngoingTopicReassignment>> = match &asked.topics {
        None => image.topics().map(|topic| of_topic(topic, |_| true)).collect(),
        Some(named) => {
            let named = named.iter().filter_map(|one| Some((image.topic(&one.name)?, &one.partition_indexes)));
            named.map(|(topic, numbers)| of_topic(topic, |number| numbers.contains(&number))).collect()
        }
    };
    found.into_iter().flatten().collect()
}

fn of_topic(topic: &Topic, wanted: impl Fn(i32) -> bool) -> Option<OngoingTopicReassignment> {
    let moving = topic.numbered().filter(|(number, state)| state.is_reassigning() && wanted(*number));
    let partitions: Vec<_> = moving.map(|(number, state)| of_partition(number, state)).collect();
    let answer = OngoingTopicReassignment::default().with_name(TopicName(text(&topic.name)));
    (!partitions.is_empty()).then(|| answer.with_partitions(partitions))
}

fn of_partition(number: i32, state: &PartitionState) -> OngoingPartitionReassignment {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| BrokerId(node.0)).collect();
    OngoingPartitionReassignment::default()
        .with_partition_index(number)
        .with_replicas(ids(&state.replicas))
        .with_adding_replicas(ids(&state.adding))
        .with_removing_replicas(ids(&state.removing))
}
