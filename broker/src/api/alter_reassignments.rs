//! AlterPartitionReassignments (45): has replicas moved to other brokers, or a move taken back (KIP-455, KIP-860).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::plan::{Denied, code_and_message};
use crate::controller::request::{self, Reassignment, Request};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<AlterPartitionReassignmentsRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let mut response = AlterPartitionReassignmentsResponse::default().with_error_message(None);
        if head.version >= 1 {
            response = response.with_allow_replication_factor_change(asked.allow_replication_factor_change);
        }
        let response = match node.raft.decide(Request::AlterReassignments(wanted(&asked))).await {
            Ok(request::Answer::Reassigned(ends)) => response.with_responses(results(&asked, ends)),
            Ok(_) => response.with_error_code(ResponseError::UnknownServerError.code()),
            Err(ResponseError::NotController) => return Answer::Disowned,
            Err(error) => response.with_error_code(error.code()),
        };
        respond::<AlterPartitionReassignmentsRequest>(head, &response)
    })
}

fn wanted(asked: &AlterPartitionReassignmentsRequest) -> Vec<Reassignment> {
    let all = asked.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |part| (topic, part)));
    let one = all.map(|(topic, part)| Reassignment {
        topic: topic.name.to_string(),
        partition: part.partition_index,
        replicas: part.replicas.as_ref().map(|on| on.iter().map(|broker| NodeId(broker.0)).collect()),
        same_count: !asked.allow_replication_factor_change,
    });
    one.collect()
}

fn results(
    asked: &AlterPartitionReassignmentsRequest,
    ends: Vec<Result<(), Denied>>,
) -> Vec<ReassignableTopicResponse> {
    let mut ends = ends.into_iter();
    let topics = asked.topics.iter().map(|topic| {
        let parts = topic.partitions.iter().zip(&mut ends).map(|(part, end)| {
            let (code, message) = code_and_message(&end);
            ReassignablePartitionResponse::default()
                .with_partition_index(part.partition_index)
                .with_error_code(code)
                .with_error_message(message)
        });
        ReassignableTopicResponse::default().with_name(topic.name.clone()).with_partitions(parts.collect())
    });
    topics.collect()
}
