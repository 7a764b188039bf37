//! FindCoordinator (10): which broker coordinates a group: the leader of the partition of `__consumer_offsets` that it
//! belongs to. That topic is made when a group is first looked for.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::OFFSETS_TOPIC;
use crate::ids::TopicPartition;
use crate::node::Node;

/// The first version that asks for several at once (KIP-699).
const FIRST_WITH_MANY: i16 = 4;
/// Key types.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<FindCoordinatorRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        if !node.ready_soon().await {
            return Answer::Close;
        }
        let many = head.version >= FIRST_WITH_MANY;
        let keys = if many { request.coordinator_keys } else { vec![request.key] };
        if request.key_type == GROUP && node.image().topic(OFFSETS_TOPIC).is_none() && !node.is_stopping() {
            node.create_unasked(vec![OFFSETS_TOPIC.to_owned()]).await;
        }
        let mut found: Vec<Coordinator> = keys.into_iter().map(|key| one(&node, request.key_type, key)).collect();
        let response = FindCoordinatorResponse::default();
        let response = match (many, found.pop()) {
            (false, Some(only)) => {
                let message = only.error_message.filter(|_| head.version >= 1);
                let response = response.with_error_code(only.error_code).with_error_message(message);
                response.with_node_id(only.node_id).with_host(only.host).with_port(only.port)
            }
            (_, last) => {
                found.extend(last);
                response.with_coordinators(found)
            }
        };
        respond::<FindCoordinatorRequest>(head, &response)
    })
}

fn one<E: Env>(node: &Node<E>, kind: i8, key: StrBytes) -> Coordinator {
    let answer = match find(node, kind, &key) {
        Ok((id, host, port)) => {
            Coordinator::default().with_node_id(BrokerId(id)).with_host(host).with_port(i32::from(port))
        }
        Err(error) => Coordinator::default()
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(text(&error.to_string()))),
    };
    answer.with_key(key)
}

fn find<E: Env>(node: &Node<E>, kind: i8, key: &StrBytes) -> Result<(i32, StrBytes, u16), ResponseError> {
    match kind {
        GROUP => {}
        // There is no transaction coordinator.
        TRANSACTION => return Err(ResponseError::CoordinatorNotAvailable),
        _ => return Err(ResponseError::InvalidRequest),
    }
    let image = node.image();
    let number = node.offsets_partition(key).ok_or(ResponseError::CoordinatorNotAvailable)?;
    let state = image.partition(&TopicPartition::new(OFFSETS_TOPIC, number));
    let leader = state.and_then(|state| state.leader).and_then(|leader| image.broker(leader));
    let leader = leader.filter(|broker| !broker.fenced).ok_or(ResponseError::CoordinatorNotAvailable)?;
    Ok((leader.node.0, text(&leader.host), leader.port))
}
