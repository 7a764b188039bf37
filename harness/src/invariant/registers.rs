//! What a group's committed offset of a partition may be, as far as clients can tell: a register that whoever commits
//! writes and whoever looks up reads. Shared by the invariants of committed offsets.
//!
//! A commit that was accepted takes the place of whatever was accepted before it was asked for. One that is open, or of
//! unknown outcome, may take its place at any time, until a newer generation is on record: after that its own is fenced.
//!
//! A coordinator that is cut off and has a successor answers look-ups from what it knows, as Kafka's does: it can have no commit
//! accepted, but until it learns that it is deposed what was there before may be found again.

use std::collections::{BTreeMap, BTreeSet};

use broker::fact::Fact;
use broker::ids::Offset;

use super::coordinators::Coordinators;
use super::{Kinds, View};
use crate::history::{Call, Event, GroupEvent, GroupStep, Kind, Outcome, Reply, TpId};

/// Values of one register looked after at most; beyond, nobody can tell any more.
const MOST: usize = 256;

/// Not yet.
const NEVER: u64 = u64::MAX;

/// A commit that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The next offset to read.
    pub offset: Offset,
    /// By whom.
    pub client: u32,
    /// In which life.
    pub incarnation: u16,
    /// The generation stated.
    pub generation: i32,
    /// When it was accepted, in nanoseconds of world time.
    pub at: u64,
}

/// One value that a register may have.
#[derive(Clone, Copy, Debug)]
struct Value {
    op: Option<u64>,
    offset: Offset,
    generation: i32,
    /// When it was asked for, and by when it was written if it ever was, in events seen.
    called: u64,
    ended: u64,
}

/// One look-up under way.
#[derive(Debug)]
struct Reading {
    client: u32,
    incarnation: u16,
    legal: BTreeSet<Offset>,
    owed: Option<Accepted>,
}

/// The committed offset of one partition.
#[derive(Debug)]
struct Register {
    values: Vec<Value>,
    readings: BTreeMap<u64, Reading>,
    last: Option<Accepted>,
    /// What a deposed coordinator may still tell of.
    outdated: BTreeSet<Offset>,
    /// Too much is in doubt.
    lost: bool,
}

/// A look-up that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LookedUp {
    /// Whose offset was asked for.
    pub group: u32,
    /// Of which partition.
    pub tp: TpId,
    /// Who asked.
    pub client: u32,
    /// What it found; -1 for nothing.
    pub found: Offset,
    /// What it might have found; `None` if nobody can tell.
    pub legal: Option<BTreeSet<Offset>>,
    /// What was accepted last before it asked.
    pub owed: Option<Accepted>,
}

/// All registers.
#[derive(Debug, Default)]
pub(super) struct Registers {
    all: BTreeMap<(u32, TpId), Register>,
    /// Partitions whose topic was deleted, and with it, some time, what was committed for it.
    deleted: BTreeSet<TpId>,
    coordinators: Coordinators,
    /// How many coordinators are deposed and do not know it, and since when so many, in events seen.
    deposed: (usize, u64),
    /// Events seen.
    now: u64,
}

impl Registers {
    /// What it must be shown.
    pub const KINDS: Kinds = Kinds::COMMIT
        .and(Kinds::FETCH_OFFSET)
        .and(Kinds::RETURN)
        .and(Kinds::GROUP)
        .and(Kinds::QUIT)
        .and(Kinds::DELETED)
        .and(Coordinators::KINDS);

    /// Takes an event in. Returns the look-up that it ends, if it ends one well.
    pub fn see(&mut self, event: &Event, view: &View<'_>) -> Option<LookedUp> {
        self.now += 1;
        self.coordinators.see(event);
        self.count_deposed(event.at, view);
        match event.kind {
            Kind::Call { op, call: Call::Commit { group, tp, offset, generation }, .. } => {
                let value = Value { op: Some(op), offset, generation, called: self.now, ended: NEVER };
                self.of(group, tp).is_asked_to_be(value);
            }
            Kind::Call { op, client, incarnation, call: Call::FetchOffset { group, tp } } => {
                self.of(group, tp).is_asked(op, client, incarnation);
            }
            Kind::Return { op, outcome, reply, .. } => return self.returns(event.at, op, outcome, reply, view),
            Kind::Group(step) if step.what == GroupStep::Synced => {
                let of = self.all.iter_mut().filter(|((group, _), _)| *group == step.group);
                of.for_each(|(_, register)| register.fences(step.generation, self.now));
            }
            // Where members have epochs of their own, only what was given to one of them is no other's to commit (KIP-848).
            Kind::Group(GroupEvent { group, generation, what: GroupStep::Assigned { tp, .. }, .. }) => {
                let now = self.now;
                self.of(group, tp).fences(generation, now);
            }
            Kind::Quit { client, incarnation } => {
                let is_over = |reading: &Reading| reading.client == client && reading.incarnation <= incarnation;
                let all = self.all.values_mut();
                all.for_each(|register| register.readings.retain(|_, reading| !is_over(reading)));
            }
            Kind::Fact { tp: Some(tp), fact: Fact::Deleted { .. }, .. } => drop(self.deleted.insert(tp)),
            _ => {}
        }
        None
    }

