//! Good histories out of nothing: what a sound log and its clients might have shown, as a stream of any length. They
//! measure the checker, and mutations of them (see [`super::mutate`]) prove that it sees.
//!
//! A model broker keeps the log; producers batch, retry (and leave second copies), give up, fail and crash; tailing
//! consumers poll and seek; the node's process crashes and its power goes, taking what was not synced.

use std::collections::VecDeque;

use broker::fact::{BatchMark, Fact};
use broker::ids::{NodeId, Offset, Timestamp, TopicPartition};

use super::{Call, Delivery, Event, Kind, Outcome, Phase, RecordId, Reply, TpId};
use crate::contract::Contract;
use crate::invariant::Rules;
use crate::seed::{Draw, Seed};

pub mod apps;
pub mod copies;
pub mod groups;
mod model;

use model::{Model, Stored};

/// The client number of the first tailing consumer; producers count from 0.
const TAILER: u32 = 10_000;
/// The client that asks ListOffsets.
const SEEKER: u32 = 20_000;
/// The client of the final read.
const READER: u32 = 30_000;
/// Records of one poll at most.
const POLL: usize = 500;
/// Look-ups by timestamp are asked only of logs that the model can scan quickly.
const SCANNED: usize = 4096;

/// How large a history is, and of what.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Client calls, about.
    pub ops: u64,
    /// Producers.
    pub producers: u32,
    /// Partitions.
    pub partitions: u32,
    /// Consumers that follow every partition.
    pub tailers: u32,
    /// Records of one batch, at most.
    pub batch: u64,
    /// Of a thousand batches, before how many the node crashes.
    pub crashes: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { ops: 400, producers: 3, partitions: 2, tailers: 1, batch: 4, crashes: 15 }
    }
}

/// One producer: its life, its next sequences, and the batch it waits for.
struct Producer {
    incarnation: u16,
    seqs: Vec<u32>,
    open: Option<Batch>,
}

/// A batch in flight: the calls `op` and on, one a record.
#[derive(Clone, Copy)]
struct Batch {
    tp: TpId,
    first: u32,
    count: u32,
    op: u64,
}

/// How far the history has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Load,
    Healed,
    Draining,
    Reading(u32),
    Over,
}

/// A stream of the events of a good history.
pub struct Synth {
    shape: Shape,
    draw: Draw,
    at: u64,
    op: u64,
    strikes: u32,
    stage: Stage,
    producers: Vec<Producer>,
    models: Vec<Model>,
    /// Each tailer's position in each partition.
    tails: Vec<Vec<Option<Offset>>>,
    incarnation: u32,
    out: VecDeque<Event>,
}

/// The timestamp of a record: rises with its sequence, but not strictly with its offset.
pub fn timestamp(id: RecordId) -> Timestamp {
    let seq = i64::try_from(id.seq).unwrap_or(0);
    1_700_000_000_000 + seq * 7 - i64::from(id.producer % 5) * 20
}

/// The checksum of a record.
pub fn checksum(id: RecordId) -> u32 {
    let mixed = id.seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(id.producer) << 20 ^ u64::from(id.incarnation);
    u32::try_from((mixed ^ mixed >> 32) & 0xFFFF_FFFF).unwrap_or(0)
}

