//! What the controller is asked, and what it answers.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::image::Topic;
use super::plan::{Alteration, Denied, NewTopic};
use super::record::{MetadataRecord, TopicId};
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch};

/// What it is asked.
#[derive(Clone, Debug)]
pub enum Request {
    /// A broker's process joins (KIP-631).
    Register {
        /// Its id.
        node: NodeId,
        /// Tells it from other processes with that id.
        incarnation: Uuid,
        /// Where it listens.
        host: String,
        /// And on which port.
        port: u16,
        /// Its rack.
        rack: Option<String>,
        /// The registration that ended with its last clean shutdown; -1 if it did not end so (KIP-966).
        previous: BrokerEpoch,
    },
    /// It is alive.
    Heartbeat {
        /// Which.
        node: NodeId,
        /// Of which registration.
        epoch: BrokerEpoch,
        /// Up to where it has the committed metadata.
        metadata_offset: Offset,
        /// It does not want to lead.
        want_fence: bool,
        /// It wants to shut down.
        want_shutdown: bool,
    },
    /// A leader proposes another in-sync set (KIP-497).
    AlterPartition {
        /// The leader.
        node: NodeId,
        /// Of which registration.
        epoch: BrokerEpoch,
        /// Of which topic.
        topic: TopicId,
        /// Which partition.
        partition: i32,
        /// The epoch it leads in.
        leader_epoch: LeaderEpoch,
        /// The state it knows.
        partition_epoch: PartitionEpoch,
        /// Who is to be in sync, each with the registration it fetched under; -1: not known (KIP-903).
        in_sync: Vec<(NodeId, BrokerEpoch)>,
    },
    /// A broker wants producer ids to hand out (KIP-730).
    AllocateProducerIds {
        /// Which.
        node: NodeId,
        /// Of which registration.
        epoch: BrokerEpoch,
    },
    /// Clients' changes, carried out in order, each wholly or not at all.
    Change {
        /// The changes.
        changes: Vec<Change>,
        /// Only say what would become of each.
        dry: bool,
    },
}

/// A change to the cluster that a client wants.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new topic.
    Create(NewTopic),
    /// A topic less, by name.
    Delete(Arc<str>),
    /// More partitions: topic, count in all, and on which brokers the new ones are to be.
    Grow(String, i32, Option<Vec<Vec<i32>>>),
    /// Other settings of a topic.
    Alter(String, Vec<(String, Alteration)>),
}

/// A partition's state, as its leader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// Who leads.
    pub leader: Option<NodeId>,
    /// In which epoch.
    pub leader_epoch: LeaderEpoch,
    /// Who is in sync.
    pub in_sync: Vec<NodeId>,
    /// Counts its states.
    pub partition_epoch: PartitionEpoch,
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The broker has joined.
    Registered {
        /// Its registration.
        epoch: BrokerEpoch,
    },
    /// How the broker stands.
    Heartbeat {
        /// It has all metadata that concerns it.
        caught_up: bool,
        /// It may not lead.
        fenced: bool,
        /// It may shut down now.
        shut_down: bool,
    },
    /// The in-sync set is this now.
    Altered(Altered),
    /// These ids are the broker's.
    ProducerIds {
        /// The first.
        first: i64,
        /// How many.
        count: i32,
    },
    /// How each change ended: the topic it was about, as it is now (as it was, if it is gone).
    Changed(Vec<Result<Topic, Denied>>),
}

/// What is decided: records to append as one batch, and the answer for when they are committed.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The records.
    pub records: Vec<MetadataRecord>,
    /// The answer.
    pub answer: Result<Answer, ResponseError>,
}
