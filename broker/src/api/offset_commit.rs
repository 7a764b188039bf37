//! OffsetCommit (8): how far a group has come. Answered when it is committed.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::request::{Commit, Commits, Who};
use crate::group::{Answer as Told, Asked};
use crate::ids::TopicPartition;
use crate::node::Node;

/// From here on the generation may be a member's epoch (KIP-848).
const FIRST_WITH_MEMBER_EPOCHS: i16 = 9;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<OffsetCommitRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let (instance, generation) = (request.group_instance_id.as_deref(), request.generation_id_or_member_epoch);
        let who = Who::new(&request.group_id, &request.member_id, instance, generation);
        let by_epoch = head.version >= FIRST_WITH_MEMBER_EPOCHS;
        let (known, offsets) = wanted(&node, &request);
        let count = offsets.len();
        let told = match count {
            0 => Ok(Told::Offsets(Vec::new())),
            _ => node.ask_group(Asked::Commit(Commits { who, by_epoch, offsets })).await,
        };
        let ends = match told {
            Ok(Told::Offsets(ends)) => ends,
            Ok(Told::No(error)) | Err(error) => vec![Err(error); count],
            Ok(_) => vec![Err(ResponseError::UnknownServerError); count],
        };
        let (mut known, mut ends) = (known.into_iter(), ends.into_iter());
        let topics = request.topics.iter().map(|topic| {
            let parts = topic.partitions.iter().map(|part| {
                let end = match known.next() {
                    Some(true) => ends.next().unwrap_or(Err(ResponseError::UnknownServerError)),
                    _ => Err(ResponseError::UnknownTopicOrPartition),
                };
                let code = end.err().map_or(0, |error| error.code());
                let answer = OffsetCommitResponsePartition::default().with_partition_index(part.partition_index);
                answer.with_error_code(code)
            });
            OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(parts.collect())
        });
        respond::<OffsetCommitRequest>(head, &OffsetCommitResponse::default().with_topics(topics.collect()))
    })
}

/// Of each partition named, whether there is one; and what is to be committed of those that there are.
fn wanted<E: Env>(node: &Node<E>, request: &OffsetCommitRequest) -> (Vec<bool>, Vec<(TopicPartition, Commit)>) {
    let image = node.image();
    let (mut known, mut offsets) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        for part in &topic.partitions {
            let tp = TopicPartition::new(topic.name.as_str(), part.partition_index);
            let there = image.partition(&tp).is_some();
            known.push(there);
            if there {
                let metadata = part.committed_metadata.as_deref().map(text).unwrap_or_default();
                let (offset, leader_epoch) = (part.committed_offset, part.committed_leader_epoch);
                offsets.push((tp, Commit { offset, leader_epoch, metadata }));
            }
        }
    }
    (known, offsets)
}
