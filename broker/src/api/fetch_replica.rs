//! What a leader asks of a follower's fetch, and learns from it: the follower is a replica, the process it claims to be,
//! its log is a part of the leader's, and it has everything below the offset it asks for (KIP-595, KIP-903).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchPartition;

use crate::env::Env;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset};
use crate::node::Node;
use crate::node::partition::Partition;
use crate::replica::leader::Input;
use crate::wire::guard::RequestHead;

/// The first version in which followers tell their registration (KIP-903). Those of this house speak it.
const FIRST: i16 = 15;

/// A follower that fetches.
pub(super) struct Replica {
    /// Who.
    pub node: NodeId,
    /// Its registration.
    epoch: BrokerEpoch,
    /// Whether it may be in sync: that registration is in force, not fenced, and not about to end (KIP-841).
    eligible: bool,
}

impl Replica {
    /// Who sends this request, unless it is a consumer.
    pub fn of<E: Env>(node: &Node<E>, head: RequestHead, request: &FetchRequest) -> Option<Self> {
        let state = &request.replica_state;
        if head.version < FIRST || state.replica_id.0 < 0 {
            return None;
        }
        let (replica, epoch) = (NodeId(state.replica_id.0), state.replica_epoch);
        let image = node.image();
        let eligible = image.broker(replica).is_some_and(|broker| broker.is_active() && broker.epoch == epoch);
        Some(Self { node: replica, epoch, eligible })
    }

    /// Whether it may fetch that partition.
    pub fn check<E: Env>(&self, node: &Node<E>, partition: &Partition<E>) -> Result<(), ResponseError> {
        let image = node.image();
        if !image.partition(&partition.tp).is_some_and(|state| state.replicas.contains(&self.node)) {
            // One of the two does not know yet where the replicas are.
            return Err(ResponseError::UnknownLeaderEpoch);
        }
        // A process that was replaced by another since says nothing of what that one has (KIP-903).
        let replaced = image.broker(self.node).is_some_and(|broker| self.epoch < broker.epoch);
        if replaced { Err(ResponseError::StaleBrokerEpoch) } else { Ok(()) }
    }

    /// Where its log parts from the leader's: it has an epoch that ended earlier here, or never was here.
    pub fn diverging<E: Env>(
        &self,
        partition: &Partition<E>,
        asked: &FetchPartition,
    ) -> Option<(LeaderEpoch, Offset)> {
        let last = asked.last_fetched_epoch;
        if last < 0 {
            return None;
        }
        let (epoch, end) = partition.with_log(|log| Ok(log.end_at_most(last))).ok()?;
        (epoch < last || end < asked.fetch_offset).then_some((epoch, end))
    }

    /// Tells the leader how far the follower is. One whose log parts from the leader's is nowhere (KAFKA-13141), and so
    /// is one that asks for what is not there.
    pub fn note_position<E: Env>(&self, node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, asked: &FetchPartition) {
        let offset = asked.fetch_offset;
        let known = partition.check_epoch(asked.current_leader_epoch).and_then(|()| self.check(node, partition));
        let within = partition.with_log(|log| Ok((log.log_start()..=log.log_end()).contains(&offset)));
        if known.is_ok() && matches!(within, Ok(true)) && self.diverging(partition, asked).is_none() {
            let (follower, epoch, eligible) = (self.node, self.epoch, self.eligible);
            partition.step(node, Input::Fetched { follower, epoch, offset, eligible });
        }
    }
}
