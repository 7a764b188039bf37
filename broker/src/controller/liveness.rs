//! Which brokers live: registrations, heartbeats, sessions, fencing, and leaving in order (KIP-500, KIP-631).

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::image::Image;
use super::record::MetadataRecord;
use super::{Answer, Controller, Request};
use crate::env::Mono;
use crate::ids::{NodeId, Offset};

/// Until when each broker that is not fenced is believed alive.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    timeout: Duration,
    until: BTreeMap<NodeId, Mono>,
}

impl Sessions {
    pub(super) fn new(image: &Image, timeout: Duration, now: Mono) -> Self {
        let alive = image.brokers().filter(|broker| !broker.fenced);
        Self { timeout, until: alive.map(|broker| (broker.node, now.after(timeout))).collect() }
    }

    fn touch(&mut self, node: NodeId, now: Mono) {
        self.until.insert(node, now.after(self.timeout));
    }

    fn lives(&self, node: NodeId, now: Mono) -> bool {
        self.until.get(&node).is_some_and(|until| *until > now)
    }

    fn end(&mut self, node: NodeId) {
        self.until.remove(&node);
    }

    /// A broker whose session is over; it has none any more.
    pub(super) fn over(&mut self, now: Mono) -> Option<NodeId> {
        let node = self.until.iter().filter(|(_, until)| **until <= now).min_by_key(|(_, until)| **until)?.0;
        let node = *node;
        self.end(node);
        Some(node)
    }

    pub(super) fn next(&self) -> Option<Mono> {
        self.until.values().min().copied()
    }
}

impl Controller {
    /// A process joins. Another one of the same id that still lives is not pushed out by it.
    pub(super) fn register(
        &mut self,
        now: Mono,
        end: Offset,
        request: &Request,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<Answer, ResponseError> {
        let Request::Register { node, incarnation, host, port, rack, .. } = request else {
            return Err(ResponseError::UnknownServerError);
        };
        if let Some(known) = self.image.broker(*node) {
            if known.incarnation == *incarnation {
                return Ok(Answer::Registered { epoch: known.epoch });
            }
            // One that listens where the last one did has taken its place.
            let same_place = known.host == *host && known.port == *port;
            if !same_place && !known.fenced && !known.shutting_down && self.sessions.lives(*node, now) {
                return Err(ResponseError::DuplicateBrokerRegistration);
            }
        }
        self.fence(*node, records);
        // The record before it may have fenced the last process, so that this one's offset is later by as many.
        let epoch = end + Offset::try_from(records.len()).unwrap_or(0);
        let (host, rack) = (host.clone(), rack.clone());
        let joined =
            MetadataRecord::RegisterBroker { node: *node, incarnation: *incarnation, epoch, host, port: *port, rack };
        self.put(joined, records);
        Ok(Answer::Registered { epoch })
    }

    /// A broker is alive. It may lead once it has all metadata up to its own registration; it may shut down once it
    /// leads nothing that another could.
    pub(super) fn heartbeat(
        &mut self,
        now: Mono,
        request: &Request,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<Answer, ResponseError> {
        let Request::Heartbeat { node, epoch, metadata_offset, want_fence, want_shutdown } = request else {
            return Err(ResponseError::UnknownServerError);
        };
        self.check_epoch(*node, *epoch)?;
        let Some(broker) = self.image.broker(*node).cloned() else { return Err(ResponseError::StaleBrokerEpoch) };
        let caught_up = *metadata_offset > broker.epoch;
        if *want_shutdown {
            return Ok(self.leave(*node, caught_up, records));
        }
        if *want_fence {
            self.fence(*node, records);
        } else if broker.fenced && caught_up {
            let unfenced =
                MetadataRecord::BrokerChange { node: *node, epoch: *epoch, fenced: Some(false), shutting_down: None };
            self.put(unfenced, records);
            self.elect_where_none_leads(records);
        }
        let fenced = self.image.broker(*node).is_none_or(|broker| broker.fenced);
        if !fenced {
            self.sessions.touch(*node, now);
        }
        Ok(Answer::Heartbeat { caught_up, fenced, shut_down: false })
    }

    fn leave(&mut self, node: NodeId, caught_up: bool, records: &mut Vec<MetadataRecord>) -> Answer {
        let Some(broker) = self.image.broker(node).cloned() else {
            return Answer::Heartbeat { caught_up, fenced: true, shut_down: true };
        };
        if !broker.shutting_down && !broker.fenced {
            let leaving = MetadataRecord::BrokerChange {
                node,
                epoch: broker.epoch,
                fenced: None,
                shutting_down: Some(true),
            };
            self.put(leaving, records);
        }
        // What it still leads then has no other to lead it: waiting would not help.
        self.fence(node, records);
        Answer::Heartbeat { caught_up, fenced: true, shut_down: true }
    }

    /// A broker may not lead any more: others lead what it led, and it is in no in-sync set but those it is the last of.
    pub(super) fn fence(&mut self, node: NodeId, records: &mut Vec<MetadataRecord>) {
        self.sessions.end(node);
        let Some(broker) = self.image.broker(node).cloned() else { return };
        if !broker.fenced {
            let fenced =
                MetadataRecord::BrokerChange { node, epoch: broker.epoch, fenced: Some(true), shutting_down: None };
            self.put(fenced, records);
        }
        self.hand_over(node, records);
    }
}
