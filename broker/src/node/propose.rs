//! A leader's proposals of another in-sync set, on their way to the controller.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::Node;
use super::partition::Partition;
use crate::controller::request::{AlterPartition, Answer, Request};
use crate::env::Env;
use crate::replica::in_sync::Proposal;
use crate::replica::leader::{Input, Undecided};

/// Before a proposal whose fate is not known is made again.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks the controller, and tells the leader what it says, if that still leads in the same epoch.
pub(super) fn send<E: Env>(node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, proposal: Proposal) {
    let (node, partition) = (node.clone(), partition.clone());
    node.env.clone().spawn("proposal", async move {
        let change = AlterPartition {
            topic: partition.topic,
            partition: partition.tp.partition,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            in_sync: stamped(&node, &proposal),
        };
        let (me, epoch) = (node.config.node_id, node.broker_epoch());
        let answer = node.ask_controller(Request::AlterPartitions { node: me, epoch, partitions: vec![change] }).await;
        let altered = match answer {
            Ok(Answer::AlterPartitions(mut ends)) => ends.pop().unwrap_or(Err(ResponseError::UnknownServerError)),
            Ok(_) => Err(ResponseError::UnknownServerError),
            Err(error) => Err(error),
        };
        let why = match altered {
            Err(ResponseError::IneligibleReplica) => Undecided::Refused,
            // It is carried out, or something else was before: committed metadata will tell what it is now.
            Ok(_)
            | Err(
                ResponseError::InvalidUpdateVersion
                | ResponseError::FencedLeaderEpoch
                | ResponseError::InvalidRequest
                | ResponseError::UnknownTopicId
                | ResponseError::UnknownTopicOrPartition
                | ResponseError::NewLeaderElected,
            ) => return,
            _ => {
                node.env.sleep(PAUSE).await;
                Undecided::Lost
            }
        };
        let current = partition.check_leads().is_ok() && partition.epoch() == proposal.leader_epoch;
        if current && !node.is_stopping() {
            partition.step(&node, Input::NotAltered { asked: proposal.partition_epoch, why });
        }
    });
}

/// The proposer is in sync by its own registration.
fn stamped<E: Env>(node: &Node<E>, proposal: &Proposal) -> Vec<(crate::ids::NodeId, i64)> {
    let own = |member| if member == node.config.node_id { node.broker_epoch() } else { -1 };
    let members = proposal.members.iter().copied();
    members.map(|(member, epoch)| (member, if epoch == -1 { own(member) } else { epoch })).collect()
}
