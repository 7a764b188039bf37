//! All groups of one partition of the internal topic.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::classic::{Cx, Group, Then, Write};
use super::consumer::entry::Entry;
use super::consumer::rounds::Rounds;
use super::consumer::{Roster, Topics};
use super::offsets::{EXPIRY_CHECK, HASTY};
use super::protocol::CONSUMER;
use super::record::{Committed, Record};
use super::request::{
    Answer, Asked, Commits, Described, Effect, GroupMeasured, Input, Join, Listed, Now, Ticket, Token,
};
use crate::config::GroupConfig;
use crate::env::Mono;
use crate::ids::{Offset, TopicPartition};
use crate::planted::{Defect, planted};

/// The coordinator of the groups of one partition, for as long as this node leads it.
#[derive(Debug)]
pub struct Shard {
    settings: GroupConfig,
    topics: Rc<Topics>,
    groups: BTreeMap<StrBytes, Group>,
    /// Which group is to be looked at when.
    due: BTreeSet<(Mono, StrBytes)>,
    expiry: Mono,
    /// In the order of the log.
    writes: VecDeque<Write>,
    next_token: Token,
}

impl Shard {
    /// With no groups yet.
    pub fn new(settings: GroupConfig, now: Now) -> Self {
        Self {
            settings,
            topics: Rc::default(),
            groups: BTreeMap::new(),
            due: BTreeSet::new(),
            expiry: now.mono.after(if planted(Defect::GcExpireInRebalance) { HASTY } else { EXPIRY_CHECK }),
            writes: VecDeque::new(),
            next_token: 0,
        }
    }

    /// Folds a committed record in, before the first input.
    pub fn load(&mut self, record: Record, now: Now) {
        let name = record.group().clone();
        let group = self.groups.entry(name.clone()).or_insert_with(|| Group::new(name.clone(), now));
        match record {
            Record::Offset { tp, committed: Some(committed), .. } => drop(group.offsets.insert(tp, committed)),
            Record::Offset { tp, committed: None, .. } => drop(group.offsets.remove(&tp)),
            Record::Group { generation: Some(generation), .. } => {
                group.rounds.stands = None;
                group.restore(generation);
            }
            Record::Group { generation: None, .. } => {
                let (offsets, rounds) = (std::mem::take(&mut group.offsets), std::mem::take(&mut group.rounds));
                *group = Group { offsets, stored: rounds.stands.is_some(), rounds, ..Group::new(name.clone(), now) };
            }
            // The last that is written of a group that ends.
            Record::Consumer { entry: Entry::Epoch(None), .. } => {
                group.stored &= group.rounds.stands.take().is_none();
            }
            Record::Consumer { entry, .. } if group.rounds.stands.is_none() && entry.is_end() => {}
            Record::Consumer { entry, .. } => {
                group.stored = true;
                group.rounds.stands.get_or_insert_default().load(entry);
            }
        }
        if !group.stored && group.offsets.is_empty() {
            self.forget(&name);
        }
    }