impl Synth {
    /// The history of this shape and seed.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let partitions = shape.partitions as usize;
        let producer = |_| Producer { incarnation: 0, seqs: vec![0; partitions], open: None };
        let mut synth = Self {
            shape,
            draw: Seed::new(seed).split("synth", 0).draw(),
            at: 0,
            op: 0,
            strikes: 0,
            stage: Stage::Load,
            producers: (0..shape.producers).map(producer).collect(),
            models: (0..shape.partitions).map(Model::new).collect(),
            tails: (0..shape.tailers).map(|_| vec![None; partitions]).collect(),
            incarnation: 0,
            out: VecDeque::new(),
        };
        synth.note(Kind::Phase { phase: Phase::WarmUp });
        synth.note(Kind::Phase { phase: Phase::Strikes });
        synth
    }

    /// What such a history is judged by: every acknowledged record is kept, whatever crashes.
    pub fn rules(shape: Shape) -> Rules {
        Rules::new(Contract { power_loss: true, ..Contract::default() }, shape.partitions)
    }

    fn note(&mut self, kind: Kind) {
        self.at += 1000 + self.draw.below(20_000);
        self.out.push_back(Event { at: self.at, kind });
    }

    fn fact(&mut self, tp: TpId, fact: Fact) {
        let (node, incarnation) = (NodeId(0), self.incarnation);
        self.note(Kind::Fact { node, incarnation, tp: Some(tp), fact });
    }

    fn call(&mut self, client: u32, incarnation: u16, call: Call) -> u64 {
        let op = self.op;
        self.op += 1;
        self.note(Kind::Call { op, client, incarnation, call });
        op
    }

    fn ok(&mut self, op: u64, reply: Reply) {
        self.note(Kind::Return { op, outcome: Outcome::Ok, code: 0, reply });
    }

    fn model(&self, tp: TpId) -> &Model {
        &self.models[tp.0 as usize]
    }

    fn any_tp(&mut self) -> TpId {
        TpId(u32::try_from(self.draw.below(u64::from(self.shape.partitions))).unwrap_or(0))
    }

    fn step(&mut self) {
        match self.stage {
            Stage::Load if self.op >= self.shape.ops * 9 / 10 => {
                self.note(Kind::Phase { phase: Phase::Heal });
                self.stage = Stage::Healed;
            }
            Stage::Healed if self.op >= self.shape.ops => {
                self.note(Kind::Phase { phase: Phase::Drain });
                self.stage = Stage::Draining;
            }
            Stage::Load | Stage::Healed => self.load(),
            Stage::Draining => {
                for n in 0..self.producers.len() {
                    self.resolve(n);
                }
                self.note(Kind::Phase { phase: Phase::FinalRead });
                self.stage = Stage::Reading(0);
            }
            Stage::Reading(tp) if tp < self.shape.partitions => self.read_on(TpId(tp)),
            Stage::Reading(_) => self.audit(),
            Stage::Over => {}
        }
    }

    fn load(&mut self) {
        let crashes = self.shape.crashes;
        match self.draw.below(100) {
            0..15 => {
                let (n, tp) = (self.draw.below(u64::from(self.shape.tailers)), self.any_tp());
                self.tail(usize::try_from(n).unwrap_or(0), tp);
            }
            15 => self.ask(),
            _ if self.stage == Stage::Load && self.draw.chance(crashes) => self.crash(),
            _ => {
                let n = usize::try_from(self.draw.below(u64::from(self.shape.producers))).unwrap_or(0);
                match self.producers[n].open {
                    None => self.send(n),
                    Some(_) => self.resolve(n),
                }
            }
        }
    }

    /// A producer sends a batch: a call for each record.
    fn send(&mut self, n: usize) {
        let tp = self.any_tp();
        let count = u32::try_from(self.draw.between(1, self.shape.batch)).unwrap_or(1);
        let producer = &mut self.producers[n];
        let (first, incarnation) = (producer.seqs[tp.0 as usize], producer.incarnation);
        producer.seqs[tp.0 as usize] += count;
        producer.open = Some(Batch { tp, first, count, op: self.op });
        for seq in first..first + count {
            let client = u32::try_from(n).unwrap_or(0);
            let id = RecordId { producer: client, incarnation, seq: u64::from(seq) };
            let (checksum, timestamp) = (checksum(id), timestamp(id));
            self.call(client, incarnation, Call::Send { tp, id, checksum, timestamp, acks: -1 });
        }
    }

    /// What becomes of a producer's open batch.
    fn resolve(&mut self, n: usize) {
        let Some(batch) = self.producers[n].open.take() else { return };
        let producer = (u32::try_from(n).unwrap_or(0), self.producers[n].incarnation);
        // Once everything is cured, every send succeeds.
        let fate = if self.stage == Stage::Load { self.draw.below(1000) } else { 500 };
        // A first copy whose acknowledgement is lost; the retry leaves a second one.
        if fate < 30 {
            self.append(producer, batch, true);
        }
        match fate {
            0..930 => {
                let base = self.append(producer, batch, true);
                self.returns(batch, Outcome::Ok, Some(base));
            }
            930..950 => {
                self.append(producer, batch, false);
                self.returns(batch, Outcome::Info, None);
            }
            950..965 => self.returns(batch, Outcome::Info, None),
            965..990 => self.returns(batch, Outcome::Fail, None),
            _ => {
                if fate < 995 {
                    self.append(producer, batch, false);
                }
                self.note(Kind::Quit { client: producer.0, incarnation: producer.1 });
                self.producers[n].incarnation += 1;
                self.producers[n].seqs.fill(0);
            }
        }
    }

    fn returns(&mut self, batch: Batch, outcome: Outcome, base: Option<Offset>) {
        let code = if outcome == Outcome::Ok { 0 } else { -1 };
        for n in 0..batch.count {
            let reply = base.map_or(Reply::None, |base| Reply::Sent { offset: base + i64::from(n) });
            self.note(Kind::Return { op: batch.op + u64::from(n), outcome, code, reply });
        }
    }

    /// The node appends and syncs a batch; with `acks` it acknowledges it as well.
    fn append(&mut self, producer: (u32, u16), batch: Batch, acks: bool) -> Offset {
        let (tp, name) = (batch.tp, self.model(batch.tp).name.clone());
        let mark = self.models[tp.0 as usize].append(producer, batch.first, batch.count);
        let (base, last, end) = (mark.base, mark.last, mark.last + 1);
        self.fact(tp, Fact::Appended { tp: name.clone(), batch: mark, epoch: 0, max_timestamp: 0 });
        self.fact(tp, Fact::Flushed { tp: name.clone(), upto: end });
        self.watermarks(tp);
        if acks {
            self.fact(tp, Fact::Acked { tp: name, base, last, acks: -1, durable: true, replicas: 1 });
        }
        base
    }

    fn watermarks(&mut self, tp: TpId) {
        let (end, name) = (self.model(tp).end(), self.model(tp).name.clone());
        self.fact(tp, Fact::Watermarks { tp: name, log_start: 0, stable: end, high: end, end, epoch: 0 });
    }

    /// A tailer polls, or at times begins again.
    fn tail(&mut self, n: usize, tp: TpId) {
        let client = TAILER + u32::try_from(n).unwrap_or(0);
        let seeks = self.draw.chance(20);
        let position = match self.tails[n][tp.0 as usize] {
            Some(position) if !seeks => position,
            before => {
                let to = before.unwrap_or(0).saturating_sub(i64::try_from(self.draw.below(50)).unwrap_or(0)).max(0);
                let op = self.call(client, 0, Call::Assign { tp, position: to, last: false });
                self.ok(op, Reply::None);
                to
            }
        };
        self.tails[n][tp.0 as usize] = Some(self.poll(client, tp, position, false));
    }

    fn poll(&mut self, client: u32, tp: TpId, position: Offset, last: bool) -> Offset {
        let op = self.call(client, 0, Call::Poll { tp, position });
        let high = self.model(tp).end();
        let next = high.min(position + i64::try_from(POLL).unwrap_or(0));
        if next > position {
            let name = self.model(tp).name.clone();
            self.fact(tp, Fact::Served { tp: name, from: position, upto: next, high });
        }
        for offset in position..next {
            let id = self.model(tp).record(offset).map(Stored::id);
            let (sum, time) = id.map_or((0, -1), |id| (checksum(id), timestamp(id)));
            self.note(Kind::Deliver(Delivery {
                op,
                client,
                tp,
                offset,
                id,
                checksum: sum,
                timestamp: time,
                epoch: 0,
                last,
            }));
        }
        let records = u32::try_from(next - position).unwrap_or(0);
        self.ok(op, Reply::Polled { records, position: next, high });
        next
    }

    /// Somebody asks ListOffsets.
    fn ask(&mut self) {
        let tp = self.any_tp();
        let scanned = self.model(tp).len() <= SCANNED;
        let query = match self.draw.below(4) {
            0 => -2,
            1 if scanned => -3,
            2 if scanned => 1_700_000_000_000 + i64::try_from(self.draw.below(3000)).unwrap_or(0) - 100,
            _ => -1,
        };
        let op = self.call(SEEKER, 0, Call::ListOffsets { tp, query });
        let (offset, timestamp) = self.model(tp).look_up(query);
        self.ok(op, Reply::Listed { offset, timestamp });
    }

    /// The node's process ends, or its power goes after an append that was not synced.
    fn crash(&mut self) {
        let power = self.draw.chance(500);
        let strike = self.strikes;
        self.strikes += 1;
        let fault = if power { "power_loss" } else { "process_crash" };
        self.note(Kind::Strike { strike, fault: fault.into(), on: "b0".into(), minority: false });
        let open = (0..self.producers.len()).find_map(|n| self.producers[n].open.map(|batch| (n, batch)));
        let lost = open.filter(|_| power).map(|(n, batch)| {
            let producer = (u32::try_from(n).unwrap_or(0), self.producers[n].incarnation);
            let mark = self.models[batch.tp.0 as usize].append(producer, batch.first, batch.count);
            let tp = self.model(batch.tp).name.clone();
            self.fact(batch.tp, Fact::Appended { tp, batch: mark, epoch: 0, max_timestamp: 0 });
            batch.tp
        });
        let (host, node) = (String::from("b0"), Some(NodeId(0)));
        self.note(Kind::Down { host: host.clone(), node, power, why: fault.into() });
        if let Some(tp) = lost {
            self.models[tp.0 as usize].lose_last();
        }
        self.incarnation += 1;
        self.note(Kind::Up { host, node, incarnation: self.incarnation });
        for tp in (0..self.shape.partitions).map(TpId) {
            let tail = self.model(tp).tail(3);
            let (name, log_end) = (self.model(tp).name.clone(), self.model(tp).end());
            let recovery_point = tail.first().map_or(log_end, |b| b.base);
            self.fact(tp, Fact::Recovered { tp: name, log_start: 0, log_end, recovery_point, tail, synced: true });
            self.watermarks(tp);
        }
        let (node, incarnation, fact) = (NodeId(0), self.incarnation, Fact::Started { clean: false });
        self.note(Kind::Fact { node, incarnation, tp: None, fact });
        self.note(Kind::Heal { strike });
    }

    /// One more poll of the final read.
    fn read_on(&mut self, tp: TpId) {
        let mut position = self.model(tp).read;
        if position < 0 {
            position = 0;
            let op = self.call(READER, 0, Call::Assign { tp, position, last: true });
            self.ok(op, Reply::None);
        }
        let next = self.poll(READER, tp, position, true);
        self.models[tp.0 as usize].read = next;
        if next >= self.model(tp).end() {
            self.stage = Stage::Reading(tp.0 + 1);
        }
    }

    fn audit(&mut self) {
        self.note(Kind::Phase { phase: Phase::Audit });
        for tp in (0..self.shape.partitions).map(TpId) {
            let batches: Vec<BatchMark> = self.model(tp).tail(usize::MAX);
            let (name, log_end): (TopicPartition, _) = (self.model(tp).name.clone(), self.model(tp).end());
            let (bad_crc, bad_lookups) = (Vec::new(), Vec::new());
            self.fact(
                tp,
                Fact::Audited { tp: name, log_start: 0, log_end, batches, bad_crc, torn_bytes: 0, bad_lookups },
            );
        }
        self.stage = Stage::Over;
    }
}

impl Iterator for Synth {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.out.is_empty() && self.stage != Stage::Over {
            self.step();
        }
        self.out.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::Checker;
    use crate::verdict::Verdict;

    #[test]
    fn a_good_history_passes_every_invariant_with_evidence_for_each() {
        let shape = Shape { ops: 2000, ..Shape::default() };
        for seed in 0..30 {
            let mut checker = Checker::new(Synth::rules(shape));
            let mut at = 0;
            for event in Synth::new(shape, seed) {
                at = event.at;
                checker.see(&event);
            }
            let checked = checker.end(at);
            assert!(checked.findings.is_empty(), "seed {seed}: {:#?}", checked.findings);
            assert_eq!(checked.verdict, Verdict::Pass);
            let idle: Vec<_> = checked.evidence.iter().filter(|e| e.count == 0).map(|e| &*e.invariant).collect();
            assert!(idle.iter().all(|id| ["W14", "W19"].contains(id)), "seed {seed}: {idle:?}");
        }
    }

    #[test]
    fn a_history_follows_from_its_seed() {
        let take = |seed| Synth::new(Shape::default(), seed).take(500).collect::<Vec<_>>();
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }
}
