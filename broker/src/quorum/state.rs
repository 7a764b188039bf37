//! What each state remembers beyond epoch, leader and vote.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::round::Round;
use super::types::{Call, OffsetAndEpoch, Ticket};
use crate::env::Mono;
use crate::ids::{NodeId, Offset};

#[derive(Clone, Debug)]
pub(super) enum State {
    /// Waits for a leader or for its own patience to end; meanwhile asks voters who leads.
    Unattached(Fetching),
    /// Asks for pre-votes.
    Prospective(Poll),
    /// Asks for votes.
    Candidate(Poll),
    Leader(Leading),
    Follower(Following),
    /// Tells the others that it leads no more.
    Resigned {
        round: Round,
        preferred: Vec<NodeId>,
    },
}

impl State {
    /// The requests under way to several peers, if this state has such.
    pub(super) fn round(&mut self) -> Option<&mut Round> {
        match self {
            State::Prospective(poll) | State::Candidate(poll) => Some(&mut poll.round),
            State::Leader(leading) => Some(&mut leading.round),
            State::Resigned { round, .. } => Some(round),
            State::Unattached(_) | State::Follower(_) => None,
        }
    }

    /// The fetch under way, if this state has such.
    pub(super) fn fetching(&mut self) -> Option<&mut Fetching> {
        match self {
            State::Unattached(fetching) => Some(fetching),
            State::Follower(following) => Some(&mut following.fetching),
            _ => None,
        }
    }
}

/// An election, or the question whether to hold one.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    pub(super) round: Round,
    pub(super) granted: BTreeSet<NodeId>,
    pub(super) refused: BTreeSet<NodeId>,
    /// A majority refused; a candidate then waits a while, lest two of them split the votes for ever.
    pub(super) lost: bool,
}

impl Poll {
    pub(super) fn new(me: NodeId, others: Vec<NodeId>, now: Mono) -> Self {
        Self { round: Round::of(others, now), granted: BTreeSet::from([me]), refused: BTreeSet::new(), lost: false }
    }
}

/// How far the next piece of the leader's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetching {
    /// Ask at this instant.
    Due(Mono),
    /// Asked; lost from `until` on.
    Asked { call: Call, until: Mono },
    /// The shell appends what came; then the high watermark is this, as far as the log reaches.
    Accepting { call: Call, high_watermark: Offset },
    /// The shell reads a snapshot, chunk by chunk; lost from `until` on.
    Snapshot { call: Call, id: OffsetAndEpoch, until: Mono },
    /// The shell loads it.
    Loading { call: Call, id: OffsetAndEpoch },
}

impl Fetching {
    /// When there is something to do.
    pub(super) fn next(self) -> Option<Mono> {
        match self {
            Fetching::Due(at) | Fetching::Asked { until: at, .. } | Fetching::Snapshot { until: at, .. } => Some(at),
            Fetching::Accepting { .. } | Fetching::Loading { .. } => None,
        }
    }

    /// Whether this is about `call`, answered or not.
    pub(super) fn about(self, call: Call) -> bool {
        let accepting = matches!(self, Fetching::Accepting { call: mine, .. } if mine == call);
        let loading = matches!(self, Fetching::Loading { call: mine, .. } if mine == call);
        self.call() == Some(call) || accepting || loading
    }

    /// The request that is not over yet.
    pub(super) fn call(self) -> Option<Call> {
        match self {
            Fetching::Asked { call, .. } | Fetching::Snapshot { call, .. } => Some(call),
            Fetching::Due(_) | Fetching::Accepting { .. } | Fetching::Loading { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Following {
    pub(super) leader: NodeId,
    pub(super) fetching: Fetching,
    /// When the leader last answered a fetch.
    pub(super) contact: Option<Mono>,
    /// The leader has said that it leads no more.
    pub(super) ended: bool,
    /// How long to bear its silence: the fetch timeout and a draw, so that followers do not all call at once.
    pub(super) patience: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Leading {
    /// Where this epoch begins.
    pub(super) start: Offset,
    /// Voters but this node, and observers seen lately.
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) round: Round,
    pub(super) change: Option<Change>,
}

/// What a leader knows of another node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Up to where its log equals ours and is durable.
    pub(super) position: Option<Offset>,
    /// When it last fetched; when this node became leader, or it a voter, if it has not.
    pub(super) contact: Mono,
    /// Whether it has fetched in this epoch.
    pub(super) heard: bool,
    /// When it last had all there was.
    pub(super) caught_up: Option<Mono>,
    /// Where our log ended when it last fetched.
    pub(super) end_then: Offset,
}

impl Peer {
    pub(super) fn new(now: Mono) -> Self {
        Self { position: None, contact: now, heard: false, caught_up: None, end_then: Offset::MAX }
    }
}

/// A change of the voters that is not committed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// Whom to tell.
    pub(super) ticket: Ticket,
    /// Where its record is, once appended.
    pub(super) offset: Option<Offset>,
}