    /// Everything is folded in: sessions begin.
    pub fn loaded(&mut self, now: Now) {
        for group in self.groups.values_mut() {
            group.members.values_mut().for_each(|member| member.heard(now.mono));
            group.rounds_loaded(now.mono, self.settings.consumer_session_timeout);
            if planted(Defect::GcLoadExpiresOffsets) {
                group.offsets.clear();
            }
        }
        for name in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.rearm(&name);
        }
    }

    /// One input; what is to be done about it goes to `out`.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Asked(ticket, asked) => self.asked(now, ticket, asked, out),
            Input::Appended(token, end) => {
                if let Some(write) = self.writes.iter_mut().find(|write| write.token == token) {
                    write.end = Some(end);
                }
                if planted(Defect::GcFailoverLosesOffsets) {
                    self.stand_below(now, end, out);
                }
            }
            Input::Refused(token, error) => {
                if let Some(at) = self.writes.iter().position(|write| write.token == token)
                    && let Some(write) = self.writes.remove(at)
                {
                    self.refused(now, write, error, out);
                }
            }
            Input::HighWatermark(high) => self.stand_below(now, high, out),
            Input::TopicGone(topic) => {
                for name in self.groups.keys().cloned().collect::<Vec<_>>() {
                    self.with(now, &name, false, out, |group, cx| group.topic_gone(cx, &topic));
                }
            }
            Input::Topics(topics) => self.topics = topics,
            Input::Tick => self.tick(now, out),
        }
    }

    /// When [`Input::Tick`] is due.
    pub fn due(&self) -> Mono {
        let groups = self.due.first().map(|(at, _)| *at);
        let write = self.writes.iter().find(|write| write.then.holds_up()).map(|write| write.by);
        groups.into_iter().chain(write).fold(self.expiry, Mono::min)
    }

    /// What a group has committed; only what is committed for good.
    pub fn committed(&self, group: &StrBytes, tp: &TopicPartition) -> Option<&Committed> {
        self.groups.get(group)?.offsets.get(tp)
    }

    /// Everything a group has committed.
    pub fn all_committed(&self, group: &StrBytes) -> impl Iterator<Item = (&TopicPartition, &Committed)> {
        self.groups.get(group).into_iter().flat_map(|group| &group.offsets)
    }

    /// The topics that any of its groups has committed offsets of.
    pub fn topics(&self) -> BTreeSet<&Arc<str>> {
        self.groups.values().flat_map(|group| group.offsets.keys()).map(|tp| &tp.topic).collect()
    }

    /// Describes a group of the classic protocol; `None`: there is none.
    pub fn describe(&self, group: &StrBytes) -> Option<Described> {
        self.groups.get(group).filter(|group| group.rounds.stands.is_none()).map(Group::describe)
    }

    /// What is known of a group of the newer protocol; `None`: there is none.
    pub fn roster(&self, group: &StrBytes) -> Option<&Roster> {
        self.groups.get(group)?.rounds.stands.as_ref()
    }

    /// Its groups.
    pub fn list(&self) -> impl Iterator<Item = (&StrBytes, Listed<'_>)> {
        self.groups.iter().map(|(name, group)| {
            let listed = match &group.rounds.stands {
                Some(roster) => Listed { protocol_type: CONSUMER, kind: "consumer", state: roster.state() },
                None => Listed { protocol_type: &group.protocol_type, kind: "classic", state: group.state.name() },
            };
            (name, listed)
        })
    }

    /// Whether a member of the newer protocol may ask what its group has committed: one that knows its epoch, or whoever is
    /// no member.
    pub fn check_fetch(&self, group: &StrBytes, member: Option<&StrBytes>, epoch: i32) -> Result<(), ResponseError> {
        let (Some(roster), true) = (self.roster(group), member.is_some() || epoch >= 0) else { return Ok(()) };
        match member.and_then(|member| roster.members.get(member)) {
            None => Err(ResponseError::UnknownMemberId),
            Some(peer) if peer.standing.epoch != epoch => Err(ResponseError::StaleMemberEpoch),
            Some(_) => Ok(()),
        }
    }

    /// What its groups amount to.
    pub fn measure(&self) -> impl Iterator<Item = GroupMeasured> {
        self.groups.iter().map(|(name, group)| GroupMeasured {
            group: name.clone(),
            members: group.rounds.stands.as_ref().map_or(group.members.len(), |roster| roster.members.len()),
            rebalances: group.rebalances,
            committed: group.offsets.iter().map(|(tp, committed)| (tp.clone(), committed.offset)).collect(),
        })
    }

    /// Has `f` change a group, and sees to what is due of it. `make`: a group that is not there is made.
    fn with<T>(
        &mut self,
        now: Now,
        name: &StrBytes,
        make: bool,
        out: &mut Vec<Effect>,
        f: impl FnOnce(&mut Group, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        if make && !self.groups.contains_key(name) {
            self.groups.insert(name.clone(), Group::new(name.clone(), now));
        }
        let group = self.groups.get_mut(name)?;
        let (settings, topics) = (&self.settings, &*self.topics);
        let (writes, next_token) = (&mut self.writes, &mut self.next_token);
        let done = f(group, &mut Cx { now, settings, topics, writes, next_token, out });
        // Nothing is known of it, nor is it known to the log: a request that was refused left it.
        if group.is_idle() && !group.stored && group.offsets.is_empty() {
            self.forget(name);
        } else {
            self.rearm(name);
        }
        Some(done)
    }

    fn forget(&mut self, name: &StrBytes) {
        if let Some(at) = self.groups.remove(name).and_then(|group| group.armed) {
            self.due.remove(&(at, name.clone()));
        }
    }

    fn rearm(&mut self, name: &StrBytes) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let due = group.due();
        let before = std::mem::replace(&mut group.armed, due);
        if before != due {
            before.map(|at| self.due.remove(&(at, name.clone())));
            due.map(|at| self.due.insert((at, name.clone())));
        }
    }

    fn asked(&mut self, now: Now, ticket: Ticket, asked: Asked, out: &mut Vec<Effect>) {
        match asked {
            Asked::Join(join) => self.join(now, ticket, *join, out),
            Asked::Sync(sync) => {
                let name = sync.who.group.clone();
                let done = self.with(now, &name, false, out, |group, cx| group.sync(cx, ticket, sync));
                done.unwrap_or_else(|| answer(out, ticket, Answer::No(ResponseError::UnknownMemberId)));
            }
            Asked::Heartbeat(who) => {
                let done = self.with(now, &who.group, false, out, |group, cx| group.heartbeat(cx, &who));
                answer(out, ticket, end(done.unwrap_or(Err(ResponseError::UnknownMemberId))));
            }
            Asked::Beat(beat) => {
                if let Err(error) = beat.check(&self.settings) {
                    return answer(out, ticket, Answer::No(error));
                }
                let (name, enters) = (beat.group.clone(), beat.epoch == 0);
                let done = self.with(now, &name, enters, out, |group, cx| group.beat(cx, ticket, *beat));
                done.unwrap_or_else(|| answer(out, ticket, Answer::No(ResponseError::GroupIdNotFound)));
            }
            Asked::Leave(name, members) => {
                let each = |group: &mut Group, cx: &mut Cx<'_>| {
                    members.iter().map(|(id, instance)| group.leave(cx, id, instance.as_ref())).collect()
                };
                let left = self.with(now, &name, false, out, each);
                let nobody = || vec![Err(ResponseError::UnknownMemberId); members.len()];
                answer(out, ticket, Answer::Left(left.unwrap_or_else(nobody)));
            }
            Asked::Commit(commits) => self.commit(now, ticket, commits, out),
            Asked::Delete(name) => {
                let done = self.with(now, &name, false, out, |group, cx| group.delete(cx, ticket));
                done.unwrap_or_else(|| answer(out, ticket, Answer::No(ResponseError::GroupIdNotFound)));
            }
            Asked::Forget(name, offsets) => {
                let done = self.with(now, &name, false, out, |group, cx| group.forget(cx, ticket, offsets));
                done.unwrap_or_else(|| answer(out, ticket, Answer::No(ResponseError::GroupIdNotFound)));
            }
        }
    }

    fn join(&mut self, now: Now, ticket: Ticket, join: Join, out: &mut Vec<Effect>) {
        let bounds = self.settings.min_session_timeout..=self.settings.max_session_timeout;
        if !bounds.contains(&join.session_timeout) {
            return answer(out, ticket, Answer::NotJoined(ResponseError::InvalidSessionTimeout, join.member));
        }
        if !join.member.is_empty() && !self.groups.contains_key(&join.group) {
            return answer(out, ticket, Answer::NotJoined(ResponseError::UnknownMemberId, join.member));
        }
        let name = join.group.clone();
        self.with(now, &name, true, out, |group, cx| group.join(cx, ticket, join));
    }

    fn commit(&mut self, now: Now, ticket: Ticket, commits: Commits, out: &mut Vec<Effect>) {
        let who = &commits.who;
        if who.generation >= 0 && !self.groups.contains_key(&who.group) {
            return answer(out, ticket, Answer::No(ResponseError::IllegalGeneration));
        }
        let name = who.group.clone();
        self.with(now, &name, true, out, |group, cx| group.commit(cx, ticket, commits));
    }

    /// What is written below `high` is committed.
    fn stand_below(&mut self, now: Now, high: Offset, out: &mut Vec<Effect>) {
        while let Some(write) = self.writes.pop_front_if(|write| write.end.is_some_and(|end| end <= high)) {
            self.stands(now, write, out);
        }
    }

    /// A write is committed.
    fn stands(&mut self, now: Now, write: Write, out: &mut Vec<Effect>) {
        let Write { group: name, then, .. } = write;
        match then {
            Then::Offsets { offsets, ticket, ends } => {
                // Its group may be gone since: what was written before that was, was forgotten with it.
                self.with(now, &name, true, out, |group, _| group.settle(offsets, true));
                answer(out, ticket, Answer::Offsets(ends));
            }
            Then::Assigned { generation, assignments } => {
                self.with(now, &name, false, out, |group, cx| group.assignment_stands(cx, generation, assignments));
            }
            Then::Replaced { ticket, joined } => answer(out, ticket, Answer::Joined(joined)),
            Then::Round => drop(self.with(now, &name, false, out, Group::round_stands)),
            Then::Forgotten { offsets, gone, answer: told } => {
                self.with(now, &name, false, out, |group, _| {
                    offsets.iter().for_each(|tp| drop(group.offsets.remove(tp)));
                    if gone && group.is_idle() {
                        (group.stored, group.rounds) = (false, Rounds::default());
                    }
                });
                if let Some((ticket, told)) = told {
                    answer(out, ticket, told);
                }
            }
            Then::Noted => {}
        }
    }

    /// A write has failed: nothing of it is so.
    fn refused(&mut self, now: Now, write: Write, error: ResponseError, out: &mut Vec<Effect>) {
        let Write { group: name, then, .. } = write;
        self.with(now, &name, true, out, |group, cx| match then {
            Then::Offsets { offsets, ticket, .. } => {
                group.settle(offsets, false);
                cx.answer(ticket, Answer::No(error));
            }
            Then::Assigned { generation, .. } => group.assignment_failed(cx, generation, error),
            Then::Replaced { ticket, joined } => cx.answer(ticket, Answer::NotJoined(error, joined.member)),
            Then::Round => group.round_failed(cx, error),
            Then::Forgotten { answer: Some((ticket, _)), .. } => cx.answer(ticket, Answer::No(error)),
            Then::Forgotten { .. } | Then::Noted => {}
        });
    }

    /// Whoever waits for a write that takes too long is told so. It may be committed yet.
    fn hurry(&mut self, now: Now, out: &mut Vec<Effect>) {
        let late = |write: &&mut Write| write.then.holds_up() && write.by <= now.mono;
        let late = self.writes.iter_mut().filter(late);
        let late: Vec<(StrBytes, Then)> =
            late.map(|write| (write.group.clone(), std::mem::replace(&mut write.then, Then::Noted))).collect();
        let error = ResponseError::CoordinatorNotAvailable;
        for (name, then) in late {
            self.with(now, &name, false, out, |group, cx| match then {
                Then::Assigned { generation, .. } => group.assignment_failed(cx, generation, error),
                Then::Replaced { ticket, joined } => cx.answer(ticket, Answer::NotJoined(error, joined.member)),
                _ => {}
            });
        }
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        // Each once: what is due again at once is for the next tick.
        let due: Vec<StrBytes> =
            self.due.iter().take_while(|(at, _)| *at <= now.mono).map(|(_, name)| name.clone()).collect();
        for name in due {
            self.with(now, &name, false, out, Group::tick);
        }
        self.hurry(now, out);
        if self.expiry <= now.mono {
            self.expiry = now.mono.after(if planted(Defect::GcExpireInRebalance) { HASTY } else { EXPIRY_CHECK });
            for name in self.groups.keys().cloned().collect::<Vec<_>>() {
                self.with(now, &name, false, out, Group::expire);
            }
        }
    }
}

fn answer(out: &mut Vec<Effect>, ticket: Ticket, answer: Answer) {
    out.push(Effect::Answer(ticket, answer));
}

fn end(done: Result<(), ResponseError>) -> Answer {
    done.map_or_else(Answer::No, |()| Answer::Done)
}
