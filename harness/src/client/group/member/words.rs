//! What goes into the membership machine and what comes out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use broker::ids::TopicPartition;
use bytes::Bytes;

use super::super::assign::{Assignor, Partitions};
use crate::client::backoff::Backoff;

/// How a member behaves. The comments name Kafka's settings.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `group.instance.id`: makes the member static (KIP-345).
    pub instance: Option<Arc<str>>,
    /// `partition.assignment.strategy`, the best first. It is cooperative only if all of them are.
    pub assignors: Vec<Assignor>,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`; the rebalance timeout too.
    pub max_poll_interval: Duration,
    /// `retry.backoff.ms` and its maximum.
    pub retry: Backoff,
}

impl Rules {
    /// Whether the broker shares out (KIP-848).
    pub fn is_brokers(&self) -> bool {
        self.assignors == [Assignor::Brokers]
    }

    /// Whether members keep their partitions through a rebalance.
    pub fn is_cooperative(&self) -> bool {
        !self.assignors.is_empty() && self.assignors.iter().all(|assignor| assignor.is_cooperative())
    }
}

/// Pairs an answer with what it answers; an answer to anything but the newest question is stale.
pub type Ticket = u64;

/// What happens to a member.
#[derive(Clone, Debug)]
pub enum Input {
    /// The application wants these topics, and no others.
    Subscribe(BTreeSet<Arc<str>>),
    /// The application polls: it is alive.
    Polled,
    /// The application has given up what [`Effect::Revoke`] named.
    GivenUp(Ticket),
    /// Time has passed.
    Tick,
    /// What came of a question.
    Answer(Ticket, Answer),
    /// A commit in `generation` was refused with this code.
    CommitRefused {
        /// The generation it stated.
        generation: i32,
        /// Kafka's code.
        code: i16,
    },
    /// What the leader's plan was made from has changed, perhaps.
    Partitions(Partitions),
    /// The application is done with the group: it has given up everything.
    Leave,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// No answer, and there will be none.
    Failed,
    /// FindCoordinator: Kafka's code; 0 if there is one now.
    Found(i16),
    /// JoinGroup.
    Joined(Box<Joined>),
    /// SyncGroup: Kafka's code, and the assignment.
    Synced(i16, Bytes),
    /// Heartbeat: Kafka's code.
    Beat(i16),
    /// ConsumerGroupHeartbeat: what it tells, or Kafka's code.
    Beaten(Result<Beaten, i16>),
    /// How many partitions the topics have.
    Partitions(Partitions),
}

/// ConsumerGroupHeartbeat's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beaten {
    /// The epoch the member is in from now on.
    pub epoch: i32,
    /// When to beat next.
    pub interval: Duration,
    /// What it is to own, if that is new to it.
    pub assigned: Option<BTreeSet<TopicPartition>>,
    /// Whether all of that is known here by name.
    pub whole: bool,
}

/// What a heartbeat says where the broker shares out; what is `None` is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// Who.
    pub member_id: Arc<str>,
    /// In which epoch; 0: it enters.
    pub epoch: i32,
    /// What it wants to read.
    pub topics: Option<BTreeSet<Arc<str>>>,
    /// What it owns.
    pub owned: Option<BTreeSet<TopicPartition>>,
}

/// JoinGroup's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Kafka's code.
    pub code: i16,
    /// The generation that begins.
    pub generation: i32,
    /// The name of the assignor that all members know.
    pub protocol: String,
    /// The member id of the leader.
    pub leader: String,
    /// The member id of the one who asked.
    pub member_id: String,
    /// True if the leader is to leave the assignment as it is (KIP-814).
    pub skip_assignment: bool,
    /// For the leader: who is in.
    pub members: Vec<Told>,
}

/// A member as the coordinator tells the leader of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// `group.instance.id`.
    pub instance: Option<String>,
    /// What it told: a subscription.
    pub metadata: Bytes,
}

/// What a member wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask who coordinates the group.
    Find(Ticket),
    /// Whoever coordinated the group does not any more.
    Forget,
    /// JoinGroup with that member id and those protocols: names and metadata, the best first.
    Join(Ticket, Arc<str>, Vec<(&'static str, Bytes)>),
    /// SyncGroup.
    Sync {
        /// For the answer.
        ticket: Ticket,
        /// Who.
        member_id: Arc<str>,
        /// In which generation.
        generation: i32,
        /// The chosen assignor.
        protocol: &'static str,
        /// From the leader: who is given what.
        assignments: Vec<(Arc<str>, Bytes)>,
    },
    /// Heartbeat with that member id and generation.
    Beat(Ticket, Arc<str>, i32),
    /// ConsumerGroupHeartbeat.
    Say(Ticket, Box<Say>),
    /// LeaveGroup with that member id. Nobody waits for the answer.
    Leave(Arc<str>),
    /// Find out how many partitions these topics have.
    Lookup(Ticket, BTreeSet<Arc<str>>),
    /// The member is in a new generation: for the record.
    Entered {
        /// Which.
        generation: i32,
        /// Whether it leads.
        leads: bool,
    },
    /// The member was told what it is to own in this generation: for the record.
    Synced {
        /// Which.
        generation: i32,
    },
    /// A heartbeat was accepted, and what it is to own in this epoch is known to the member: for the record.
    Told {
        /// Which.
        generation: i32,
    },
    /// The application must give these up, and say so.
    Revoke(Ticket, BTreeSet<TopicPartition>),
    /// The member owns these from now on, in addition to what it has, all in `generation`.
    Assigned {
        /// In which generation.
        generation: i32,
        /// What it did not own before; may be nothing.
        added: BTreeSet<TopicPartition>,
    },
    /// It is a member no more: these are not its own any longer, and may be another's already; there may be none.
    Lost(BTreeSet<TopicPartition>),
    /// The group does not want this member: Kafka's code. It asks for nothing any more.
    Fatal(i16),
}
