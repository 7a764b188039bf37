//! A consumer group beside a good history: its members share the partitions, process what they are handed, commit, leave,
//! crash and come back; by the final read they have processed everything. By the classic protocol all are in one generation;
//! by the newer one (KIP-848) each is in an epoch of its own, and only what changes hands is given up.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::ids::Offset;

use super::{Shape, Synth};
use crate::contract::Contract;
use crate::history::{Call, Delivery, Event, GroupEvent, GroupStep, Kind, Outcome, Phase, Reply, TpId};
use crate::invariant::Rules;
use crate::seed::{Draw, Seed};

/// The client number of the first member.
const MEMBER: u32 = 40_000;
const MEMBERS: u32 = 2;
/// Records handed out at once, at most.
const POLL: i64 = 20;

/// What such a history is judged by.
pub fn rules(shape: Shape) -> Rules {
    let alone = Synth::rules(shape);
    Rules { contract: Contract { groups: 1, ..alone.contract }, ..alone }
}

/// `events` with a group that reads along.
pub fn beside(events: impl IntoIterator<Item = Event>, seed: u64) -> Vec<Event> {
    with(events, seed, false)
}

/// The same, with a group of the newer protocol.
pub fn newer_beside(events: impl IntoIterator<Item = Event>, seed: u64) -> Vec<Event> {
    with(events, seed, true)
}

fn with(events: impl IntoIterator<Item = Event>, seed: u64, newer: bool) -> Vec<Event> {
    let events: Vec<Event> = events.into_iter().collect();
    let mut group = Group { newer, ..Group::of(&events, seed) };
    for event in events {
        group.take(event);
    }
    group.out
}

/// One member, in its present life.
#[derive(Default)]
struct Member {
    incarnation: u16,
    away: bool,
    /// The generation or epoch that it is in.
    epoch: i32,
    /// The next offset to process of each partition that it holds.
    places: BTreeMap<TpId, Offset>,
}

/// The history in the making.
struct Group {
    newer: bool,
    draw: Draw,
    out: Vec<Event>,
    at: u64,
    /// The operations' numbers: those of the history beside are counted anew.
    ops: BTreeMap<u64, u64>,
    next_op: u64,
    records: BTreeMap<(TpId, Offset), Delivery>,
    /// One past the last offset that may be read.
    ends: BTreeMap<TpId, Offset>,
    members: Vec<Member>,
    generation: i32,
    committed: BTreeMap<TpId, Offset>,
    began: bool,
    healed: bool,
}

impl Group {
    fn of(events: &[Event], seed: u64) -> Self {
        let last = events.iter().filter_map(|e| match e.kind {
            Kind::Deliver(d) if d.last => Some(((d.tp, d.offset), Delivery { last: false, ..d })),
            _ => None,
        });
        let ends = events.iter().filter_map(|e| match e.kind {
            Kind::Call { call: Call::Assign { tp, last: true, .. }, .. } => Some((tp, 0)),
            _ => None,
        });
        Self {
            newer: false,
            draw: Seed::new(seed).split("group", 0).draw(),
            out: Vec::new(),
            at: 0,
            ops: BTreeMap::new(),
            next_op: 0,
            records: last.collect(),
            ends: ends.collect(),
            members: (0..MEMBERS).map(|_| Member::default()).collect(),
            generation: 0,
            committed: BTreeMap::new(),
            began: false,
            healed: false,
        }
    }

    /// The next event of the history beside; the group may do something after it, and comes to its end before the final
    /// read.
    fn take(&mut self, event: Event) {
        self.at = event.at;
        let over = matches!(event.kind, Kind::Phase { phase: Phase::FinalRead });
        if over {
            self.finish();
        }
        match &event.kind {
            Kind::Phase { phase: Phase::Strikes } => self.began = true,
            Kind::Phase { phase: Phase::Heal } => self.healed = true,
            Kind::Fact { tp: Some(tp), fact: Fact::Watermarks { high, .. }, .. } => drop(self.ends.insert(*tp, *high)),
            _ => {}
        }
        let kind = self.renumbered(event.kind);
        self.note(kind);
        match (over, self.generation) {
            (true, _) => self.began = false,
            (_, 0) if self.began => self.next_round(false),
            _ if self.began && self.draw.chance(150) => self.act(),
            _ => {}
        }
    }

