//! Brokers come, stay and go: registration, heartbeats, fencing, controlled shutdown (KIP-631; `ClusterControlManager`,
//! `BrokerHeartbeatManager`).

use kafka_protocol::error::ResponseError;

use super::image::BrokerState;
use super::machine::Controller;
use super::partition::PartitionState;
use super::record::MetadataRecord;
use super::request::{Answer, Heartbeat, Registration};
use crate::env::Mono;
use crate::ids::{NodeId, Offset};
use crate::planted::{Defect, planted};

/// Brokers that may register: bounds what the image holds.
pub(crate) const MAX_BROKERS: usize = 10_000;

impl Controller {
    /// A new incarnation of a broker is a new epoch, fenced until it has caught up. What its former one led goes to
    /// others; and unless that one has shut down cleanly, the new one may have less on its disk than was said to be
    /// there, and has to prove itself in sync anew (KIP-966).
    pub(super) fn register(
        &mut self,
        now: Mono,
        end: Offset,
        asked: &Registration,
        records: &mut Vec<MetadataRecord>,
    ) -> Answer {
        let node = asked.node;
        let existing = self.image.broker(node);
        if node.0 < 0 || (existing.is_none() && self.image.brokers().count() >= MAX_BROKERS) {
            return Answer::Refused(ResponseError::PolicyViolation);
        }
        let same = existing.filter(|old| old.incarnation == asked.incarnation);
        if same.is_none() && existing.is_some_and(|old| !old.fenced) && self.sessions.is_alive(node, now) {
            return Answer::Refused(ResponseError::DuplicateBrokerRegistration);
        }
        let clean = existing.is_some_and(|old| asked.previous_epoch == Some(old.epoch));
        let clean = clean || planted(Defect::CtLastReplicaStanding);
        let (epoch, fenced) = same.map_or((end, true), |old| (old.epoch, old.fenced));
        let again = same.is_some();
        let record = MetadataRecord::RegisterBroker {
            node,
            incarnation: asked.incarnation,
            epoch,
            host: asked.host.clone(),
            port: asked.port,
            rack: asked.rack.clone(),
            fenced,
        };
        self.decide(record, records);
        if again {
            self.sessions.touch(node, now, -1);
        } else {
            self.leave(node, clean, records);
            self.sessions.begin(node, now);
        }
        Answer::Registered { epoch }
    }

    pub(super) fn heartbeat(
        &mut self,
        now: Mono,
        end: Offset,
        asked: &Heartbeat,
        records: &mut Vec<MetadataRecord>,
    ) -> Answer {
        let node = asked.node;
        let Some(broker) = self.image.broker(node).filter(|broker| broker.epoch == asked.epoch).cloned() else {
            return Answer::Refused(ResponseError::StaleBrokerEpoch);
        };
        self.sessions.touch(node, now, asked.metadata_offset);
        let caught_up = asked.metadata_offset >= broker.epoch;
        let should_shut_down = match broker.fenced {
            true => {
                if !asked.want_shut_down && !asked.want_fence && caught_up {
                    self.unfence(&broker, records);
                }
                asked.want_shut_down
            }
            false => self.heartbeat_of_unfenced(end, &broker, asked, records),
        };
        let fenced = self.image.broker(node).is_none_or(|broker| broker.fenced);
        Answer::Heartbeat { caught_up, fenced, should_shut_down }
    }

    /// Returns whether it may shut down (`BrokerHeartbeatManager.calculateNextBrokerState`).
    fn heartbeat_of_unfenced(
        &mut self,
        end: Offset,
        broker: &BrokerState,
        asked: &Heartbeat,
        records: &mut Vec<MetadataRecord>,
    ) -> bool {
        let node = broker.node;
        let leaving = broker.shutting_down || asked.want_shut_down;
        if !leaving {
            if asked.want_fence {
                self.fence(node, records);
            }
            return false;
        }
        let at_once = asked.want_fence || (!broker.shutting_down && !self.image.leads(node));
        if !at_once && !broker.shutting_down {
            self.begin_shutdown(end, broker, records);
            return false;
        }
        if at_once || (!self.image.leads(node) && self.sessions.know_of_shutdown(node, &self.image)) {
            self.fence(node, records);
            return true;
        }
        false
    }

    /// A broker's leaders go to others while it still serves, so that clients find them before it is gone. A partition
    /// that has no other stays without a leader until it is back: it is eligible still.
    fn begin_shutdown(&mut self, end: Offset, broker: &BrokerState, records: &mut Vec<MetadataRecord>) {
        let (node, epoch) = (broker.node, broker.epoch);
        self.decide(MetadataRecord::BrokerChange { node, epoch, fenced: None, shutting_down: Some(true) }, records);
        self.leave(node, true, records);
        let last = end.saturating_add(Offset::try_from(records.len()).unwrap_or(Offset::MAX)).saturating_sub(1);
        self.sessions.begin_shutdown(node, last);
    }

    /// A broker leads nothing and is in sync nowhere from now on, until it is unfenced.
    pub(super) fn fence(&mut self, node: NodeId, records: &mut Vec<MetadataRecord>) {
        let Some(epoch) = self.image.broker(node).map(|broker| broker.epoch) else { return };
        self.decide(MetadataRecord::BrokerChange { node, epoch, fenced: Some(true), shutting_down: None }, records);
        if !planted(Defect::CtFencedKeepsLeading) {
            self.leave(node, true, records);
        }
    }

    fn unfence(&mut self, broker: &BrokerState, records: &mut Vec<MetadataRecord>) {
        let (node, epoch) = (broker.node, broker.epoch);
        self.decide(MetadataRecord::BrokerChange { node, epoch, fenced: Some(false), shutting_down: None }, records);
        let waits = |state: &PartitionState| state.leader.is_none() && state.replicas.contains(&node);
        self.redecide(waits, |as_is| as_is, usize::MAX, records);
    }

    /// A broker is forgotten: it is in sync nowhere, and nothing new is placed on it. Partitions keep naming it as their
    /// replica until they are reassigned. One that lives all the same registers anew, and has to prove itself in sync.
    pub(super) fn unregister(&mut self, node: NodeId, records: &mut Vec<MetadataRecord>) -> Answer {
        let Some(epoch) = self.image.broker(node).map(|broker| broker.epoch) else {
            return Answer::Refused(ResponseError::BrokerIdNotRegistered);
        };
        self.decide(MetadataRecord::UnregisterBroker { node, epoch }, records);
        self.sessions.end(node);
        self.leave(node, true, records);
        Answer::Unregistered
    }

    /// Takes an inactive broker out of the in-sync sets. With `clean`, what it has is still there.
    fn leave(&mut self, node: NodeId, clean: bool, records: &mut Vec<MetadataRecord>) {
        if clean {
            let in_sync = |state: &PartitionState| state.in_sync.contains(&node);
            self.redecide(in_sync, |proposal| proposal.without(node), usize::MAX, records);
        } else {
            let trusted = |state: &PartitionState| state.in_sync.contains(&node) || state.elr.contains(&node);
            self.redecide(trusted, |proposal| proposal.lost(node), usize::MAX, records);
        }
    }
}
