//! Heartbeats of a group come in rounds: what came while the last round was being written is taken in together, what it changes
//! is written in one batch, and nobody is answered before that is committed. If it cannot be written, nothing of it is so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::beat::{Beat, Terms};
use super::{Progress, Roster};
use crate::env::Mono;
use crate::group::classic::{Cx, Group, Then};
use crate::group::record::Record;
use crate::group::request::{Answer, State, Ticket};

/// After a round that could not be written, before somebody is thrown out again.
const RETRY: Duration = Duration::from_millis(500);

/// A group of the newer protocol, as its coordinator keeps it.
#[derive(Debug, Default)]
pub struct Rounds {
    /// As it is committed; `None`: it is no such group.
    pub stands: Option<Roster>,
    /// The round that is being written, and its answers.
    next: Option<(Roster, Vec<(Ticket, Answer)>)>,
    waiting: VecDeque<(Ticket, Beat)>,
    /// Until when members must be heard of.
    sessions: BTreeMap<StrBytes, Mono>,
    /// Until when members must have given up what others are to have.
    revoke_by: BTreeMap<StrBytes, Mono>,
    /// The topics that were looked at last.
    seen: u64,
}

impl Rounds {
    /// As it will be, if what is being written is committed.
    pub fn newest(&self) -> Option<&Roster> {
        self.next.as_ref().map(|(next, _)| next).or(self.stands.as_ref())
    }

    /// Whether anything is under way.
    pub fn is_busy(&self) -> bool {
        self.next.is_some() || !self.waiting.is_empty()
    }

    /// Whether it is a group of the newer protocol, or becomes one.
    pub fn is_used(&self) -> bool {
        self.stands.is_some() || self.is_busy()
    }

    /// Whether nobody is there.
    pub fn is_idle(&self) -> bool {
        !self.is_busy() && self.stands.as_ref().is_none_or(|roster| roster.members.is_empty())
    }

    /// When something is due, unless what is being written comes first.
    pub fn due(&self) -> Option<Mono> {
        let times = self.sessions.values().chain(self.revoke_by.values()).copied();
        times.min().filter(|_| self.next.is_none())
    }

    /// Whose time is up, of those on the roster.
    fn late(&self, now: Mono, roster: &Roster) -> Vec<StrBytes> {
        let owes =
            |id: &StrBytes| roster.members.get(id).is_some_and(|peer| peer.standing.progress == Progress::Revoking);
        let revoking = self.revoke_by.iter().filter(|(id, _)| owes(id));
        let both = self.sessions.iter().chain(revoking);
        both.filter(|(_, until)| **until <= now).map(|(id, _)| id.clone()).collect()
    }

    /// It is committed that the group is so.
    fn stand(&mut self, roster: Roster) {
        let before = self.stands.replace(roster).unwrap_or_default();
        let revoking =
            |roster: &Roster, id: &StrBytes| roster.members.get(id).map(|peer| peer.standing.revoking.clone());
        let newest = self.stands.as_ref();
        // Whoever has something else to give up than before has as long for it again.
        self.revoke_by.retain(|id, _| newest.is_some_and(|newest| revoking(newest, id) == revoking(&before, id)));
    }

    /// Everything is loaded, or a round is over: who is heard of from now on, and who has to give something up.
    fn arm(&mut self, now: Mono, session: Duration) {
        let Some(roster) = &self.stands else {
            self.sessions.clear();
            return self.revoke_by.clear();
        };
        let there = |id: &StrBytes| roster.members.contains_key(id);
        self.sessions.retain(|id, _| there(id));
        self.revoke_by.retain(|id, _| there(id));
        for (id, peer) in &roster.members {
            self.sessions.entry(id.clone()).or_insert(now.after(session));
            if peer.standing.progress == Progress::Revoking {
                let most = Duration::from_millis(u64::try_from(peer.said.rebalance_timeout).unwrap_or(0));
                self.revoke_by.entry(id.clone()).or_insert(now.after(most));
            } else {
                self.revoke_by.remove(id);
            }
        }
    }
}

impl Group {
    /// Takes a heartbeat in that makes sense: answers it now, or when what it changes is committed.
    pub fn beat(&mut self, cx: &mut Cx<'_>, ticket: Ticket, beat: Beat) {
        if !self.rounds.is_used() && (beat.epoch != 0 || !self.may_change()) {
            return cx.answer(ticket, Answer::No(ResponseError::GroupIdNotFound));
        }
        self.rounds.waiting.push_back((ticket, beat));
        self.round(cx);
    }

    /// Whether a group of the one protocol may become one of the other: nobody is in it.
    fn may_change(&self) -> bool {
        self.state == State::Empty && self.given.is_empty() && self.rounds.is_idle()
    }