    fn renumbered(&mut self, kind: Kind) -> Kind {
        let of = |op: u64| *self.ops.get(&op).unwrap_or(&op);
        match kind {
            Kind::Call { op, client, incarnation, call } => {
                self.ops.insert(op, self.next_op);
                self.next_op += 1;
                Kind::Call { op: self.next_op - 1, client, incarnation, call }
            }
            Kind::Return { op, outcome, code, reply } => Kind::Return { op: of(op), outcome, code, reply },
            Kind::Deliver(d) => Kind::Deliver(Delivery { op: of(d.op), ..d }),
            other => other,
        }
    }

    fn note(&mut self, kind: Kind) {
        self.out.push(Event { at: self.at, kind });
    }

    fn client(n: usize) -> u32 {
        MEMBER + u32::try_from(n).unwrap_or(0)
    }

    fn step(&mut self, n: usize, what: GroupStep) {
        let Member { incarnation, epoch: generation, .. } = self.members[n];
        let client = Self::client(n);
        self.note(Kind::Group(GroupEvent { client, incarnation, group: 0, generation, what }));
    }

    fn call(&mut self, n: usize, call: Call) -> u64 {
        let (op, client, incarnation) = (self.next_op, Self::client(n), self.members[n].incarnation);
        self.next_op += 1;
        self.note(Kind::Call { op, client, incarnation, call });
        op
    }

    fn ok(&mut self, op: u64, reply: Reply) {
        self.note(Kind::Return { op, outcome: Outcome::Ok, code: 0, reply });
    }

