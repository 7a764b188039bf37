//! The metadata quorum: KRaft's pull-based Raft (KIP-595) with pre-vote (KIP-996) and one-at-a-time changes of the voters
//! (KIP-853), as a plain state machine. Time, chance, the log and the network stay outside: see [`Quorum::step`].
//!
//! Who drives it owes it three things. All effects of a step are carried out, in order, before the next step. What
//! [`Effect::Persist`] holds is durable before any later effect. And a position in a fetch is durable before it is sent.
//!
//! What it owes: at most one leader for an epoch; equal logs up to any equal (offset, epoch); a leader that has every
//! committed record; a high watermark that never falls within a life, below which nothing is ever cut.

mod deaf;
mod describe;
mod follow;
mod lead;
mod message;
mod round;
mod state;
mod types;
mod vote;
mod voters;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

pub use describe::Replica;
pub use message::{Answer, Body, Fetched, Refused, Request, Standing};
pub use types::{Call, Effect, ElectionState, Input, OffsetAndEpoch, Part, Role, Settings, Tail, Ticket};

use crate::env::Mono;
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::planted::{Defect, planted};
use round::Round;
use state::{Fetching, State};
use voters::Voters;

/// How far ahead of what a node knows an epoch may be: a million elections that it has not heard of.
const MOST_AHEAD: LeaderEpoch = 1 << 20;

/// One node's part in the metadata quorum, as voter or observer.
#[derive(Clone, Debug)]
pub struct Quorum {
    settings: Settings,
    voters: Voters,
    election: ElectionState,
    /// What the shell was last told to make durable.
    persisted: Option<ElectionState>,
    state: State,
    /// When this state gives up: no leader, no votes, no answer. Leaders have their own measure, observers wait.
    patience: Mono,
    high_watermark: Offset,
    calls: Call,
    told_role: Option<Role>,
    told_wake: Option<Mono>,
}

/// What one step may use.
struct Step<'a> {
    now: Mono,
    tail: &'a dyn Tail,
    draw: &'a mut dyn FnMut() -> u64,
    effects: &'a mut Vec<Effect>,
}

impl Step<'_> {
    /// From nothing to `most`, drawn.
    fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos((self.draw)() % nanos.saturating_add(1).max(1))
    }
}

impl Quorum {
    /// Begins a life with what the last one left: `stored` (`None`: the first life) and the log. Then give it
    /// [`Input::Voters`] for each voters' record in snapshot and log, and [`Input::Tick`].
    pub fn new(
        settings: Settings,
        now: Mono,
        stored: Option<ElectionState>,
        tail: &dyn Tail,
        draw: &mut dyn FnMut() -> u64,
    ) -> Self {
        let mut effects = Vec::new();
        let mut step = Step { now, tail, draw, effects: &mut effects };
        let mut quorum = Self {
            voters: Voters::new(settings.voters.clone()),
            election: stored.unwrap_or_default(),
            persisted: stored,
            state: State::Unattached(Fetching::Due(now)),
            patience: now,
            high_watermark: tail.start().offset,
            calls: 0,
            told_role: None,
            told_wake: None,
            settings,
        };
        if tail.end().epoch > quorum.election.epoch {
            // The log knows of a later epoch than the election file does, which only a lost file explains.
            quorum.election = ElectionState { epoch: tail.end().epoch, leader: None, voted: None };
        }
        quorum.patience = quorum.election_wait(&mut step);
        quorum.resume(&mut step);
        quorum
    }

    /// Takes up the state that the last life was in.
    fn resume(&mut self, step: &mut Step<'_>) {
        let me = self.settings.me;
        match self.election.leader {
            Some(leader) if leader == me && planted(Defect::CtTwoLeadersSameEpoch) => self.take_office(step),
            Some(leader) if leader == me => {
                // Never again in this epoch: its records may be lost with the unsynced tail, and their offsets would be
                // given a second time (KAFKA-10527).
                self.election = ElectionState { leader: None, voted: Some(me), ..self.election };
                let round = Round::of(self.voters.others(me), step.now);
                self.state = State::Resigned { round, preferred: Vec::new() };
            }
            Some(leader) => self.follow(step, self.election.epoch, leader),
            None => {}
        }
    }

    /// Takes one input, and pushes what has to be done about it. `tail` is the log as it is now, `draw` gives random
    /// numbers.
    pub fn step(
        &mut self,
        now: Mono,
        input: Input,
        tail: &dyn Tail,
        draw: &mut dyn FnMut() -> u64,
        effects: &mut Vec<Effect>,
    ) {
        let mut step = Step { now, tail, draw, effects };
        self.take(&mut step, input);
        while self.advance(&mut step) {}
        self.send_due(&mut step);
        self.fetch_due(&mut step);
        self.tell(&mut step);
    }

    fn take(&mut self, step: &mut Step<'_>, input: Input) {
        match input {
            Input::Tick => {}
            Input::Deaf(by) => self.excuse(step, by),
            Input::Asked { from, ticket, request } => self.asked(step, from, ticket, request),
            Input::Answered { call, answer } => self.answered(step, call, answer),
            Input::Failed { call } => self.failed(step, call),
            Input::Accepted { call } => self.accepted(step, call),
            Input::Flushed => self.count(step),
            Input::SnapshotFetched { call } => self.snapshot_fetched(step, call),
            Input::SnapshotLoaded { call } => self.snapshot_loaded(step, call),
            Input::Voters { offset, voters } => self.voters_changed(step, offset, voters),
            Input::Resign => self.resign(step),
        }
    }

