//! A group coordinator in the plainest form that Kafka's rules allow: every join begins a round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::super::words::{Answer, Joined, Told};

/// Where an answer goes.
pub type To = (usize, u32, u64);

/// What a member asks.
#[derive(Clone, Debug)]
pub enum Ask {
    Find,
    Join(Arc<str>, &'static str, Bytes),
    Sync(Arc<str>, i32, Vec<(Arc<str>, Bytes)>),
    Beat(Arc<str>, i32),
    Leave(Arc<str>),
}

#[derive(Default)]
struct Seat {
    metadata: Bytes,
    joins: Option<To>,
    syncs: Option<To>,
    assigned: Bytes,
    heard: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Round {
    /// Waits for everyone to join, at most until then.
    Joining(u64),
    /// Waits for the leader's plan, at most until then.
    Syncing(u64),
    Stable,
}

pub struct Coordinator {
    seats: BTreeMap<Arc<str>, Seat>,
    /// Ids that were given out and not used yet.
    given: BTreeSet<Arc<str>>,
    round: Round,
    pub generation: i32,
    leader: Arc<str>,
    protocol: &'static str,
    /// It is not the coordinator until then.
    pub gone_until: u64,
    pub answers: Vec<(To, Answer)>,
}

const SESSION: u64 = 300;
const REBALANCE: u64 = 400;

impl Coordinator {
    pub fn new() -> Self {
        Self {
            seats: BTreeMap::new(),
            given: BTreeSet::new(),
            round: Round::Stable,
            generation: 0,
            leader: "".into(),
            protocol: "",
            gone_until: 0,
            answers: Vec::new(),
        }
    }

    /// Everyone is forgotten, as if all sessions had ended.
    pub fn forgets_all(&mut self) {
        self.seats.clear();
        self.round = Round::Stable;
    }

    pub fn seated(&self, id: &str) -> bool {
        self.seats.contains_key(id)
    }

    pub fn ask(&mut self, now: u64, to: To, ask: Ask) {
        if now < self.gone_until {
            let answer = match ask {
                Ask::Find => Answer::Found(15),
                Ask::Join(..) => joined(16),
                Ask::Sync(..) => Answer::Synced(16, Bytes::new()),
                Ask::Beat(..) => Answer::Beat(16),
                Ask::Leave(_) => return,
            };
            return self.answers.push((to, answer));
        }
        match ask {
            Ask::Find => self.answers.push((to, Answer::Found(0))),
            Ask::Join(id, protocol, metadata) => self.join(now, to, id, protocol, metadata),
            Ask::Sync(id, generation, plan) => self.sync(now, to, &id, generation, plan),
            Ask::Beat(id, generation) => {
                let code = self.check(now, &id, generation);
                let code = if code == 0 && matches!(self.round, Round::Joining(_)) { 27 } else { code };
                self.answers.push((to, Answer::Beat(code)));
            }
            Ask::Leave(id) => self.remove(now, &id),
        }
    }

    /// Ends sessions and rounds that are overdue.
    pub fn tick(&mut self, now: u64) {
        let waits = |seat: &Seat| seat.joins.is_some() || seat.syncs.is_some();
        let overdue = |seat: &Seat| !waits(seat) && seat.heard + SESSION <= now;
        let gone: Vec<_> = self.seats.iter().filter(|(_, seat)| overdue(seat)).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| self.remove(now, id));
        match self.round {
            Round::Joining(until) if until <= now => {
                let late: Vec<_> =
                    self.seats.iter().filter(|(_, s)| s.joins.is_none()).map(|(id, _)| id.clone()).collect();
                late.iter().for_each(|id| drop(self.seats.remove(id)));
                self.complete(now);
            }
            Round::Syncing(until) if until <= now => self.prepare(now),
            _ => {}
        }
    }

    /// Another node takes over: whoever waits is told so.
    pub fn moves(&mut self, now: u64, for_ms: u64) {
        self.gone_until = now + for_ms;
        for seat in self.seats.values_mut() {
            seat.heard = now + for_ms;
            self.answers.extend(seat.joins.take().map(|to| (to, joined(16))));
            self.answers.extend(seat.syncs.take().map(|to| (to, Answer::Synced(16, Bytes::new()))));
        }
    }

