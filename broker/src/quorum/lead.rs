//! Leading: answering fetches, counting what is committed, resigning, changing who votes.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use super::message::{Answer, Body, Fetched, Refused, Standing};
use super::round::Round;
use super::state::{Change, Leading, Peer, State};
use super::types::{Effect, OffsetAndEpoch, Tail, Ticket};
use super::{Quorum, Step};
use crate::env::Mono;
use crate::ids::{LeaderEpoch, NodeId, Offset};

/// Observers a leader keeps account of; more are served, but cannot become voters or be described.
const OBSERVERS: usize = 256;

impl Quorum {
    /// Begins to lead the node's epoch.
    pub(super) fn take_office(&mut self, step: &mut Step<'_>) {
        let me = self.settings.me;
        self.election.leader = Some(me);
        let others = self.voters.others(me);
        self.state = State::Leader(Leading {
            start: step.tail.end().offset,
            peers: others.iter().map(|node| (*node, Peer::new(step.now))).collect(),
            round: Round::of(others, step.now),
            change: None,
        });
    }

    /// Leads no more: whoever fetched most is asked to take over.
    pub(super) fn resign(&mut self, step: &mut Step<'_>) {
        let State::Leader(leading) = &self.state else { return };
        let me = self.settings.me;
        let others = self.voters.others(me);
        let mut preferred = others.clone();
        preferred.sort_by_key(|node| std::cmp::Reverse(leading.peers.get(node).and_then(|peer| peer.position)));
        self.election.leader = None;
        self.retire(step);
        self.patience = self.election_wait(step);
        self.state = State::Resigned { round: Round::of(others, step.now), preferred };
    }

    /// Ends what only a leader can finish.
    pub(super) fn retire(&mut self, step: &mut Step<'_>) {
        let State::Leader(leading) = &mut self.state else { return };
        if let Some(change) = leading.change.take() {
            let answer = self.answer(Body::Voters(Err(Refused::NotLeader)));
            self.emit(step, Effect::Answer { ticket: change.ticket, answer });
        }
    }

    /// When this leader has not been fetched from by a majority for too long, if nobody fetches until then; `None` if it
    /// does not lead, or needs nobody.
    pub(super) fn quorum_lost_at(&self) -> Option<Mono> {
        let State::Leader(leading) = &self.state else { return None };
        let mut contacts: Vec<Mono> = self
            .voters
            .others(self.settings.me)
            .iter()
            .filter_map(|n| leading.peers.get(n).map(|p| p.contact))
            .collect();
        contacts.sort_unstable_by(|a, b| b.cmp(a));
        let needed = self.voters.majority() - usize::from(self.votes());
        let oldest = contacts.get(needed.checked_sub(1)?)?;
        Some(oldest.after(self.settings.fetch_timeout.mul_f64(1.5)))
    }

    /// Voters that fetch need not be told that the epoch has begun.
    pub(super) fn let_be_who_fetches(&mut self) {
        let quiet = self.settings.fetch_timeout / 2;
        let State::Leader(Leading { peers, round, .. }) = &mut self.state else { return };
        for (node, peer) in peers.iter().filter(|(_, peer)| peer.heard) {
            round.not_before(*node, peer.contact.after(quiet));
        }
    }

    pub(super) fn asked_fetch(
        &mut self,
        step: &mut Step<'_>,
        from: NodeId,
        epoch: LeaderEpoch,
        position: OffsetAndEpoch,
    ) -> Body {
        let fetched = self.fetched(epoch, position, step.tail);
        if from == self.settings.me {
            return Body::Fetch(Fetched::Refused(Standing::NotLeader));
        }
        if !matches!(fetched, Fetched::Refused(_)) {
            let read = matches!(fetched, Fetched::Read { .. });
            self.note_fetch(step, from, read.then_some(position.offset));
            self.count(step);
        }
        Body::Fetch(self.fetched(epoch, position, step.tail))
    }

    pub(super) fn asked_snapshot(&mut self, step: &mut Step<'_>, from: NodeId, epoch: LeaderEpoch) -> Body {
        let standing = self.leading_in(epoch);
        if standing != Standing::Current {
            return Body::Fetch(Fetched::Refused(standing));
        }
        self.note_fetch(step, from, None);
        Body::Fetch(Fetched::Read { high_watermark: self.high_watermark })
    }

    /// What this node would answer to a fetch, without taking note of it: for a fetch that was held, asked again
    /// whenever the log has grown, the high watermark or the role has changed.
    pub fn peek_fetch(&self, epoch: LeaderEpoch, position: OffsetAndEpoch, tail: &dyn Tail) -> Answer {
        self.answer(Body::Fetch(self.fetched(epoch, position, tail)))
    }

    fn leading_in(&self, epoch: LeaderEpoch) -> Standing {
        match epoch.cmp(&self.election.epoch) {
            std::cmp::Ordering::Less => Standing::Fenced,
            std::cmp::Ordering::Greater => Standing::Unknown,
            std::cmp::Ordering::Equal if self.leads().is_some() => Standing::Current,
            std::cmp::Ordering::Equal => Standing::NotLeader,
        }
    }