    fn asked(&mut self, step: &mut Step<'_>, from: NodeId, ticket: Ticket, request: Request) {
        let body = match request {
            Request::Vote { pre_vote, epoch, last } => self.asked_vote(step, from, pre_vote, epoch, last),
            Request::BeginQuorumEpoch { epoch } => self.asked_begin(step, from, epoch),
            Request::EndQuorumEpoch { epoch, preferred } => self.asked_end(step, from, epoch, &preferred),
            Request::Fetch { epoch, position } => self.asked_fetch(step, from, epoch, position),
            Request::FetchSnapshot { epoch, .. } => self.asked_snapshot(step, from, epoch),
            Request::AddVoter(node) => return self.asked_change(step, ticket, node, true),
            Request::RemoveVoter(node) => return self.asked_change(step, ticket, node, false),
        };
        let answer = self.answer(body);
        self.emit(step, Effect::Answer { ticket, answer });
    }

    fn answered(&mut self, step: &mut Step<'_>, call: Call, answer: Answer) {
        self.learn(step, answer.epoch, answer.leader);
        match answer.body {
            Body::Vote { granted } => self.answered_vote(step, call, answer.epoch, granted),
            Body::Epoch(_) => self.answered_epoch(step, call),
            Body::Fetch(fetched) => self.answered_fetch(step, call, answer.epoch, fetched),
            Body::Voters(_) => {}
        }
    }

    fn failed(&mut self, step: &mut Step<'_>, call: Call) {
        let again = step.now.after(self.settings.retry_backoff);
        if let Some(round) = self.state.round() {
            round.over(call, Some(again));
        }
        if let Some(fetching) = self.state.fetching().filter(|fetching| fetching.about(call)) {
            *fetching = Fetching::Due(again);
        }
    }

    /// Whether no election can have come so far: an epoch is never unlearnt, and the last that there is would end all
    /// elections for good.
    fn is_incredible(&self, epoch: LeaderEpoch) -> bool {
        epoch > self.election.epoch.saturating_add(MOST_AHEAD) || epoch > LeaderEpoch::MAX - MOST_AHEAD
    }

    /// Takes in what a peer knows of epoch and leader.
    fn learn(&mut self, step: &mut Step<'_>, epoch: LeaderEpoch, leader: Option<NodeId>) {
        if self.is_incredible(epoch) {
            return;
        }
        let news = epoch > self.election.epoch;
        let missed = epoch == self.election.epoch && self.election.leader.is_none();
        match leader {
            Some(leader) if leader != self.settings.me && (news || missed) => self.follow(step, epoch, leader),
            Some(_) if news => {
                // This node has led a later epoch than it remembers: it must neither lead nor vote in it again.
                self.unattach(step, epoch);
                self.election.voted = Some(self.settings.me);
            }
            _ if news => self.unattach(step, epoch),
            _ => {}
        }
    }

    /// Pushes an effect; what has to be durable goes first.
    fn emit(&mut self, step: &mut Step<'_>, effect: Effect) {
        self.persist(step);
        step.effects.push(effect);
    }

    fn persist(&mut self, step: &mut Step<'_>) {
        if self.persisted != Some(self.election) {
            self.persisted = Some(self.election);
            step.effects.push(Effect::Persist(self.election));
        }
    }

    /// Tells role and waking time, where they have changed.
    fn tell(&mut self, step: &mut Step<'_>) {
        self.persist(step);
        let role = self.role();
        if self.told_role != Some(role) {
            self.told_role = Some(role);
            self.emit(step, Effect::Role(role));
        }
        let wake = self.next_wake();
        if wake.is_some() && wake != self.told_wake {
            step.effects.extend(wake.map(Effect::WakeAt));
        }
        self.told_wake = wake;
    }

    fn answer(&self, body: Body) -> Answer {
        Answer { epoch: self.election.epoch, leader: self.election.leader, body }
    }

    fn next_call(&mut self) -> Call {
        self.calls += 1;
        self.calls
    }

    fn votes(&self) -> bool {
        self.voters.contains(self.settings.me)
    }

    fn may_stand(&self) -> bool {
        self.voters.may_stand(self.settings.me, self.high_watermark)
    }

    /// When an election that begins now is given up.
    fn election_wait(&self, step: &mut Step<'_>) -> Mono {
        step.now.after(self.settings.election_timeout + step.up_to(self.settings.election_timeout))
    }

    /// This node's part now.
    pub fn role(&self) -> Role {
        let part = match &self.state {
            State::Unattached(_) => Part::Unattached,
            State::Prospective(_) => Part::Prospective,
            State::Candidate(_) => Part::Candidate,
            State::Leader(_) => Part::Leader,
            State::Follower(following) => Part::Follower(following.leader),
            State::Resigned { .. } => Part::Resigned,
        };
        Role { epoch: self.election.epoch, part }
    }

    /// The epoch this node leads, if it does: ask right before each append to the metadata log.
    pub fn leads(&self) -> Option<LeaderEpoch> {
        matches!(self.state, State::Leader(_)).then_some(self.election.epoch)
    }

    /// The newest epoch known, and its leader if known.
    pub fn leader(&self) -> (LeaderEpoch, Option<NodeId>) {
        (self.election.epoch, self.election.leader)
    }

    /// Everything below is known to be committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Who votes now, committed or not.
    pub fn voters(&self) -> &BTreeSet<NodeId> {
        self.voters.current()
    }

    /// Whether this fetch is still wanted; ask before sending it, if anything was awaited since [`Effect::Fetch`].
    pub fn wants(&self, call: Call) -> bool {
        match &self.state {
            State::Unattached(fetching) => fetching.call() == Some(call),
            State::Follower(following) => following.fetching.call() == Some(call),
            _ => false,
        }
    }
}
