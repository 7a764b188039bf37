//! DeleteRecords (21): moves the start of logs. Answered once the new start is written down, and all replicas that are alive
//! say they have it: whoever of them is elected next does not bring back what was deleted (`DelayedDeleteRecords`). A follower
//! writes its new start down some time later, as in Kafka: what loses its power before may have the old one.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Answer, Call, Started, respond};
use crate::env::{Env, Mono};
use crate::group::OFFSETS_TOPIC;
use crate::ids::{NodeId, Offset};
use crate::node::Node;
use crate::node::checkpoints::{state_trim, write_starts};

/// Stands for the high watermark.
const HIGH_WATERMARK: Offset = -1;

/// How often to look whether the others have it.
const LOOKS: Duration = Duration::from_millis(20);

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DeleteRecordsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    let until = node.env.now().after(Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)));
    Started::later(async move {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| one(&node, &topic.name, asked)).collect();
            DeleteRecordsTopicResult::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        let mut topics: Vec<_> = topics.collect();
        let written = write_starts(&node).await;
        if let Err(error) = &written
            && error.kind() != std::io::ErrorKind::StorageFull
        {
            node.env.halt(&format!("log starts: {error}"));
        }
        for topic in &mut topics {
            for answer in topic.partitions.iter_mut().filter(|answer| answer.error_code == 0) {
                let low = match &written {
                    Ok(()) => everywhere(&node, &topic.name, answer.partition_index, answer.low_watermark, until).await,
                    Err(_) => Err(ResponseError::KafkaStorageError),
                };
                answer.error_code = low.err().map_or(0, |error| error.code());
                answer.low_watermark = low.unwrap_or(-1);
            }
        }
        respond::<DeleteRecordsRequest>(head, &DeleteRecordsResponse::default().with_topics(topics))
    })
}

fn one<E: Env>(node: &Rc<Node<E>>, topic: &str, asked: &DeleteRecordsPartition) -> DeleteRecordsPartitionResult {
    let answer = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
    match trim(node, topic, asked) {
        Ok(low) => answer.with_low_watermark(low),
        Err(error) => answer.with_low_watermark(-1).with_error_code(error.code()),
    }
}

/// Returns from where on records are kept as it was asked, which may be below the log's start.
fn trim<E: Env>(node: &Rc<Node<E>>, topic: &str, asked: &DeleteRecordsPartition) -> Result<Offset, ResponseError> {
    let Some(partition) = node.partition(topic, asked.partition_index) else {
        return Err(node.not_here(topic, asked.partition_index));
    };
    partition.check_leads()?;
    if topic == OFFSETS_TOPIC {
        // Groups that have not said anything for long are at its start.
        return Err(ResponseError::PolicyViolation);
    }
    if node.is_stopping() {
        return Err(ResponseError::NotLeaderOrFollower);
    }
    let high = partition.high();
    let offset = if asked.offset == HIGH_WATERMARK { high } else { asked.offset };
    if offset < 0 || offset > high {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let before = partition.log_start();
    if offset <= before {
        return Ok(offset);
    }
    let trimmed = partition.with_log(|log| log.trim_to(offset)).map_err(|error| error.response())?;
    state_trim(node, &partition, before, &trimmed, true);
    Ok(offset)
}

/// Waits until every replica that is alive begins at `start` or later. Returns where the one begins that has kept most;
/// REQUEST_TIMED_OUT after `until`.
async fn everywhere<E: Env>(
    node: &Node<E>,
    topic: &str,
    number: i32,
    start: Offset,
    until: Mono,
) -> Result<Offset, ResponseError> {
    loop {
        let low = lowest(node, topic, number)?;
        if low >= start {
            return Ok(low);
        }
        if node.env.now() >= until {
            return Err(ResponseError::RequestTimedOut);
        }
        node.env.sleep(LOOKS.min(until.since(node.env.now()))).await;
    }
}

/// Where the replica begins that has kept most, of those that are alive; -1 as long as one has not said so.
fn lowest<E: Env>(node: &Node<E>, topic: &str, number: i32) -> Result<Offset, ResponseError> {
    // Gone since: whether all have it nobody can tell any more.
    let partition = node.partition(topic, number).ok_or(ResponseError::RequestTimedOut)?;
    partition.check_leads()?;
    let own = partition.with_log(|log| Ok(log.log_start())).map_err(|error| error.response())?;
    let image = node.image();
    let replicas = image.partition(&partition.tp).into_iter().flat_map(|state| &state.replicas);
    let alive = |other: &&NodeId| image.broker(**other).is_some_and(|broker| !broker.fenced);
    let others = replicas.filter(|other| **other != node.config.node_id).filter(alive);
    Ok(others.map(|other| partition.begins(*other)).fold(own, Offset::min))
}
