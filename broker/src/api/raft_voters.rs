//! AddRaftVoter (80) and RemoveRaftVoter (81): who votes on metadata changes, by one at a time (KIP-853).

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::plan::{Denied, code_and_message, denied};
use crate::controller::record::Voter;
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;
use crate::quorum::{Body, Refused, Request};

/// How long a change may take if the request does not say.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before a change is tried again that could not be made yet.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn add<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<AddRaftVoterRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let end = match candidate(&node, &asked) {
            Ok(voter) => {
                let patience = Duration::from_millis(u64::try_from(asked.timeout_ms).unwrap_or(0));
                change(&node, &Request::AddVoter(voter.node), Some(&voter), patience).await
            }
            Err(denied) => Err(denied),
        };
        let (code, message) = code_and_message(&end);
        let response = AddRaftVoterResponse::default().with_error_code(code).with_error_message(message);
        respond::<AddRaftVoterRequest>(head, &response)
    })
}

pub(super) fn remove<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<RemoveRaftVoterRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let end = match check_cluster(&node, asked.cluster_id.as_ref()) {
            Ok(()) => change(&node, &Request::RemoveVoter(NodeId(asked.voter_id)), None, PATIENCE).await,
            Err(denied) => Err(denied),
        };
        let (code, message) = code_and_message(&end);
        let response = RemoveRaftVoterResponse::default().with_error_code(code).with_error_message(message);
        respond::<RemoveRaftVoterRequest>(head, &response)
    })
}

fn check_cluster<E: Env>(node: &Node<E>, id: Option<&StrBytes>) -> Result<(), Denied> {
    match node.is_other_cluster(id) {
        true => denied(ResponseError::InconsistentClusterId, format!("This is cluster {}.", node.config.cluster_id)),
        false => Ok(()),
    }
}

fn candidate<E: Env>(node: &Node<E>, asked: &AddRaftVoterRequest) -> Result<Voter, Denied> {
    check_cluster(node, asked.cluster_id.as_ref())?;
    let invalid = |why: &str| denied(ResponseError::InvalidRequest, why);
    match asked.listeners.first() {
        _ if asked.voter_id < 0 => invalid("A voter's id is at least 0."),
        Some(listener) if !listener.host.is_empty() && listener.port > 0 => {
            let address = format!("{}:{}", &*listener.host, listener.port);
            Ok(Voter { node: NodeId(asked.voter_id), address })
        }
        _ => invalid("The new voter has no listener."),
    }
}

/// Has the quorum change its voters. One that has to catch up first, or to wait for another change, is given until the
/// patience ends.
async fn change<E: Env>(
    node: &Node<E>,
    request: &Request,
    candidate: Option<&Voter>,
    patience: Duration,
) -> Result<(), Denied> {
    let deadline = node.env.now().after(patience);
    loop {
        let left = deadline.since(node.env.now());
        let asked = node.raft.change_voters(request.clone(), candidate.cloned());
        let Some(answer) = node.env.timeout(left, asked).await else {
            return denied(ResponseError::RequestTimedOut, "It was not committed in time.");
        };
        let Some(Body::Voters(end)) = answer.map(|answer| answer.body) else {
            return denied(ResponseError::NotController, "The node is stopping.");
        };
        let (error, why) = match end {
            Ok(()) => return Ok(()),
            Err(Refused::NotLeader) => (ResponseError::NotLeaderOrFollower, "This node leads the quorum no more."),
            Err(Refused::Duplicate) => (ResponseError::DuplicateVoter, "It is a voter already."),
            Err(Refused::NotFound) => (ResponseError::VoterNotFound, "It is no voter, or the only one."),
            Err(Refused::Busy) => (ResponseError::RequestTimedOut, "Another change is not committed yet."),
            Err(Refused::Behind) => (ResponseError::RequestTimedOut, "It has not caught up with the leader."),
        };
        let left = deadline.since(node.env.now());
        if error != ResponseError::RequestTimedOut || left.is_zero() {
            return denied(error, why);
        }
        node.env.sleep(PAUSE.min(left)).await;
    }
}
