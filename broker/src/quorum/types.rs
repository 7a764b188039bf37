//! What the quorum machine is told and what it asks for, in plain terms: mapping to Kafka's messages is the shell's job.

use std::collections::BTreeSet;
use std::time::Duration;

use super::message::{Answer, Request};
use crate::env::Mono;
use crate::ids::{LeaderEpoch, NodeId, Offset};

/// Names a peer's request that waits for its answer; given by the shell.
pub type Ticket = u64;

/// Names one of our own requests; given by the machine, never used twice within a life.
pub type Call = u64;

/// Who this node is, and how patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This node.
    pub me: NodeId,
    /// Who votes (`controller.quorum.voters`) as long as the log holds no voters' record. Must not be empty.
    pub voters: BTreeSet<NodeId>,
    /// `controller.quorum.election.timeout.ms`: an election not won by then is given up. Each wait is drawn anew, from
    /// once to twice this.
    pub election_timeout: Duration,
    /// `controller.quorum.fetch.timeout.ms`: a voter whose fetches its leader has not answered for so long calls for an
    /// election. A leader not fetched from by a majority for 1.5 times as long resigns.
    pub fetch_timeout: Duration,
    /// `controller.quorum.request.timeout.ms`: a request unanswered for so long has failed. A fetch is given the fetch
    /// timeout instead, because the leader may hold it.
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`: the pause after a failed request.
    pub retry_backoff: Duration,
}

/// An offset, and the leader epoch of the record just below it (Kafka's `OffsetAndEpoch`): two logs that agree on both
/// are equal up to there. Epoch 0 is that of an empty log; elected leaders begin with 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub struct OffsetAndEpoch {
    /// One past the last record meant.
    pub offset: Offset,
    /// The epoch of that last record.
    pub epoch: LeaderEpoch,
}

/// The metadata log as the machine sees it; the shell owns the log.
pub trait Tail {
    /// Where the log begins, and the epoch of the last record below: (0, 0), or a snapshot's end.
    fn start(&self) -> OffsetAndEpoch;
    /// Where the log ends, and the epoch of its last record; that of [`Tail::start`] if it holds none.
    fn end(&self) -> OffsetAndEpoch;
    /// One past the last durable record.
    fn flushed(&self) -> Offset;
    /// The largest epoch in the log that is at most `epoch`, and the offset it ended at; [`Tail::start`] if there is none.
    fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch;
    /// The newest snapshot, by its end. There is one at or above [`Tail::start`] unless the log begins at 0.
    fn snapshot(&self) -> Option<OffsetAndEpoch>;
}

/// What outlives a crash besides the log (Kafka's `quorum-state` file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ElectionState {
    /// The newest epoch this node knows of.
    pub epoch: LeaderEpoch,
    /// Who leads it, if known.
    pub leader: Option<NodeId>,
    /// Whom this node voted for in it.
    pub voted: Option<NodeId>,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed; also the first input of a life.
    Tick,
    /// This node has looked at nothing for so long, until now: what peers said meanwhile is yet to come.
    Deaf(Duration),
    /// A peer asks. The answer comes as [`Effect::Answer`] with this ticket, usually in the same step.
    Asked {
        /// Who asks.
        from: NodeId,
        /// Names the request.
        ticket: Ticket,
        /// What it asks.
        request: Request,
    },
    /// A peer answered one of our requests: [`Effect::Send`], [`Effect::Fetch`], or one chunk of
    /// [`Effect::FetchSnapshot`] (then the call stays open until [`Input::SnapshotFetched`]).
    Answered {
        /// Which request.
        call: Call,
        /// What it said.
        answer: Answer,
    },
    /// One of our requests failed: no connection, no answer in time, an unreadable answer, or records that cannot be
    /// appended.
    Failed {
        /// Which request.
        call: Call,
    },
    /// The records that came with this fetch, which may be none, are appended (after [`Effect::Accept`]).
    Accepted {
        /// Which fetch.
        call: Call,
    },
    /// More of the log is durable: [`Tail::flushed`] moved.
    Flushed,
    /// The snapshot asked for with this call is here, complete and durable.
    SnapshotFetched {
        /// Which request.
        call: Call,
    },
    /// The snapshot is loaded and the log begins and ends at its end, durably (after [`Effect::LoadSnapshot`]).
    SnapshotLoaded {
        /// Which request.
        call: Call,
    },
    /// A voters' record became part of the log at `offset`: appended by us, fetched, or (once each, at the beginning of
    /// a life and after a snapshot, in the log's order) already there.
    Voters {
        /// The record's offset.
        offset: Offset,
        /// Who votes from there on, committed or not.
        voters: BTreeSet<NodeId>,
    },
    /// Give up leading, as a controlled shutdown does. Does nothing for a node that does not lead.
    Resign,
}

/// What the shell has to do, in this order, all of one step before the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this durable, then go on with the effects that follow. If that fails, the node has to halt.
    Persist(ElectionState),
    /// The node's part has changed. A new leader first appends a leader-change batch in its epoch: nothing older
    /// commits before it.
    Role(Role),
    /// Send `request`; what comes back is [`Input::Answered`] or [`Input::Failed`].
    Send {
        /// To whom.
        to: NodeId,
        /// Names it.
        call: Call,
        /// What to ask.
        request: Request,
    },
    /// Answer a peer.
    Answer {
        /// Names its request.
        ticket: Ticket,
        /// What to say.
        answer: Answer,
    },
    /// Fetch from `to`, from [`Tail::end`], in `epoch`. The log must be durable up to there before this is sent, and the
    /// call still current then ([`super::Quorum::wants`]): the leader takes the position as a promise.
    Fetch {
        /// From whom.
        to: NodeId,
        /// Names it.
        call: Call,
        /// This node's epoch.
        epoch: LeaderEpoch,
    },
    /// Append the records that came with this fetch, then give [`Input::Accepted`]. Without this effect they are stale
    /// and must be dropped.
    Accept {
        /// Which fetch.
        call: Call,
    },
    /// Cut the log so that it ends at `to`; always at or above the high watermark.
    Truncate {
        /// The new end.
        to: Offset,
    },
    /// Fetch this whole snapshot from `to`, in `epoch`, then give [`Input::SnapshotFetched`].
    FetchSnapshot {
        /// From whom.
        to: NodeId,
        /// Names it.
        call: Call,
        /// This node's epoch.
        epoch: LeaderEpoch,
        /// Which snapshot.
        id: OffsetAndEpoch,
    },
    /// Replace state and log by the snapshot fetched, then give [`Input::SnapshotLoaded`].
    LoadSnapshot {
        /// Which request brought it.
        call: Call,
        /// Which snapshot.
        id: OffsetAndEpoch,
    },
    /// Append a voters' record in this epoch (only if [`super::Quorum::leads`] it), then give [`Input::Voters`] for it.
    AppendVoters {
        /// The leader's epoch.
        epoch: LeaderEpoch,
        /// Who votes from there on.
        voters: BTreeSet<NodeId>,
    },
    /// Everything below is committed. Never falls within a life.
    HighWatermark(Offset),
    /// Give [`Input::Tick`] at this instant. Replaces the one given before.
    WakeAt(Mono),
    /// A promise is broken that the quorum rests on, such as a leader whose log lacks a committed record. The node has
    /// to halt.
    Broken(String),
}

/// A node's part in the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// Which part.
    pub part: Part,
}

/// Which part a node plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Knows no leader; may have voted.
    Unattached,
    /// Asks whether an election would succeed (KIP-996).
    Prospective,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Fetches from this leader; as a voter, or as an observer.
    Follower(NodeId),
    /// Led this epoch, and waits for another leader.
    Resigned,
}
