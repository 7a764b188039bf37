//! Elections: asking for votes and giving them.

use std::time::Duration;

use super::message::{Body, Request, Standing};
use super::state::{Fetching, Following, Poll, State};
use super::types::{Call, Effect, ElectionState, OffsetAndEpoch};
use super::{Quorum, Step};
use crate::env::Mono;
use crate::ids::{LeaderEpoch, NodeId};
use crate::planted::{Defect, planted};

impl Quorum {
    /// Takes the one transition that time or votes demand now, if any. An unattached node that votes alone passes four.
    pub(super) fn advance(&mut self, step: &mut Step<'_>) -> bool {
        let late = self.patience <= step.now;
        let stands = self.may_stand();
        let alone = self.voters.is_alone(self.settings.me);
        match &self.state {
            State::Unattached(_) if stands && (late || alone) => self.ask_around(step),
            State::Prospective(_) | State::Candidate(_) if !stands => self.stand_down(step),
            State::Prospective(poll) if self.voters.is_majority(&poll.granted) => self.stand(step),
            State::Prospective(poll) if late || self.voters.is_majority(&poll.refused) => self.stand_down(step),
            State::Candidate(poll) if self.voters.is_majority(&poll.granted) => self.take_office(step),
            State::Candidate(_) if late => self.ask_around(step),
            State::Candidate(poll) if !poll.lost && self.voters.is_majority(&poll.refused) => self.give_up(step),
            State::Follower(_) if late && stands => self.ask_around(step),
            State::Follower(_) if late => {
                self.election.leader = None;
                self.unattach(step, self.election.epoch);
            }
            State::Resigned { .. } if stands && (late || alone) => self.ask_around(step),
            State::Resigned { .. } if late => self.unattach(step, self.election.epoch),
            State::Leader(_) if self.quorum_lost_at().is_some_and(|at| at <= step.now) => self.resign(step),
            _ => return false,
        }
        true
    }

    /// Waits for a leader of `epoch`, which is not older than the node's. A node that has waited for one goes on with
    /// what is left of its patience: else one that cannot win could keep all others from trying.
    pub(super) fn unattach(&mut self, step: &mut Step<'_>, epoch: LeaderEpoch) {
        if epoch > self.election.epoch {
            self.election = ElectionState { epoch, leader: None, voted: None };
        }
        if matches!(self.state, State::Leader(_) | State::Resigned { .. }) {
            self.patience = self.election_wait(step);
        }
        self.retire(step);
        self.state = State::Unattached(Fetching::Due(step.now.after(self.settings.retry_backoff)));
    }

    /// Follows the leader of `epoch`, which is not older than the node's.
    pub(super) fn follow(&mut self, step: &mut Step<'_>, epoch: LeaderEpoch, leader: NodeId) {
        let voted = self.election.voted.filter(|_| epoch == self.election.epoch);
        self.election = ElectionState { epoch, leader: Some(leader), voted };
        self.retire(step);
        let patience = self.settings.fetch_timeout + step.up_to(self.settings.election_timeout / 2);
        self.patience = step.now.after(patience);
        let fetching = Fetching::Due(step.now);
        self.state = State::Follower(Following { leader, fetching, contact: None, ended: false, patience });
    }

    /// Begins a pre-vote.
    fn ask_around(&mut self, step: &mut Step<'_>) {
        self.patience = self.election_wait(step);
        let me = self.settings.me;
        self.state = State::Prospective(Poll::new(me, self.voters.others(me), step.now));
    }

    /// The pre-vote is lost: back to the leader that the others still hear, or to waiting.
    fn stand_down(&mut self, step: &mut Step<'_>) {
        match self.election.leader {
            Some(leader) => self.follow(step, self.election.epoch, leader),
            None => {
                self.patience = self.election_wait(step);
                self.unattach(step, self.election.epoch);
            }
        }
    }

    /// Stands for election in a new epoch.
    fn stand(&mut self, step: &mut Step<'_>) {
        let me = self.settings.me;
        self.election = ElectionState { epoch: self.election.epoch + 1, leader: None, voted: Some(me) };
        self.patience = self.election_wait(step);
        self.state = State::Candidate(Poll::new(me, self.voters.others(me), step.now));
    }

    /// The election is lost: tries again after a drawn while.
    fn give_up(&mut self, step: &mut Step<'_>) {
        let wait = step.up_to(self.settings.election_timeout);
        self.patience = self.patience.min(step.now.after(wait));
        if let State::Candidate(poll) = &mut self.state {
            poll.lost = true;
        }
    }

    pub(super) fn asked_vote(
        &mut self,
        step: &mut Step<'_>,
        from: NodeId,
        pre_vote: bool,
        epoch: LeaderEpoch,
        last: OffsetAndEpoch,
    ) -> Body {
        if epoch < self.election.epoch || from == self.settings.me || self.is_incredible(epoch) {
            return Body::Vote { granted: false };
        }
        if epoch > self.election.epoch {
            self.unattach(step, epoch);
        }
        let mine = step.tail.end();
        let lacks = (last.epoch, last.offset) < (mine.epoch, mine.offset);
        let up_to_date = !lacks || planted(Defect::CtVoteForShorterLog);
        let granted =
            if pre_vote { up_to_date && self.would_let_elect(step.now) } else { self.may_vote_for(from, up_to_date) };
        if granted && !pre_vote {
            self.vote_for(step, from);
        }
        Body::Vote { granted }
    }

