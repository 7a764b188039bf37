//! What DescribeQuorum shows, and when the machine wants to be woken.

use super::Quorum;
use super::state::State;
use super::types::Tail;
use crate::env::Mono;
use crate::ids::{NodeId, Offset};

/// One voter or observer, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Who.
    pub node: NodeId,
    /// Whether it votes.
    pub votes: bool,
    /// Up to where its log is known to equal the leader's; -1 if unknown.
    pub log_end: Offset,
    /// When it last fetched; `None` if it has not, or is the leader itself.
    pub last_fetch: Option<Mono>,
    /// When it last had all there was; `None` if it never had, or is the leader itself.
    pub last_caught_up: Option<Mono>,
}

impl Quorum {
    /// All voters, and observers seen lately, by id; empty unless this node leads.
    pub fn describe(&self, tail: &dyn Tail) -> Vec<Replica> {
        let State::Leader(leading) = &self.state else { return Vec::new() };
        let me = self.settings.me;
        let myself = Replica {
            node: me,
            votes: self.votes(),
            log_end: tail.end().offset,
            last_fetch: None,
            last_caught_up: None,
        };
        let peers = leading.peers.iter().map(|(node, peer)| Replica {
            node: *node,
            votes: self.voters.contains(*node),
            log_end: peer.position.unwrap_or(-1),
            last_fetch: peer.heard.then_some(peer.contact),
            last_caught_up: peer.caught_up,
        });
        let mut all: Vec<Replica> = peers.chain([myself]).collect();
        all.sort_by_key(|replica| replica.node);
        all
    }

    /// When the next step is due if nothing happens before.
    pub(super) fn next_wake(&self) -> Option<Mono> {
        let patience = Some(self.patience);
        match &self.state {
            State::Unattached(fetching) => {
                fetching.next().into_iter().chain(patience.filter(|_| self.may_stand())).min()
            }
            State::Prospective(poll) | State::Candidate(poll) => poll.round.next().into_iter().chain(patience).min(),
            State::Leader(leading) => leading.round.next().into_iter().chain(self.quorum_lost_at()).min(),
            State::Follower(following) => following.fetching.next().into_iter().chain(patience).min(),
            State::Resigned { round, .. } => round.next().into_iter().chain(patience).min(),
        }
    }
}
