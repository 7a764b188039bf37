//! OffsetFetch (9): how far groups have come. What is not known is offset -1 and no error; so is a group that is not.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::Shard;
use crate::group::record::Committed;
use crate::ids::TopicPartition;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// The first version that asks for several groups (KIP-709).
const FIRST_WITH_GROUPS: i16 = 8;

/// By topic, in the order asked for: partitions, and what is committed.
type Found = Vec<(StrBytes, Vec<(i32, Option<Committed>)>)>;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<OffsetFetchRequest>() else { return Started::Now(Answer::Close) };
    let response = OffsetFetchResponse::default();
    if head.version >= FIRST_WITH_GROUPS {
        let groups = request.groups.iter().map(|group| {
            let asked = group.topics.as_ref();
            let asked = asked.map(|all| all.iter().map(|it| (it.name.0.clone(), &it.partition_indexes[..])).collect());
            let may = |shard: &Shard| shard.check_fetch(&group.group_id, group.member_id.as_ref(), group.member_epoch);
            let (found, error) = match node.with_groups(&group.group_id, may) {
                Ok(Err(error)) => (nothing(asked), error.code()),
                _ => found(node, &group.group_id, asked),
            };
            let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
            answer.with_topics(found.into_iter().map(topic_of_group).collect()).with_error_code(error)
        });
        let response = response.with_groups(groups.collect());
        return Started::Now(respond::<OffsetFetchRequest>(head, &response));
    }
    let asked = request.topics.as_ref();
    let asked = asked.map(|all| all.iter().map(|it| (it.name.0.clone(), &it.partition_indexes[..])).collect());
    let (found, error) = found(node, &request.group_id, asked);
    let topics = found.into_iter().map(|found| topic(head, error, found)).collect();
    let response = response.with_topics(topics).with_error_code(if head.version >= 2 { error } else { 0 });
    Started::Now(respond::<OffsetFetchRequest>(head, &response))
}

fn nothing(asked: Option<Vec<(StrBytes, &[i32])>>) -> Found {
    let topics = asked.unwrap_or_default().into_iter();
    topics.map(|(name, all)| (name, all.iter().map(|number| (*number, None)).collect())).collect()
}

fn found<E: Env>(node: &Node<E>, group: &StrBytes, asked: Option<Vec<(StrBytes, &[i32])>>) -> (Found, i16) {
    let look = |asked: &Option<Vec<(StrBytes, &[i32])>>| {
        node.with_groups(group, |shard| match asked {
            Some(topics) => {
                let committed = |name: &Arc<str>, number| {
                    shard.committed(group, &TopicPartition { topic: name.clone(), partition: number }).cloned()
                };
                let topics = topics.iter().map(|(name, all)| {
                    let topic: Arc<str> = Arc::from(name.as_str());
                    (name.clone(), all.iter().map(|number| (*number, committed(&topic, *number))).collect())
                });
                topics.collect()
            }
            None => {
                let mut topics: BTreeMap<&Arc<str>, Vec<(i32, Option<Committed>)>> = BTreeMap::new();
                for (tp, committed) in shard.all_committed(group) {
                    topics.entry(&tp.topic).or_default().push((tp.partition, Some(committed.clone())));
                }
                topics.into_iter().map(|(name, all)| (text(name), all)).collect()
            }
        })
    };
    match look(&asked) {
        Ok(found) => (found, 0),
        // Clients look for another coordinator, and find none yet; some take COORDINATOR_NOT_AVAILABLE for fatal here.
        Err(ResponseError::CoordinatorNotAvailable) => (nothing(asked), ResponseError::NotCoordinator.code()),
        Err(error) => (nothing(asked), error.code()),
    }
}

/// Offset, leader epoch, metadata.
fn told(committed: Option<Committed>) -> (i64, i32, StrBytes) {
    let none = (-1, -1, StrBytes::default());
    committed.map_or(none, |committed| (committed.offset, committed.leader_epoch, committed.metadata))
}

fn topic_of_group((name, all): (StrBytes, Vec<(i32, Option<Committed>)>)) -> OffsetFetchResponseTopics {
    let parts = all.into_iter().map(|(number, committed)| {
        let (offset, epoch, metadata) = told(committed);
        let answer = OffsetFetchResponsePartitions::default().with_partition_index(number);
        answer.with_committed_offset(offset).with_committed_leader_epoch(epoch).with_metadata(Some(metadata))
    });
    OffsetFetchResponseTopics::default().with_name(TopicName(name)).with_partitions(parts.collect())
}

fn topic(
    head: RequestHead,
    error: i16,
    (name, all): (StrBytes, Vec<(i32, Option<Committed>)>),
) -> OffsetFetchResponseTopic {
    let parts = all.into_iter().map(|(number, committed)| {
        let (offset, epoch, metadata) = told(committed);
        let answer = OffsetFetchResponsePartition::default().with_partition_index(number);
        let answer = answer.with_committed_offset(offset).with_metadata(Some(metadata)).with_error_code(error);
        if head.version >= 5 { answer.with_committed_leader_epoch(epoch) } else { answer }
    });
    OffsetFetchResponseTopic::default().with_name(TopicName(name)).with_partitions(parts.collect())
}
