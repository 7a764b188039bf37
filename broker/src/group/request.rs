//! What a coordinator is asked, what it answers, and what it wants done.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::consumer::{Beat, Beaten, Topics};
use super::member::{Member, Protocol};
use super::record::Record;
use crate::controller::record::text;
use crate::env::Mono;
use crate::ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};

/// Tells requests that wait apart.
pub type Ticket = u64;

/// Tells writes apart.
pub type Token = u64;

/// Both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For timeouts.
    pub mono: Mono,
    /// For what is written down.
    pub wall: Timestamp,
}

/// What happens to a coordinator.
#[derive(Clone, Debug)]
pub enum Input {
    /// A request.
    Asked(Ticket, Asked),
    /// The records of that write are in the log, and end there.
    Appended(Token, Offset),
    /// The records of that write are not in the log, and never will be.
    Refused(Token, ResponseError),
    /// Everything below is committed.
    HighWatermark(Offset),
    /// A topic is deleted.
    TopicGone(Arc<str>),
    /// These are the topics there are now.
    Topics(Rc<Topics>),
    /// Time has passed.
    Tick,
}

/// What a coordinator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append these records in one batch, then say [`Input::Appended`] or [`Input::Refused`].
    Write(Token, Vec<Record>),
    /// Answer that request.
    Answer(Ticket, Answer),
}

/// A request.
#[derive(Clone, Debug)]
pub enum Asked {
    /// JoinGroup.
    Join(Box<Join>),
    /// SyncGroup.
    Sync(Sync),
    /// Heartbeat.
    Heartbeat(Who),
    /// ConsumerGroupHeartbeat.
    Beat(Box<Beat>),
    /// LeaveGroup: each by member id, instance id.
    Leave(StrBytes, Vec<(StrBytes, Option<StrBytes>)>),
    /// OffsetCommit.
    Commit(Commits),
    /// DeleteGroups, one of them.
    Delete(StrBytes),
    /// OffsetDelete.
    Forget(StrBytes, Vec<TopicPartition>),
}

impl Asked {
    /// The group that is asked.
    pub fn group(&self) -> &StrBytes {
        match self {
            Asked::Join(join) => &join.group,
            Asked::Beat(beat) => &beat.group,
            Asked::Sync(Sync { who, .. }) | Asked::Heartbeat(who) | Asked::Commit(Commits { who, .. }) => &who.group,
            Asked::Leave(group, _) | Asked::Delete(group) | Asked::Forget(group, _) => group,
        }
    }

    /// Whether only a group that has a name can be asked so: offsets of the group without one can be committed, and be
    /// deleted with it, as whoever assigned partitions to itself did before Kafka had names for that.
    pub fn needs_name(&self) -> bool {
        !matches!(self, Asked::Commit(..) | Asked::Delete(_))
    }
}

/// A member and the generation it believes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The group.
    pub group: StrBytes,
    /// The member; empty: none.
    pub member: StrBytes,
    /// `group.instance.id`.
    pub instance: Option<StrBytes>,
    /// The generation; -1: none.
    pub generation: i32,
}

impl Who {
    /// As a request names it; its words are copied, so that it does not hold the request's frame in memory.
    pub fn new(group: &str, member: &str, instance: Option<&str>, generation: i32) -> Self {
        Self { group: text(group), member: text(member), instance: instance.map(text), generation }
    }
}

/// JoinGroup.
#[derive(Clone, Debug, Default)]
pub struct Join {
    /// The group.
    pub group: StrBytes,
    /// The member; empty: it has no id yet.
    pub member: StrBytes,
    /// The id it gets in that case.
    pub fresh: StrBytes,
    /// Whether it has to come again with it (KIP-394).
    pub twice: bool,
    /// Whether it understands that it need not assign though it leads (version 9, KIP-814).
    pub may_skip: bool,
    /// `group.instance.id`.
    pub instance: Option<StrBytes>,
    /// `client.id`.
    pub client_id: StrBytes,
    /// From where it speaks.
    pub client_host: StrBytes,
    /// `consumer`, for one.
    pub protocol_type: StrBytes,
    /// What it can, best first.
    pub protocols: Vec<Protocol>,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `max.poll.interval.ms`.
    pub rebalance_timeout: Duration,
}

