//! ElectLeaders (43): has preferred leaders put back, or anyone elected where nobody leads (KIP-183, KIP-460).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::{Answer, Call, Started, respond};
use crate::controller::plan::code_and_message;
use crate::controller::record::text;
use crate::controller::request::{self, ElectionOutcome, Request};
use crate::env::Env;
use crate::node::Node;

/// `ElectionType`: the first replica, if it has all that is committed.
const PREFERRED: i8 = 0;
/// `ElectionType`: any that is alive, where nobody leads.
const UNCLEAN: i8 = 1;
/// The first version with an error for the whole request; before it, preferred leaders are all there is.
const FIRST_WITH_ERROR: i16 = 1;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<ElectLeadersRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let answer = match elect(&node, &asked).await {
            Ok(outcomes) => ElectLeadersResponse::default().with_replica_election_results(results(&outcomes)),
            Err(ResponseError::NotController) => return Answer::Disowned,
            Err(error) if head.version >= FIRST_WITH_ERROR => {
                ElectLeadersResponse::default().with_error_code(error.code())
            }
            Err(error) => ElectLeadersResponse::default().with_replica_election_results(refused(&asked, error)),
        };
        respond::<ElectLeadersRequest>(head, &answer)
    })
}

async fn elect<E: Env>(node: &Node<E>, asked: &ElectLeadersRequest) -> Result<Vec<ElectionOutcome>, ResponseError> {
    if ![PREFERRED, UNCLEAN].contains(&asked.election_type) {
        return Err(ResponseError::InvalidRequest);
    }
    let partitions = asked.topic_partitions.as_ref().map(|topics| pairs(topics).collect());
    match node.raft.decide(Request::ElectLeaders { unclean: asked.election_type == UNCLEAN, partitions }).await? {
        request::Answer::ElectLeaders(outcomes) => Ok(outcomes),
        _ => Err(ResponseError::UnknownServerError),
    }
}

fn pairs(topics: &[TopicPartitions]) -> impl Iterator<Item = (String, i32)> {
    topics.iter().flat_map(|one| one.partitions.iter().map(|number| (one.topic.to_string(), *number)))
}

/// One entry for each topic, in the order in which they come.
fn results(outcomes: &[ElectionOutcome]) -> Vec<ReplicaElectionResult> {
    let result = |outcome: &ElectionOutcome| {
        let (code, message) = code_and_message(&outcome.outcome);
        PartitionResult::default()
            .with_partition_id(outcome.partition)
            .with_error_code(code)
            .with_error_message(message)
    };
    let by_topic = outcomes.chunk_by(|one, next| one.topic == next.topic);
    let topic = |of: &[ElectionOutcome]| {
        ReplicaElectionResult::default()
            .with_topic(TopicName(text(&of[0].topic)))
            .with_partition_result(of.iter().map(result).collect())
    };
    by_topic.map(topic).collect()
}

fn refused(asked: &ElectLeadersRequest, error: ResponseError) -> Vec<ReplicaElectionResult> {
    let topics = asked.topic_partitions.iter().flatten();
    let result = |number: &i32| {
        PartitionResult::default().with_partition_id(*number).with_error_code(error.code()).with_error_message(None)
    };
    let topic = |one: &TopicPartitions| {
        ReplicaElectionResult::default()
            .with_topic(one.topic.clone())
            .with_partition_result(one.partitions.iter().map(result).collect())
    };
    topics.map(topic).collect()
}