    /// A member of the classic protocol comes: it may, when no other is there (`group.consumer.migration.policy=disabled`).
    pub fn become_classic(&mut self, cx: &mut Cx<'_>) -> Result<(), ResponseError> {
        if !self.rounds.is_used() {
            return Ok(());
        }
        if self.rounds.is_busy() {
            // Who is there is being decided.
            return Err(ResponseError::CoordinatorLoadInProgress);
        }
        if !self.may_change() {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if let Some(roster) = std::mem::take(&mut self.rounds).stands {
            let records = self.entries(roster.end());
            cx.write(&self.name.clone(), records, Then::Noted);
        }
        Ok(())
    }

    /// These entries, as records of this group.
    pub fn entries(&self, entries: Vec<super::entry::Entry>) -> Vec<Record> {
        entries.into_iter().map(|entry| Record::Consumer { group: self.name.clone(), entry }).collect()
    }

    /// Takes in all that waits, and throws out those whose time is up; unless a round is being written.
    pub fn round(&mut self, cx: &mut Cx<'_>) {
        if self.rounds.next.is_some() {
            return;
        }
        let (now, session) = (cx.now.mono, cx.settings.consumer_session_timeout);
        let before = self.rounds.stands.clone().unwrap_or_default();
        let mut after = before.clone();
        let mut answers = Vec::new();
        for (ticket, beat) in std::mem::take(&mut self.rounds.waiting) {
            let anew = self.rounds.seen != cx.topics.version;
            let terms = Terms { settings: cx.settings, topics: cx.topics, anew, now: cx.now.wall };
            let told = after.beat(&terms, &beat);
            if let Ok(told) = &told {
                self.rounds.sessions.insert(told.member.clone(), now.after(session));
                if told.epoch > 0 {
                    self.rounds.seen = cx.topics.version;
                }
            }
            answers.push((ticket, told.map_or_else(Answer::No, Answer::Beaten)));
        }
        let terms = Terms { settings: cx.settings, topics: cx.topics, anew: false, now: cx.now.wall };
        for id in self.rounds.late(now, &after) {
            after.remove(&terms, &id);
        }
        let mut records = self.entries(before.changes(&after));
        if records.is_empty() {
            self.rounds.arm(now, session);
            answers.into_iter().for_each(|(ticket, answer)| cx.answer(ticket, answer));
            return;
        }
        if self.rounds.stands.is_none() && self.stored {
            records.insert(0, Record::Group { group: self.name.clone(), generation: None });
        }
        self.rounds.next = Some((after, answers));
        cx.write(&self.name.clone(), records, Then::Round);
    }

    /// The round is committed.
    pub fn round_stands(&mut self, cx: &mut Cx<'_>) {
        let Some((roster, answers)) = self.rounds.next.take() else { return };
        if self.rounds.stands.is_none() {
            *self = Group {
                rounds: std::mem::take(&mut self.rounds),
                offsets: std::mem::take(&mut self.offsets),
                pending: std::mem::take(&mut self.pending),
                armed: self.armed,
                ..Group::new(self.name.clone(), cx.now)
            };
        }
        let at_rest = roster.is_at_rest();
        self.rounds.stand(roster);
        self.count_rebalance(cx.now.mono, at_rest);
        self.stored = true;
        let (now, session) = (cx.now.mono, cx.settings.consumer_session_timeout);
        for (ticket, answer) in answers {
            if let Answer::Beaten(told) = &answer {
                // It could say nothing while it waited.
                self.rounds.sessions.insert(told.member.clone(), now.after(session));
            }
            cx.answer(ticket, answer);
        }
        self.rounds.arm(now, session);
        self.round(cx);
    }

    /// The round could not be written: who was to be thrown out is so a little later.
    pub fn round_failed(&mut self, cx: &mut Cx<'_>, error: ResponseError) {
        let Some((_, answers)) = self.rounds.next.take() else { return };
        let error = match error {
            ResponseError::NotCoordinator => error,
            _ => ResponseError::CoordinatorNotAvailable,
        };
        for (ticket, answer) in answers {
            cx.answer(ticket, if let Answer::No(_) = answer { answer } else { Answer::No(error) });
        }
        let now = cx.now.mono;
        let rounds = &mut self.rounds;
        // What was seen of the topics is not on record either.
        rounds.seen = 0;
        for until in rounds.sessions.values_mut().chain(rounds.revoke_by.values_mut()).filter(|until| **until <= now) {
            *until = now.after(RETRY);
        }
        self.rounds.arm(now, cx.settings.consumer_session_timeout);
        self.round(cx);
    }

    /// Everything is loaded: sessions begin.
    pub fn rounds_loaded(&mut self, now: Mono, session: Duration) {
        if let Some(roster) = &mut self.rounds.stands {
            // Whoever stands nowhere is of a group that is gone.
            roster.members.retain(|_, peer| peer.standing.epoch != 0);
        }
        self.rounds.arm(now, session);
    }
}
