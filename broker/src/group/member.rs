//! One member of a group, as its coordinator knows it.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::request::Ticket;
use crate::env::Mono;

/// A protocol that a member can, and what it says of itself in it.
pub type Protocol = (StrBytes, Bytes);

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id, given by the coordinator.
    pub id: StrBytes,
    /// `group.instance.id` of a static one (KIP-345).
    pub instance: Option<StrBytes>,
    /// `client.id`.
    pub client_id: StrBytes,
    /// From where it speaks.
    pub client_host: StrBytes,
    /// How long others wait for it in a rebalance (`max.poll.interval.ms`, KIP-62).
    pub rebalance_timeout: Duration,
    /// How long it may be silent.
    pub session_timeout: Duration,
    /// What it can, best first.
    pub protocols: Vec<Protocol>,
    /// What it was assigned.
    pub assignment: Bytes,
    /// Until when it must be heard of; `None` while a request of its waits, which is sign enough.
    pub(super) expires: Option<Mono>,
    /// Its JoinGroup that waits.
    pub(super) joins: Option<Ticket>,
    /// Its SyncGroup that waits.
    pub(super) syncs: Option<Ticket>,
    /// It has not sent SyncGroup in this generation.
    pub(super) owes_sync: bool,
}

impl Member {
    /// One that waits for nothing.
    pub fn new(
        id: StrBytes,
        instance: Option<StrBytes>,
        client_id: StrBytes,
        client_host: StrBytes,
        session_timeout: Duration,
    ) -> Self {
        Self { id, instance, client_id, client_host, session_timeout, ..Self::default() }
    }

    /// What it says of itself in that protocol.
    pub fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|(name, _)| **name == *protocol).map(|(_, metadata)| metadata)
    }

    /// Whether it can that protocol.
    pub fn can(&self, protocol: &str) -> bool {
        self.metadata(protocol).is_some()
    }

    /// It has been heard of.
    pub(super) fn heard(&mut self, now: Mono) {
        self.expires = Some(now.after(self.session_timeout));
    }
}
