//! ConsumerGroupHeartbeat (68): a member of a group of the newer protocol says what it wants and what it owns, and learns
//! what it is to own (KIP-848). Answered when what it changes is committed.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Answer, Call, Started, respond};
use crate::controller::record::{TopicId, text};
use crate::env::Env;
use crate::group::consumer::{Beat, Beaten, Parts, by_topic};
use crate::group::{Answer as Told, Asked};
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// The first version whose clients make their member ids themselves (KIP-1082).
const FIRST_WITH_OWN_ID: i16 = 1;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let (head, client) = (call.head, call.client_id());
    let Some(request) = call.decode::<ConsumerGroupHeartbeatRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let beat = asked(&node, head, client, &request);
        // With the frame that it is a part of, before the wait.
        drop(request);
        let answer = match node.ask_group(Asked::Beat(Box::new(beat))).await {
            Ok(Told::Beaten(beaten)) => told(&node, beaten),
            Ok(Told::No(error)) => refused(error),
            // A group without a name makes no sense here.
            Err(ResponseError::InvalidGroupId) => refused(ResponseError::InvalidRequest),
            Ok(_) => refused(ResponseError::UnknownServerError),
            Err(error) => refused(error),
        };
        respond::<ConsumerGroupHeartbeatRequest>(head, &answer)
    })
}

/// What is kept of the request is copied: it must not hold its frame in memory.
fn asked<E: Env>(
    node: &Node<E>,
    head: RequestHead,
    client_id: StrBytes,
    request: &ConsumerGroupHeartbeatRequest,
) -> Beat {
    let mut member = text(&request.member_id);
    if member.is_empty() && request.member_epoch == 0 && head.version < FIRST_WITH_OWN_ID {
        member = text(&Uuid::from_u64_pair(node.env.draw(), node.env.draw()).to_string());
    }
    let own = |it: &Option<StrBytes>| it.as_deref().map(text);
    let owns = request.topic_partitions.as_ref().map(|all| {
        let numbered = |topic: &Uuid, numbers: &[i32]| -> Parts {
            numbers.iter().map(|number| (TopicId(*topic), *number)).collect()
        };
        all.iter().flat_map(|topic| numbered(&topic.topic_id, &topic.partitions)).collect()
    });
    Beat {
        group: text(&request.group_id),
        member,
        epoch: request.member_epoch,
        instance: own(&request.instance_id),
        rack: own(&request.rack_id),
        client_id,
        client_host: StrBytes::default(),
        rebalance_timeout: Some(request.rebalance_timeout_ms).filter(|ms| *ms >= 0),
        names: request.subscribed_topic_names.as_ref().map(|names| names.iter().map(|name| text(name)).collect()),
        regex: own(&request.subscribed_topic_regex),
        assignor: own(&request.server_assignor),
        owns,
    }
}

fn told<E: Env>(node: &Node<E>, beaten: Beaten) -> ConsumerGroupHeartbeatResponse {
    let part = |(topic, numbers): (TopicId, Vec<i32>)| {
        TopicPartitions::default().with_topic_id(topic.0).with_partitions(numbers)
    };
    let assigned =
        |parts: Parts| Assignment::default().with_topic_partitions(by_topic(&parts).into_iter().map(part).collect());
    let interval = node.config.groups.consumer_heartbeat_interval.as_millis();
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(beaten.member))
        .with_member_epoch(beaten.epoch)
        .with_heartbeat_interval_ms(i32::try_from(interval).unwrap_or(i32::MAX))
        .with_assignment(beaten.assigned.map(assigned))
}

fn refused(error: ResponseError) -> ConsumerGroupHeartbeatResponse {
    let answer = ConsumerGroupHeartbeatResponse::default().with_error_code(error.code());
    answer.with_error_message(Some(text(&error.to_string())))
}