/// SyncGroup.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// Who, in which generation.
    pub who: Who,
    /// The protocol type it believes in, if it says.
    pub protocol_type: Option<StrBytes>,
    /// The protocol it believes in, if it says.
    pub protocol: Option<StrBytes>,
    /// What the leader assigns, by member.
    pub assignments: Vec<(StrBytes, Bytes)>,
}

/// OffsetCommit.
#[derive(Clone, Debug, Default)]
pub struct Commits {
    /// Who, in which generation.
    pub who: Who,
    /// Whether it is asked by one who knows of member epochs (version 9, KIP-848).
    pub by_epoch: bool,
    /// What, for each partition.
    pub offsets: Vec<(TopicPartition, Commit)>,
}

/// What is committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The next offset to be consumed.
    pub offset: Offset,
    /// The leader epoch of the last record consumed; -1: not known.
    pub leader_epoch: LeaderEpoch,
    /// The client's own words.
    pub metadata: StrBytes,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To JoinGroup.
    Joined(Box<Joined>),
    /// Not to be joined; with the member id to go by.
    NotJoined(ResponseError, StrBytes),
    /// To SyncGroup.
    Synced(Synced),
    /// To LeaveGroup: of each.
    Left(Vec<Result<(), ResponseError>>),
    /// To ConsumerGroupHeartbeat.
    Beaten(Beaten),
    /// To OffsetCommit and OffsetDelete: of each partition.
    Offsets(Vec<Result<(), ResponseError>>),
    /// It is done.
    Done,
    /// It is not.
    No(ResponseError),
}

/// A generation, told to one of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The protocol type.
    pub protocol_type: StrBytes,
    /// The protocol all agreed on.
    pub protocol: StrBytes,
    /// Who assigns.
    pub leader: StrBytes,
    /// Who is told.
    pub member: StrBytes,
    /// All members, if the leader is told: id, instance id, what they say of themselves.
    pub members: Vec<(StrBytes, Option<StrBytes>, Bytes)>,
    /// The leader need not assign.
    pub skip: bool,
}

/// An assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// The protocol type.
    pub protocol_type: StrBytes,
    /// The protocol.
    pub protocol: StrBytes,
    /// What the member is assigned.
    pub assignment: Bytes,
}

/// A group's state, by Kafka's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It has no members; it may have offsets.
    #[default]
    Empty,
    /// It waits for members to join.
    PreparingRebalance,
    /// It waits for the leader's assignment.
    CompletingRebalance,
    /// Everyone has, or may have, an assignment.
    Stable,
}

impl State {
    /// As DescribeGroups and ListGroups spell it.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// Rebalances that came to their end, since the coordinator began: the group had its assignments, or no members any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebalances {
    /// How many.
    pub count: u64,
    /// How long they took, all together.
    pub total: Duration,
}

impl Rebalances {
    pub(super) fn end(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
    }
}

/// A group, for whoever watches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMeasured {
    /// Its name.
    pub group: StrBytes,
    /// How many members it has.
    pub members: usize,
    /// How often it was shared out anew.
    pub rebalances: Rebalances,
    /// What it has committed.
    pub committed: Vec<(TopicPartition, Offset)>,
}

/// A group, for DescribeGroups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Its state.
    pub state: State,
    /// Its protocol type; empty: none.
    pub protocol_type: StrBytes,
    /// Its protocol, when it is stable.
    pub protocol: StrBytes,
    /// Its members; what they say of themselves, and are assigned, only when it is stable.
    pub members: Vec<Member>,
}

/// A group, for ListGroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its protocol type; empty: none.
    pub protocol_type: &'a str,
    /// Which protocol it is of: `classic` or `consumer`.
    pub kind: &'static str,
    /// Its state, by Kafka's name.
    pub state: &'static str,
}
