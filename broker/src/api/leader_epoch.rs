//! OffsetForLeaderEpoch (23): where an epoch ended, so that a client notices a log that was cut (KIP-320).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Answer, Call, Started, respond};
use crate::env::Env;
use crate::ids::{LeaderEpoch, Offset};
use crate::node::Node;
use crate::planted::{Defect, planted};

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<OffsetForLeaderEpochRequest>() else { return Started::Now(Answer::Close) };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| one(node, &topic.topic, asked)).collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions)
    });
    let response = OffsetForLeaderEpochResponse::default().with_topics(topics.collect());
    Started::Now(respond::<OffsetForLeaderEpochRequest>(head, &response))
}

fn one<E: Env>(node: &Node<E>, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(asked.partition);
    match look_up(node, topic, asked) {
        Ok((epoch, end)) => answer.with_leader_epoch(epoch).with_end_offset(end),
        Err(error) => answer.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1),
    }
}

fn look_up<E: Env>(
    node: &Node<E>,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(LeaderEpoch, Offset), ResponseError> {
    let Some(partition) = node.partition(topic, asked.partition) else {
        return Err(node.not_here(topic, asked.partition));
    };
    if planted(Defect::ReEpochOffsetFromNonleader) && partition.check_leads().is_err() {
        return Ok((-1, -1));
    }
    partition.check_leads()?;
    partition.check_epoch(asked.current_leader_epoch)?;
    // The epoch in force goes on: it has ended nowhere before the log does, even if it has no record yet.
    if asked.leader_epoch == partition.epoch() {
        let end = partition.with_log(|log| Ok(log.log_end())).map_err(|error| error.response())?;
        return Ok((asked.leader_epoch, end));
    }
    partition.with_log(|log| Ok(log.end_offset_for_epoch(asked.leader_epoch))).map_err(|error| error.response())
}
