//! A leader's proposals of another in-sync set, on their way to the controller and back.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::Node;
use super::partition::Partition;
use crate::controller::{Altered, Answer, Request};
use crate::env::Env;
use crate::replica::in_sync::Proposal;
use crate::replica::leader::{Input, Undecided};

/// Before a proposal whose fate is not known is made again.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks the controller, and tells the leader what it says, if that still leads in the same epoch.
pub(super) fn send<E: Env>(node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, proposal: Proposal) {
    let (node, partition) = (node.clone(), partition.clone());
    node.env.clone().spawn("proposal", async move {
        let request = Request::AlterPartition {
            node: node.config.node_id,
            epoch: node.broker_epoch(),
            topic: partition.topic,
            partition: partition.tp.partition,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            in_sync: stamped(&node, &proposal),
        };
        let asked = proposal.partition_epoch;
        let input = match node.ask_controller(request).await {
            Ok(Answer::Altered(Altered { in_sync, partition_epoch, leader_epoch, .. }))
                if leader_epoch == proposal.leader_epoch =>
            {
                Input::Altered { asked, partition_epoch, in_sync }
            }
            Err(ResponseError::IneligibleReplica) => Input::NotAltered { asked, why: Undecided::Refused },
            // By committed metadata it will be learned what it is now.
            Ok(Answer::Altered(_))
            | Err(
                ResponseError::InvalidUpdateVersion
                | ResponseError::FencedLeaderEpoch
                | ResponseError::InvalidRequest
                | ResponseError::UnknownTopicId
                | ResponseError::UnknownTopicOrPartition
                | ResponseError::NewLeaderElected,
            ) => Input::NotAltered { asked, why: Undecided::Overtaken },
            _ => {
                node.env.sleep(PAUSE).await;
                Input::NotAltered { asked, why: Undecided::Lost }
            }
        };
        let current = partition.check_leads().is_ok() && partition.epoch() == proposal.leader_epoch;
        if current && !node.is_stopping() {
            partition.step(&node, input);
        }
    });
}

/// The proposer is in sync by its own registration.
fn stamped<E: Env>(node: &Node<E>, proposal: &Proposal) -> Vec<(crate::ids::NodeId, i64)> {
    let own = |member| if member == node.config.node_id { node.broker_epoch() } else { -1 };
    let members = proposal.members.iter().copied();
    members.map(|(member, epoch)| (member, if epoch == -1 { own(member) } else { epoch })).collect()
}
