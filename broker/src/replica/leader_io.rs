//! What a partition's leader is told, and what it answers: the words between [`super::leader`] and the shell.

use crate::config::FlushPolicy;
use crate::env::Mono;
use crate::ids::{BrokerEpoch, NodeId, Offset, PartitionEpoch};
use crate::replica::in_sync::Proposal;

/// Names one waiting producer request's part in this partition.
pub type Ticket = u64;

/// A producer that waits for its records to be as safe as it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whom to tell.
    pub ticket: Ticket,
    /// Whether every in-sync replica has to have them (acks=all), or only this one (acks=1).
    pub all: bool,
    /// When to give up.
    pub deadline: Mono,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `records` records were appended, and the log now ends at `end`. `waiting`: who waits for the acknowledgement.
    Appended {
        /// The log end offset.
        end: Offset,
        /// How many records.
        records: u64,
        /// Who waits.
        waiting: Option<Waiting>,
    },
    /// A batch came again that was appended before, up to `end`: who sent it waits as who sent it first.
    Duplicate {
        /// The offset after it.
        end: Offset,
        /// Who waits.
        waiting: Waiting,
    },
    /// An fsync has returned: everything below `upto` is durable.
    Flushed {
        /// One past the last durable offset.
        upto: Offset,
    },
    /// The log was opened again after a failed write, and now ends at `end`, all of it durable. The high watermark is no
    /// higher.
    Reopened {
        /// The log end offset.
        end: Offset,
    },
    /// An fsync has failed, or the partition is going away: nothing more can be promised.
    Lost,
    /// Time has passed.
    Tick,
    /// A follower fetches from `offset`, so that it has everything below.
    Fetched {
        /// Who.
        follower: NodeId,
        /// Of which registration it is.
        epoch: BrokerEpoch,
        /// From where.
        offset: Offset,
        /// Whether it may be in sync: that registration is in force, not fenced, and not about to end (KIP-841).
        eligible: bool,
    },
    /// Time to look who has fallen behind.
    Inspect,
    /// Committed metadata says so of the partition, in the same leader epoch, all as of one offset of it: who is
    /// eligible (KIP-966) depends on the in-sync set and `min.insync.replicas` together. Of older news only the settings
    /// count.
    Decided {
        /// Counts its states.
        partition_epoch: PartitionEpoch,
        /// Who has a replica.
        replicas: Vec<NodeId>,
        /// Who is in sync.
        in_sync: Vec<NodeId>,
        /// The flush policy.
        flush: FlushPolicy,
        /// `min.insync.replicas`.
        least: usize,
    },
    /// A proposal was not carried out, or its fate is not known. (If it was, [`Input::Decided`] says so.)
    NotAltered {
        /// The partition epoch that the proposal named: which one it was.
        asked: PartitionEpoch,
        /// Why.
        why: Undecided,
    },
}

/// Why a proposal has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// It was refused: a member may not be in sync.
    Refused,
    /// It or its answer was lost: the same is proposed again.
    Lost,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin an fsync; answer with [`Input::Flushed`] or [`Input::Lost`]. Never asked for twice at once.
    Flush,
    /// The log is dirty as of now: begin an fsync within so many milliseconds (`flush.ms`).
    FlushWithin(u64),
    /// The high watermark is this now.
    HighWatermark(Offset),
    /// Acknowledge.
    Ack {
        /// Whom.
        ticket: Ticket,
        /// How many replicas that are or may be in sync are known to have the records, this node included.
        replicas: usize,
    },
    /// Refuse: the time is up. The records may become committed all the same.
    TimedOut(Ticket),
    /// Refuse: nothing is known of the records' durability.
    Lost(Ticket),
    /// Refuse: the records are committed, but by fewer than `min.insync.replicas`.
    TooFew(Ticket),
    /// Propose another in-sync set; answer with [`Input::NotAltered`] if it was not carried out. Asked for again only
    /// after that or [`Input::Decided`].
    Propose(Proposal),
    /// The in-sync set is another, or what may become of it.
    InSync,
}
