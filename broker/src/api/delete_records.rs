//! DeleteRecords (21): moves the start of logs. Answered once the new start is written down.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Answer, Call, Started, respond};
use crate::env::Env;
use crate::group::OFFSETS_TOPIC;
use crate::ids::Offset;
use crate::node::Node;
use crate::node::checkpoints::{state_trim, write_starts};

/// Stands for the high watermark.
const HIGH_WATERMARK: Offset = -1;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DeleteRecordsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
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
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if written.is_err() && partition.error_code == 0 {
                partition.error_code = ResponseError::KafkaStorageError.code();
                partition.low_watermark = -1;
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
        return Ok(before);
    }
    let trimmed = partition.with_log(|log| log.trim_to(offset)).map_err(|error| error.response())?;
    state_trim(node, &partition, before, &trimmed, true);
    Ok(trimmed.log_start)
}
