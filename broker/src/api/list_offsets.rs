//! ListOffsets (2): where a log starts and ends, and which offset a point in time has.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Answer, Call, Started, respond};
use crate::env::{Disk, Env};
use crate::ids::{LeaderEpoch, Offset, Timestamp};
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// What clients ask for in place of a timestamp (`ListOffsetsRequest.java`). -4 to -6 are of tiered storage.
const LATEST: Timestamp = -1;
const EARLIEST: Timestamp = -2;
const MAX_TIMESTAMP: Timestamp = -3;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<ListOffsetsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| one(&node, head, &request, &topic.name, asked));
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
        });
        let response = ListOffsetsResponse::default().with_topics(topics.collect());
        // A look-up reads the log.
        node.env.disk().settled().await;
        respond::<ListOffsetsRequest>(head, &response)
    })
}

fn one<E: Env>(
    node: &Node<E>,
    head: RequestHead,
    request: &ListOffsetsRequest,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
    let ((timestamp, offset, epoch), error) = match look_up(node, head, request, topic, asked) {
        Ok(found) => (found, 0),
        Err(error) => ((-1, -1, -1), error.code()),
    };
    let answer = answer.with_timestamp(timestamp).with_offset(offset).with_error_code(error);
    if head.version >= 4 { answer.with_leader_epoch(epoch) } else { answer }
}

fn look_up<E: Env>(
    node: &Node<E>,
    head: RequestHead,
    request: &ListOffsetsRequest,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<(Timestamp, Offset, LeaderEpoch), ResponseError> {
    let Some(partition) = node.partition(topic, asked.partition_index) else {
        return Err(node.not_here(topic, asked.partition_index));
    };
    partition.check_leads()?;
    partition.check_epoch(asked.current_leader_epoch)?;
    // Isolation level 1 is read_committed: nothing at or above the last stable offset is seen.
    let upto = if request.isolation_level == 1 { partition.stable() } else { partition.high() };
    let epoch = partition.epoch();
    let found = match asked.timestamp {
        LATEST if partition.lags() => return Err(lagging(head)),
        LATEST => partition.with_log(|_| Ok((-1, upto, epoch))),
        EARLIEST => partition.with_log(|log| {
            let start = log.log_start();
            let first = log.epochs().entries().iter().rev().find(|(_, begins)| *begins <= start);
            Ok((-1, start, first.map_or(epoch, |(first, _)| *first)))
        }),
        MAX_TIMESTAMP if head.version >= 7 => {
            let found = partition.with_log(|log| log.max_timestamp_offset(upto));
            found.map(|found| found.map_or((-1, -1, -1), |found| (found.timestamp, found.offset, epoch)))
        }
        timestamp if timestamp >= 0 => {
            let found = partition.with_log(|log| log.offset_for_timestamp(timestamp, upto));
            if matches!(found, Ok(None)) && partition.lags() {
                return Err(lagging(head));
            }
            found.map(|found| found.map_or((-1, -1, -1), |found| (found.timestamp, found.offset, epoch)))
        }
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    found.map_err(|error| error.response())
}

/// A new leader does not know yet what consumers have been shown: an answer could send one back (KIP-207).
fn lagging(head: RequestHead) -> ResponseError {
    if head.version >= 5 { ResponseError::OffsetNotAvailable } else { ResponseError::LeaderNotAvailable }
}