    fn fetched(&self, epoch: LeaderEpoch, position: OffsetAndEpoch, tail: &dyn Tail) -> Fetched {
        let standing = self.leading_in(epoch);
        if standing != Standing::Current {
            return Fetched::Refused(standing);
        }
        let start = tail.start();
        let below = position.offset < start.offset
            || position.epoch < start.epoch
            || (position.offset == start.offset && position.epoch != start.epoch && start.offset > 0);
        if below && let Some(id) = tail.snapshot() {
            return Fetched::Snapshot(id);
        }
        let known = tail.end_of_epoch(position.epoch);
        if position.offset > 0 && (known.epoch != position.epoch || known.offset < position.offset) {
            return Fetched::Diverging(known);
        }
        Fetched::Read { high_watermark: self.high_watermark }
    }

    /// `from` has fetched; its log equals ours up to `position`, if that is known.
    fn note_fetch(&mut self, step: &mut Step<'_>, from: NodeId, position: Option<Offset>) {
        let voter = self.voters.contains(from);
        let end = step.tail.end().offset;
        let forget = self.settings.fetch_timeout * 10;
        let State::Leader(Leading { peers, .. }) = &mut self.state else { return };
        if !voter && !peers.contains_key(&from) && peers.len() >= OBSERVERS {
            peers.retain(|node, peer| self.voters.contains(*node) || step.now.since(peer.contact) < forget);
        }
        let full = peers.len() >= OBSERVERS;
        let peer = match peers.entry(from) {
            Entry::Occupied(peer) => peer.into_mut(),
            Entry::Vacant(_) if !voter && full => return,
            Entry::Vacant(place) => place.insert(Peer::new(step.now)),
        };
        if let Some(position) = position {
            if position >= end {
                peer.caught_up = Some(step.now);
            } else if position >= peer.end_then {
                peer.caught_up = Some(peer.contact);
            }
            peer.position = Some(position);
            peer.end_then = end;
        }
        peer.contact = step.now;
        peer.heard = true;
    }

    /// Raises the high watermark to what a majority holds durably, if that reaches into this leader's own epoch: older
    /// records are only safe below one of its own (Raft 5.4.2).
    pub(super) fn count(&mut self, step: &mut Step<'_>) {
        let State::Leader(leading) = &self.state else { return };
        let mut held: Vec<Offset> = Vec::new();
        for node in self.voters.current() {
            held.push(match leading.peers.get(node) {
                _ if *node == self.settings.me => step.tail.flushed(),
                Some(peer) => peer.position.unwrap_or(-1),
                None => -1,
            });
        }
        held.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&majority) = held.get(self.voters.majority() - 1) else { return };
        if majority > leading.start {
            self.raise(step, majority);
            self.finish_change(step);
        }
    }

    pub(super) fn asked_change(&mut self, step: &mut Step<'_>, ticket: Ticket, node: NodeId, add: bool) {
        let epoch = self.election.epoch;
        match self.changed_voters(step.tail, node, add) {
            Err(refused) => {
                let answer = self.answer(Body::Voters(Err(refused)));
                self.emit(step, Effect::Answer { ticket, answer });
            }
            Ok(voters) => {
                if let State::Leader(leading) = &mut self.state {
                    leading.change = Some(Change { ticket, offset: None });
                }
                self.emit(step, Effect::AppendVoters { epoch, voters });
            }
        }
    }

    /// The voters with `node` added or removed, if that is allowed now: one change at a time, each committed in this
    /// leader's epoch before the next, so that any two majorities share a node.
    fn changed_voters(&self, tail: &dyn Tail, node: NodeId, add: bool) -> Result<BTreeSet<NodeId>, Refused> {
        let State::Leader(leading) = &self.state else { return Err(Refused::NotLeader) };
        let uncommitted = self.voters.latest().is_some_and(|at| at >= self.high_watermark);
        if leading.change.is_some() || uncommitted || self.high_watermark <= leading.start {
            return Err(Refused::Busy);
        }
        let mut voters = self.voters.current().clone();
        if !add {
            return if voters.remove(&node) && !voters.is_empty() { Ok(voters) } else { Err(Refused::NotFound) };
        }
        if !voters.insert(node) {
            return Err(Refused::Duplicate);
        }
        // It must hold all that is committed, or the next crash could leave a majority that does not.
        let caught_up = leading
            .peers
            .get(&node)
            .is_some_and(|peer| peer.position.is_some_and(|at| at >= self.high_watermark.min(tail.end().offset)));
        if caught_up { Ok(voters) } else { Err(Refused::Behind) }
    }

    pub(super) fn voters_changed(&mut self, step: &mut Step<'_>, offset: Offset, voters: BTreeSet<NodeId>) {
        self.voters.record(offset, voters);
        let others = self.voters.others(self.settings.me);
        if let Some(round) = self.state.round() {
            round.retain(others.iter().copied(), step.now);
        }
        let State::Leader(Leading { peers, change, .. }) = &mut self.state else { return };
        for node in others {
            peers.entry(node).or_insert_with(|| Peer::new(step.now));
        }
        if let Some(Change { offset: at @ None, .. }) = change {
            *at = Some(offset);
        }
    }

    /// Answers for a change that is committed now. A leader that no longer votes has led until then, and resigns.
    fn finish_change(&mut self, step: &mut Step<'_>) {
        let committed = self.high_watermark;
        let State::Leader(Leading { change, .. }) = &mut self.state else { return };
        if let Some(done) = change.take_if(|change| change.offset.is_some_and(|at| at < committed)) {
            let answer = self.answer(Body::Voters(Ok(())));
            self.emit(step, Effect::Answer { ticket: done.ticket, answer });
        }
        if !self.votes() && self.voters.latest().is_some_and(|at| at < committed) {
            self.resign(step);
        }
    }
}