    fn there(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|n| !self.members[*n].away).collect()
    }

    fn act(&mut self) {
        let there = self.there();
        let n = *self.draw.pick(&there);
        match self.draw.below(100) {
            0..8 if !self.healed => self.next_round(true),
            8..40 => self.commit(n, true),
            40..60 if self.newer => there.into_iter().for_each(|n| self.beats(n)),
            _ => {
                let held: Vec<TpId> = self.members[n].places.keys().copied().collect();
                for tp in held {
                    self.process(n, tp);
                }
            }
        }
    }

    /// Member `n` is handed a few records, and processes them. False if there are none.
    fn process(&mut self, n: usize, tp: TpId) -> bool {
        let from = self.members[n].places.get(&tp).copied().unwrap_or(0);
        let high = self.ends.get(&tp).copied().unwrap_or(0);
        let op = self.call(n, Call::Poll { tp, position: from });
        let to = high.min(from + POLL).max(from);
        for offset in from..to {
            if let Some(record) = self.records.get(&(tp, offset)).copied() {
                self.note(Kind::Deliver(Delivery { op, client: Self::client(n), ..record }));
            }
        }
        let records = u32::try_from(to - from).unwrap_or(0);
        self.ok(op, Reply::Polled { records, position: to, high });
        if to > from {
            self.members[n].places.insert(tp, to);
            self.step(n, GroupStep::Processed { tp, position: to });
        }
        to < high
    }

    /// Member `n` commits what it has processed; in vain at times, or without hearing what came of it.
    fn commit(&mut self, n: usize, in_doubt: bool) {
        let generation = self.members[n].epoch;
        for (tp, offset) in self.members[n].places.clone() {
            if offset == 0 || self.committed.get(&tp) == Some(&offset) {
                continue;
            }
            let op = self.call(n, Call::Commit { group: 0, tp, offset, generation });
            let fate = if in_doubt { self.draw.below(100) } else { 0 };
            if fate < 92 {
                self.committed.insert(tp, offset);
            }
            let (outcome, code) = match fate {
                0..85 => (Outcome::Ok, 0),
                85..96 => (Outcome::Info, -1),
                _ => (Outcome::Fail, 27),
            };
            self.note(Kind::Return { op, outcome, code, reply: Reply::None });
        }
    }

    /// Somebody crashes, goes, or comes back, and all share out anew.
    fn next_round(&mut self, moves: bool) {
        let n = usize::try_from(self.draw.below(u64::from(MEMBERS))).unwrap_or(0);
        if moves && self.members[n].away {
            self.members[n].away = false;
        } else if moves && self.draw.chance(500) {
            let (client, incarnation) = (Self::client(n), self.members[n].incarnation);
            self.note(Kind::Quit { client, incarnation });
            let away = self.there().len() > 1 && self.draw.chance(300);
            self.members[n] = Member { incarnation: incarnation + 1, away, ..Member::default() };
        }
        let there = self.there();
        self.generation += 1;
        match self.newer {
            true => self.share_out(&there),
            false => self.rejoin(&there),
        }
    }

    /// The partitions, each with the member that is to have it.
    fn plan(&self, there: &[usize]) -> Vec<(TpId, usize)> {
        self.ends.keys().copied().zip(there.iter().copied().cycle()).collect()
    }

    /// Everyone gives up everything and is given it anew.
    fn rejoin(&mut self, there: &[usize]) {
        for n in there.iter().copied() {
            if self.draw.chance(700) {
                self.commit(n, true);
            }
            let held = std::mem::take(&mut self.members[n].places);
            held.into_keys().for_each(|tp| self.step(n, GroupStep::Revoked { tp }));
        }
        for (place, n) in there.iter().enumerate() {
            self.members[*n].epoch = self.generation;
            self.step(*n, GroupStep::Entered { leads: place == 0, instance: None });
        }
        there.iter().for_each(|n| self.step(*n, GroupStep::Synced));
        self.plan(there).into_iter().for_each(|(tp, n)| self.begin(n, tp));
    }

    /// What is to be another's is given up; whoever is given something comes to the newest epoch, and who else does, does
    /// with a heartbeat.
    fn share_out(&mut self, there: &[usize]) {
        let plan = self.plan(there);
        for (tp, to) in plan.iter().copied() {
            for n in there.iter().copied().filter(|n| *n != to) {
                if self.members[n].places.contains_key(&tp) {
                    self.commit(n, true);
                    self.members[n].places.remove(&tp);
                    self.step(n, GroupStep::Revoked { tp });
                }
            }
        }
        for (tp, n) in plan {
            if !self.members[n].places.contains_key(&tp) {
                self.comes_to(n, self.generation);
                self.begin(n, tp);
            }
        }
    }

    fn comes_to(&mut self, n: usize, epoch: i32) {
        if self.members[n].epoch != epoch {
            self.members[n].epoch = epoch;
            self.step(n, GroupStep::Entered { leads: false, instance: None });
        }
        self.step(n, GroupStep::Told);
    }

    /// A heartbeat, in which it may learn of a newer epoch.
    fn beats(&mut self, n: usize) {
        let newest = self.draw.chance(500);
        let epoch = if newest || self.members[n].epoch == 0 { self.generation } else { self.members[n].epoch };
        self.comes_to(n, epoch);
    }

    fn begin(&mut self, n: usize, tp: TpId) {
        let op = self.call(n, Call::FetchOffset { group: 0, tp });
        let offset = self.committed.get(&tp).copied().unwrap_or(-1);
        self.ok(op, Reply::Offset { offset });
        let position = offset.max(0);
        self.members[n].places.insert(tp, position);
        self.step(n, GroupStep::Assigned { tp, position });
        let op = self.call(n, Call::Assign { tp, position, last: false });
        self.ok(op, Reply::None);
    }

    fn finish(&mut self) {
        for n in self.there() {
            if self.newer {
                self.comes_to(n, self.generation);
            }
            for tp in self.members[n].places.keys().copied().collect::<Vec<_>>() {
                while self.process(n, tp) {}
            }
            self.commit(n, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::Checker;
    use crate::verdict::Verdict;

    #[test]
    fn a_group_beside_a_good_history_is_good_and_leaves_nothing_untested() {
        let shape = Shape { ops: 2000, ..Shape::default() };
        for (seed, newer) in (0..10).flat_map(|seed| [(seed, false), (seed, true)]) {
            let mut checker = Checker::new(rules(shape));
            let events = with(Synth::new(shape, seed), seed, newer);
            events.iter().for_each(|event| checker.see(event));
            let checked = checker.end(events.last().map_or(0, |event| event.at));
            assert!(checked.findings.is_empty(), "seed {seed}: {:#?}", checked.findings);
            assert_eq!(checked.verdict, Verdict::Pass);
            for id in ["B9", "B11", "B17", "B18g", "B19", "L4", "L7"] {
                assert!(checked.of(id).is_some_and(|row| row.count > 0), "seed {seed}: {id} was not put to the test");
            }
        }
    }
}