    pub fn check(&mut self, now: u64, id: &str, generation: i32) -> i16 {
        match self.seats.get_mut(id) {
            None => 25,
            Some(_) if generation != self.generation => 22,
            Some(seat) => {
                seat.heard = now;
                0
            }
        }
    }

    fn join(&mut self, now: u64, to: To, id: Arc<str>, protocol: &'static str, metadata: Bytes) {
        if id.is_empty() {
            let id: Arc<str> = format!("{}-{}-{}", to.0, to.1, to.2).into();
            self.given.insert(id.clone());
            let required = Joined { code: 79, member_id: id.to_string(), ..Joined::default() };
            return self.answers.push((to, Answer::Joined(Box::new(required))));
        }
        if !self.given.remove(&id) && !self.seats.contains_key(&id) {
            return self.answers.push((to, joined(25)));
        }
        let seat = self.seats.entry(id).or_default();
        (seat.metadata, seat.joins, seat.heard) = (metadata, Some(to), now);
        self.protocol = protocol;
        if !matches!(self.round, Round::Joining(_)) {
            self.prepare(now);
        }
        self.complete_if_all(now);
    }

    fn prepare(&mut self, now: u64) {
        self.round = Round::Joining(now + REBALANCE);
        for seat in self.seats.values_mut() {
            self.answers.extend(seat.syncs.take().map(|to| (to, Answer::Synced(27, Bytes::new()))));
        }
        self.complete_if_all(now);
    }

    fn complete_if_all(&mut self, now: u64) {
        if matches!(self.round, Round::Joining(_)) && self.seats.values().all(|seat| seat.joins.is_some()) {
            self.complete(now);
        }
    }

    fn complete(&mut self, now: u64) {
        self.generation += 1;
        let Some(leader) = self.seats.keys().next().cloned() else {
            self.round = Round::Stable;
            return;
        };
        self.round = Round::Syncing(now + REBALANCE);
        self.leader = leader.clone();
        let told = |(id, seat): (&Arc<str>, &Seat)| Told {
            id: id.to_string(),
            instance: None,
            metadata: seat.metadata.clone(),
        };
        let members: Vec<_> = self.seats.iter().map(told).collect();
        for (id, seat) in &mut self.seats {
            (seat.assigned, seat.heard) = (Bytes::new(), now);
            let Some(to) = seat.joins.take() else { continue };
            let joined = Joined {
                code: 0,
                generation: self.generation,
                protocol: self.protocol.into(),
                leader: leader.to_string(),
                member_id: id.to_string(),
                skip_assignment: false,
                members: if *id == leader { members.clone() } else { Vec::new() },
            };
            self.answers.push((to, Answer::Joined(Box::new(joined))));
        }
    }

    fn sync(&mut self, now: u64, to: To, id: &Arc<str>, generation: i32, plan: Vec<(Arc<str>, Bytes)>) {
        let code = self.check(now, id, generation);
        let code = if code == 0 && matches!(self.round, Round::Joining(_)) { 27 } else { code };
        if code != 0 {
            return self.answers.push((to, Answer::Synced(code, Bytes::new())));
        }
        if let Some(seat) = self.seats.get_mut(id) {
            seat.syncs = Some(to);
        }
        if matches!(self.round, Round::Syncing(_)) && *id == self.leader {
            for (id, assigned) in plan {
                if let Some(seat) = self.seats.get_mut(&id) {
                    seat.assigned = assigned;
                }
            }
            self.round = Round::Stable;
        }
        if self.round == Round::Stable {
            for seat in self.seats.values_mut() {
                let assigned = seat.assigned.clone();
                self.answers.extend(seat.syncs.take().map(|to| (to, Answer::Synced(0, assigned))));
            }
        }
    }

    fn remove(&mut self, now: u64, id: &str) {
        if self.seats.remove(id).is_some() {
            match self.round {
                Round::Joining(_) => self.complete_if_all(now),
                _ => self.prepare(now),
            }
        }
    }
}

fn joined(code: i16) -> Answer {
    Answer::Joined(Box::new(Joined { code, ..Joined::default() }))
}
