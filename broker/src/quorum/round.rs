//! Requests to several peers at once: at most one on its way to each, tried again until it is answered.

use std::collections::BTreeMap;

use super::types::Call;
use crate::env::Mono;
use crate::ids::NodeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// To be asked from then on.
    Due(Mono),
    /// Asked; the answer counts as lost from then on.
    Waiting { call: Call, until: Mono },
    /// Has answered.
    Done,
}

/// Whom to ask, and how far that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Round(BTreeMap<NodeId, Turn>);

impl Round {
    /// All of `peers` are to be asked now.
    pub(super) fn of(peers: impl IntoIterator<Item = NodeId>, now: Mono) -> Self {
        Self(peers.into_iter().map(|peer| (peer, Turn::Due(now))).collect())
    }

    /// Who is to be asked at `now`.
    pub(super) fn due(&self, now: Mono) -> Vec<NodeId> {
        self.0.iter().filter(|(_, turn)| turn.next().is_some_and(|at| at <= now)).map(|(peer, _)| *peer).collect()
    }

    /// `peer` is asked, with `call`; its answer counts as lost at `until`.
    pub(super) fn asked(&mut self, peer: NodeId, call: Call, until: Mono) {
        self.0.insert(peer, Turn::Waiting { call, until });
    }

    /// `call` is answered, or has failed: ask again at `again`, or not. Tells whose turn it was, if it still was.
    pub(super) fn over(&mut self, call: Call, again: Option<Mono>) -> Option<NodeId> {
        let (peer, turn) =
            self.0.iter_mut().find(|(_, turn)| matches!(turn, Turn::Waiting { call: mine, .. } if *mine == call))?;
        *turn = again.map_or(Turn::Done, Turn::Due);
        Some(*peer)
    }

    /// `peer`, if it is not being asked just now, is not due before `at`.
    pub(super) fn not_before(&mut self, peer: NodeId, at: Mono) {
        if let Some(Turn::Due(due)) = self.0.get_mut(&peer) {
            *due = at.max(*due);
        }
    }

    /// Asks exactly `peers` from now on: who is new is due now.
    pub(super) fn retain(&mut self, peers: impl IntoIterator<Item = NodeId>, now: Mono) {
        let old = std::mem::take(&mut self.0);
        self.0 = peers.into_iter().map(|peer| (peer, old.get(&peer).copied().unwrap_or(Turn::Due(now)))).collect();
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.0.values().filter_map(|turn| turn.next()).min()
    }
}

impl Turn {
    fn next(self) -> Option<Mono> {
        match self {
            Turn::Due(at) | Turn::Waiting { until: at, .. } => Some(at),
            Turn::Done => None,
        }
    }
}
