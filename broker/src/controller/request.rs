//! What the controller is asked for, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::image::Topic;
use super::partition::PartitionState;
use super::plan::{Alteration, Denied, NewTopic};
use super::record::{Incarnation, MetadataRecord, TopicId};
use crate::config::{BrokerConfig, LogConfig};
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch};

/// What the controller needs to know of its node's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Defaults for topics.
    pub log: LogConfig,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub replication: i16,
    /// `broker.session.timeout.ms`: a broker silent for longer is fenced.
    pub session_timeout: Duration,
    /// `unclean.leader.election.enable`, for topics that do not say.
    pub unclean: bool,
    /// `unclean.leader.election.interval.ms`: how often it is tried where nobody leads.
    pub unclean_interval: Duration,
    /// `leader.imbalance.check.interval.seconds`: how often preferred leaders are put back, unless
    /// `auto.leader.rebalance.enable` is off.
    pub balance_interval: Option<Duration>,
}

impl Settings {
    /// Those of this node.
    pub fn of(config: &BrokerConfig) -> Self {
        Self {
            log: config.log.clone(),
            num_partitions: config.num_partitions.max(1),
            replication: config.default_replication_factor,
            session_timeout: config.broker_session_timeout,
            unclean: config.unclean_leader_election,
            unclean_interval: config.unclean_leader_election_interval,
            balance_interval: config.auto_leader_rebalance.then_some(config.leader_imbalance_check_interval),
        }
    }
}

/// A request. Each is carried out at once, before the next.
#[derive(Clone, Debug)]
pub enum Request {
    /// A broker has started (BrokerRegistration, KIP-631).
    Register(Registration),
    /// A broker is there still (BrokerHeartbeat, KIP-631).
    Heartbeat(Heartbeat),
    /// A leader would have other in-sync sets (KIP-497).
    AlterPartitions {
        /// Who asks.
        node: NodeId,
        /// Its broker epoch.
        epoch: BrokerEpoch,
        /// For which partitions.
        partitions: Vec<AlterPartition>,
    },
    /// A broker has no producer ids left (KIP-730).
    AllocateProducerIds {
        /// Who asks.
        node: NodeId,
        /// Its broker epoch.
        epoch: BrokerEpoch,
    },
    /// A client would change topics: in order, each wholly or not at all.
    Change {
        /// What.
        changes: Vec<Change>,
        /// Only say what would become of each.
        dry: bool,
    },
    /// A client would have leaders elected (KIP-460).
    ElectLeaders {
        /// Whether a leader that lacks committed records will do; if not, the preferred one is asked for.
        unclean: bool,
        /// Of which topic and partition; `None`: of all.
        partitions: Option<Vec<(String, i32)>>,
    },
    /// A client would have replicas elsewhere (KIP-455).
    AlterReassignments(Vec<Reassignment>),
    /// An operator says that a broker will not come back (UnregisterBroker, KIP-500).
    Unregister(NodeId),
}

/// A broker that has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Which.
    pub node: NodeId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Where clients and brokers find it.
    pub host: String,
    /// And on which port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The broker epoch that it shut down cleanly in, if it did: it was written down last, after all logs were durable
    /// (`PreviousBrokerEpoch`, KIP-966).
    pub previous_epoch: Option<BrokerEpoch>,
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Of which broker.
    pub node: NodeId,
    /// And which start of it.
    pub epoch: BrokerEpoch,
    /// The last offset of the metadata log that it has made its own.
    pub metadata_offset: Offset,
    /// Whether it would be fenced.
    pub want_fence: bool,
    /// Whether it would shut down.
    pub want_shut_down: bool,
}

/// An in-sync set that a leader asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    /// Of which topic.
    pub topic: TopicId,
    /// Its number.
    pub partition: i32,
    /// In which epoch it leads.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that it knows of.
    pub partition_epoch: PartitionEpoch,
    /// The set, each with its broker epoch as the leader knows it (-1: does not; KIP-903).
    pub in_sync: Vec<(NodeId, BrokerEpoch)>,
}

/// Where replicas are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// Of which topic.
    pub topic: String,
    /// And partition.
    pub partition: i32,
    /// Where; `None`: where they were before the reassignment under way.
    pub replicas: Option<Vec<NodeId>>,
    /// Whether there must be as many as now (KIP-860).
    pub same_count: bool,
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

/// How a change ended: the topic it was about, as it is now (as it was, if it is gone).
pub type Changed = Result<Topic, Denied>;

/// What was decided.
///
/// Even without records the answer may rest on decisions that are not committed yet: it is to be held back until all
/// that was appended before is (Kafka's controller does the same).
#[derive(Clone, Debug)]
pub struct Decision {
    /// The records that make it so: one batch.
    pub records: Vec<MetadataRecord>,
    /// The answer, once they are committed.
    pub answer: Answer,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The broker is registered, fenced until it has caught up.
    Registered {
        /// Its broker epoch.
        epoch: BrokerEpoch,
    },
    /// The sign of life was heard.
    Heartbeat {
        /// Whether the broker knows of its own registration.
        caught_up: bool,
        /// Whether it is fenced.
        fenced: bool,
        /// Whether it may go: it leads nothing, and others know.
        should_shut_down: bool,
    },
    /// For each partition its state now, or why not.
    AlterPartitions(Vec<Result<PartitionState, ResponseError>>),
    /// `count` producer ids from `first` on are the broker's.
    ProducerIds {
        /// The first.
        first: i64,
        /// How many.
        count: i32,
    },
    /// How each change ended.
    Changed(Vec<Changed>),
    /// How each election ended; if all partitions were asked for, without those that needed none.
    ElectLeaders(Vec<ElectionOutcome>),
    /// How each reassignment began.
    Reassigned(Vec<Result<(), Denied>>),
    /// The broker is forgotten.
    Unregistered,
    /// None of it: the whole request's error.
    Refused(ResponseError),
}

/// How an election that was asked for ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionOutcome {
    /// Of which topic.
    pub topic: String,
    /// And partition.
    pub partition: i32,
    /// Elected, or why not.
    pub outcome: Result<(), Denied>,
}