    /// Whether an election seems called for (KIP-996): not while a leader is heard.
    fn would_let_elect(&self, now: Mono) -> bool {
        match &self.state {
            State::Leader(_) => false,
            State::Follower(following) => {
                let heard = following.contact.is_some_and(|at| now.since(at) < self.settings.fetch_timeout);
                following.ended || !heard
            }
            _ => true,
        }
    }

    fn may_vote_for(&self, candidate: NodeId, up_to_date: bool) -> bool {
        if !matches!(self.state, State::Unattached(_) | State::Prospective(_)) {
            return false;
        }
        match self.election.voted {
            Some(voted) => voted == candidate,
            None => up_to_date && self.election.leader.is_none(),
        }
    }

    fn vote_for(&mut self, step: &mut Step<'_>, candidate: NodeId) {
        self.election.voted = Some(candidate);
        self.patience = self.election_wait(step);
        self.unattach(step, self.election.epoch);
        if planted(Defect::CtVoteNotPersisted) {
            self.persisted = Some(self.election);
        }
    }

    pub(super) fn answered_vote(&mut self, step: &mut Step<'_>, call: Call, epoch: LeaderEpoch, granted: bool) {
        let (State::Prospective(poll) | State::Candidate(poll)) = &mut self.state else { return };
        let again = (epoch < self.election.epoch).then(|| step.now.after(self.settings.retry_backoff));
        let Some(from) = poll.round.over(call, again) else { return };
        if again.is_none() {
            let side = if granted { &mut poll.granted } else { &mut poll.refused };
            side.insert(from);
        }
    }

    pub(super) fn asked_begin(&mut self, step: &mut Step<'_>, from: NodeId, epoch: LeaderEpoch) -> Body {
        self.learn(step, epoch, Some(from));
        let standing = self.standing(epoch, from);
        if let (Standing::Current, State::Follower(Following { fetching, .. })) = (standing, &mut self.state)
            && let Fetching::Due(at) = fetching
        {
            *at = step.now.min(*at);
        }
        Body::Epoch(standing)
    }

    pub(super) fn asked_end(
        &mut self,
        step: &mut Step<'_>,
        from: NodeId,
        epoch: LeaderEpoch,
        preferred: &[NodeId],
    ) -> Body {
        self.learn(step, epoch, None);
        let standing = match self.election.leader {
            None if epoch == self.election.epoch => Standing::Current,
            _ => self.standing(epoch, from),
        };
        if standing == Standing::Current {
            let wait = self.succession_wait(step, preferred);
            match &mut self.state {
                State::Follower(following) => following.ended = true,
                State::Unattached(_) => {}
                _ => return Body::Epoch(standing),
            }
            self.patience = self.patience.min(step.now.after(wait));
        }
        Body::Epoch(standing)
    }

    /// How long to wait for a better successor: the first of `preferred` not at all.
    fn succession_wait(&self, step: &mut Step<'_>, preferred: &[NodeId]) -> Duration {
        let timeout = self.settings.election_timeout;
        match preferred.iter().position(|node| *node == self.settings.me) {
            Some(0) => Duration::ZERO,
            Some(rank) => (timeout / 4) * u32::try_from(rank).unwrap_or(4).min(4) + step.up_to(timeout / 4),
            None => timeout + step.up_to(timeout),
        }
    }

    /// How a request that names `leader` as the leader of `epoch` stands.
    fn standing(&self, epoch: LeaderEpoch, leader: NodeId) -> Standing {
        match epoch.cmp(&self.election.epoch) {
            std::cmp::Ordering::Less => Standing::Fenced,
            std::cmp::Ordering::Greater => Standing::Unknown,
            std::cmp::Ordering::Equal if self.election.leader == Some(leader) => Standing::Current,
            std::cmp::Ordering::Equal => Standing::NotLeader,
        }
    }

    pub(super) fn answered_epoch(&mut self, step: &mut Step<'_>, call: Call) {
        match &mut self.state {
            State::Leader(leading) => {
                leading.round.over(call, Some(step.now.after(self.settings.fetch_timeout / 2)));
            }
            State::Resigned { round, .. } => {
                round.over(call, None);
            }
            _ => {}
        }
    }

    /// Sends what is due to several peers: votes asked for, epochs begun and ended.
    pub(super) fn send_due(&mut self, step: &mut Step<'_>) {
        self.let_be_who_fetches();
        let epoch = self.election.epoch;
        let last = step.tail.end();
        let request = match &self.state {
            State::Prospective(_) => Request::Vote { pre_vote: true, epoch, last },
            State::Candidate(_) => Request::Vote { pre_vote: false, epoch, last },
            State::Leader(_) => Request::BeginQuorumEpoch { epoch },
            State::Resigned { preferred, .. } => Request::EndQuorumEpoch { epoch, preferred: preferred.clone() },
            State::Unattached(_) | State::Follower(_) => return,
        };
        let until = step.now.after(self.settings.request_timeout);
        for to in self.state.round().map(|round| round.due(step.now)).unwrap_or_default() {
            let call = self.next_call();
            if let Some(round) = self.state.round() {
                round.asked(to, call, until);
            }
            self.emit(step, Effect::Send { to, call, request: request.clone() });
        }
    }
}