    fn count_deposed(&mut self, at: u64, view: &View<'_>) {
        let count = self.coordinators.deposed(at, view);
        if count == 0 && self.deposed.0 > 0 {
            self.all.values_mut().for_each(|register| register.outdated.clear());
        }
        // The last to be deposed knows what was accepted before that.
        let since = if count > self.deposed.0 { self.now } else { self.deposed.1 };
        self.deposed = (count, since);
    }

    /// Whether anything can be told of a partition's committed offsets.
    pub fn knows(&self, tp: TpId) -> bool {
        !self.deleted.contains(&tp)
    }

    fn of(&mut self, group: u32, tp: TpId) -> &mut Register {
        self.all.entry((group, tp)).or_default()
    }

    fn returns(&mut self, at: u64, op: u64, outcome: Outcome, reply: Reply, view: &View<'_>) -> Option<LookedUp> {
        let open = view.ledger.current().ended?;
        match open.call {
            Call::Commit { group, tp, offset, generation } => {
                let (now, client, incarnation) = (self.now, open.client, open.incarnation);
                let accepted = Accepted { offset, client, incarnation, generation, at };
                let deposed = Some(self.deposed).filter(|(count, _)| *count > 0);
                let register = self.of(group, tp);
                match outcome {
                    Outcome::Ok => {
                        deposed.into_iter().for_each(|(_, since)| register.outdates(since));
                        register.accepts(op, accepted, reply == Reply::Repeated, now);
                    }
                    Outcome::Fail => register.values.retain(|value| value.op != Some(op)),
                    Outcome::Info => {}
                }
                None
            }
            Call::FetchOffset { group, tp } => {
                let register = self.of(group, tp);
                let (reading, lost) = (register.readings.remove(&op)?, register.lost);
                let Reply::Offset { offset: found } = reply else { return None };
                let legal = (!lost && self.knows(tp)).then_some(reading.legal);
                Some(LookedUp { group, tp, client: open.client, found, legal, owed: reading.owed })
            }
            _ => None,
        }
    }
}

impl Default for Register {
    fn default() -> Self {
        let nothing = Value { op: None, offset: -1, generation: -1, called: 0, ended: 0 };
        Self { values: vec![nothing], readings: BTreeMap::new(), last: None, outdated: BTreeSet::new(), lost: false }
    }
}

impl Register {
    fn is_asked_to_be(&mut self, value: Value) {
        for reading in self.readings.values_mut() {
            reading.legal.insert(value.offset);
        }
        self.lost |= self.values.len() >= MOST;
        if !self.lost {
            self.values.push(value);
        }
    }

    fn is_asked(&mut self, op: u64, client: u32, incarnation: u16) {
        let legal = self.values.iter().map(|value| value.offset).chain(self.outdated.iter().copied()).collect();
        self.readings.insert(op, Reading { client, incarnation, legal, owed: self.last });
    }

    /// A commit is accepted while a coordinator is deposed, `since` then: it knows what was asked for before.
    fn outdates(&mut self, since: u64) {
        let before = self.values.iter().filter(|value| value.called < since);
        self.outdated.extend(before.map(|value| value.offset));
    }

    /// The commit `op` was accepted. `again`: it may be written once more.
    fn accepts(&mut self, op: u64, accepted: Accepted, again: bool, now: u64) {
        self.last = Some(accepted);
        let Some(called) = self.values.iter().find(|value| value.op == Some(op)).map(|value| value.called) else {
            return;
        };
        // Older generations were fenced before it was written, whenever its client heard of that.
        let older = |value: &Value| (0..accepted.generation).contains(&value.generation);
        self.values.retain(|value| value.op == Some(op) || (value.ended > called && !older(value)));
        let it = self.values.iter_mut().find(|value| value.op == Some(op));
        it.into_iter().filter(|value| !again && value.ended == NEVER).for_each(|value| value.ended = now);
    }

    /// A generation is on record: what those before it have not written by now, they never will.
    fn fences(&mut self, generation: i32, now: u64) {
        let older = |value: &&mut Value| (0..generation).contains(&value.generation) && value.ended == NEVER;
        self.values.iter_mut().filter(older).for_each(|value| value.ended = now);
    }
}
