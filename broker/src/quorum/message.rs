//! What voters and observers say to each other (KIP-595, KIP-853, KIP-996), without the wire's details.

use super::types::OffsetAndEpoch;
use crate::ids::{LeaderEpoch, NodeId, Offset};

/// A request of one node to another. Who asks is told beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `Vote`: shall the asker lead?
    Vote {
        /// Only asks whether this vote would be given (KIP-996); `epoch` is then the one the asker is in, else the one
        /// it wants to lead.
        pre_vote: bool,
        /// The asker's epoch.
        epoch: LeaderEpoch,
        /// Where the asker's log ends.
        last: OffsetAndEpoch,
    },
    /// `BeginQuorumEpoch`: the asker leads `epoch`.
    BeginQuorumEpoch {
        /// Its epoch.
        epoch: LeaderEpoch,
    },
    /// `EndQuorumEpoch`: the asker has led `epoch`, and does no more.
    EndQuorumEpoch {
        /// Its epoch.
        epoch: LeaderEpoch,
        /// Who had fetched most, first.
        preferred: Vec<NodeId>,
    },
    /// `Fetch` of the metadata log: the asker's log is durable up to `position`.
    Fetch {
        /// The asker's epoch (`current_leader_epoch`).
        epoch: LeaderEpoch,
        /// Its log's end and last epoch (`fetch_offset`, `last_fetched_epoch`).
        position: OffsetAndEpoch,
    },
    /// `FetchSnapshot`: may the asker read a chunk of this snapshot? Whether it still exists, the shell knows.
    FetchSnapshot {
        /// The asker's epoch.
        epoch: LeaderEpoch,
        /// Which snapshot.
        id: OffsetAndEpoch,
    },
    /// `AddRaftVoter` (KIP-853), from an operator; `from` is of no matter.
    AddVoter(NodeId),
    /// `RemoveRaftVoter` (KIP-853), from an operator.
    RemoveVoter(NodeId),
}

/// An answer. It always tells what the answering node knows of epoch and leader, so that whoever lags learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The newest epoch known.
    pub epoch: LeaderEpoch,
    /// Who leads it, if known.
    pub leader: Option<NodeId>,
    /// The answer proper.
    pub body: Body,
}

/// The answer proper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// To [`Request::Vote`]: whether the vote is given.
    Vote {
        /// Given.
        granted: bool,
    },
    /// To [`Request::BeginQuorumEpoch`] and [`Request::EndQuorumEpoch`].
    Epoch(Standing),
    /// To [`Request::Fetch`] and [`Request::FetchSnapshot`].
    Fetch(Fetched),
    /// To [`Request::AddVoter`] and [`Request::RemoveVoter`]; given when the change is committed, or refused.
    Voters(Result<(), Refused>),
}

/// How a request's epoch stands to the answering node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The same.
    Current,
    /// The asker's is older: `FENCED_LEADER_EPOCH`.
    Fenced,
    /// The asker's is newer: `UNKNOWN_LEADER_EPOCH`.
    Unknown,
    /// The same, but the answering node does not lead, or another does: `NOT_LEADER_OR_FOLLOWER`.
    NotLeader,
}

/// What a leader says to a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The position fits: read on from there. Also to [`Request::FetchSnapshot`].
    Read {
        /// Everything below is committed.
        high_watermark: Offset,
    },
    /// The logs part: the leader's largest epoch at most the asker's, and where that ended.
    Diverging(OffsetAndEpoch),
    /// The position is below the log's start: fetch this snapshot.
    Snapshot(OffsetAndEpoch),
    /// Not answered; never [`Standing::Current`].
    Refused(Standing),
}

/// Why the set of voters is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This node does not lead, or does no more: `NOT_LEADER_OR_FOLLOWER`.
    NotLeader,
    /// Another change is under way, or nothing of this epoch is committed yet: `REQUEST_TIMED_OUT`.
    Busy,
    /// It votes already: `DUPLICATE_VOTER`.
    Duplicate,
    /// It does not vote, or is the last who does: `VOTER_NOT_FOUND`, `INVALID_REQUEST`.
    NotFound,
    /// It has not caught up with this leader: `REQUEST_TIMED_OUT`.
    Behind,
}
