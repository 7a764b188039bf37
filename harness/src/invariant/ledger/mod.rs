//! The ledger: what is known of a run so far, folded once and shared by all invariants, so that ten million records are
//! held once and not by each of them.
//!
//! Records are held by stream (partition, producer, incarnation) and sequence, and by (partition, offset): array
//! look-ups both. About 60 bytes a record.

pub mod chunks;
mod current;
pub mod log;
pub mod part;
pub mod table;
mod tell;

use std::cell::Cell;

use broker::fact::Fact;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::history::{Call, Delivery, Event, Kind, Outcome, Phase, RecordId, Reply, TpId};

use chunks::Chunks;
pub use current::{Current, Open};
pub use log::{Cut, Log, Lows};
pub use part::{Election, FinalRead, Part};
pub use table::{Slot, Table};
pub use tell::time;

/// A gap in a stream's sequence no longer than this is filled with records never asked for; a longer one is ignored
/// (M5 reports either).
const GAP: usize = 1024;

/// One record, as its producer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    /// When it was asked for, in nanoseconds of world time.
    pub called: u64,
    /// When that returned; [`u64::MAX`] if it has not.
    pub returned: u64,
    /// The offset acknowledged, -1 if none.
    pub offset: i64,
    /// CRC-32C over key, value, headers and timestamp.
    pub checksum: u32,
    /// What is known of its fate.
    pub fate: Fate,
    /// 0, 1 or -1 (all).
    pub acks: i8,
    /// How often the final read has delivered it, at most 255.
    pub copies: u8,
    /// What consumers showed of it.
    pub seen: Seen,
}

/// What consumers showed of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// Nothing.
    #[default]
    Never,
    /// It was delivered, but not in the final read.
    Before,
    /// The final read delivered it, though not at the offset acknowledged (if one is).
    Elsewhere,
    /// The final read delivered it at the offset acknowledged.
    InPlace,
}

/// What is known of a record's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Never asked for: a gap in the sequence.
    Absent,
    /// The call is open, or will never return.
    Open,
    /// Acknowledged.
    Ok,
    /// Surely not written.
    Fail,
    /// Unknown.
    Info,
}

impl Send {
    /// Never asked for.
    const ABSENT: Send = Send {
        called: u64::MAX,
        returned: u64::MAX,
        offset: -1,
        checksum: 0,
        fate: Fate::Absent,
        acks: 0,
        copies: 0,
        seen: Seen::Never,
    };

    /// Whether it was acknowledged by a broker: sent with acks other than 0, and returned ok.
    pub fn acked(&self) -> bool {
        self.fate == Fate::Ok && self.acks != 0
    }

    /// Whether the final read delivered it.
    pub fn in_final(&self) -> bool {
        self.copies > 0
    }
}

/// All records of one producer's life to one partition.
#[derive(Debug)]
pub struct Stream {
    /// To where.
    pub tp: TpId,
    /// Whose.
    pub producer: u32,
    /// In which life.
    pub incarnation: u16,
    /// By sequence.
    pub sends: Chunks<Send>,
}

/// Partition, producer, incarnation.
type StreamKey = (u32, u32, u16);

/// A fault that struck.
#[derive(Clone, Debug)]
pub struct StrikeNote {
    /// When, in nanoseconds of world time.
    pub at: u64,
    /// When it was cured.
    pub healed: Option<u64>,
    /// Its number in the plan.
    pub id: u32,
    /// The fault's name.
    pub fault: String,
    /// What it hit and how.
    pub on: String,
    /// Whether a majority of several brokers was untouched.
    pub minority: bool,
}

/// What is known of a run so far.
#[derive(Debug)]
pub struct Ledger {
    names: Vec<String>,
    numbers: IndexMap<StreamKey, (), FxBuildHasher>,
    streams: Vec<Stream>,
    parts: Vec<Part>,
    open: IndexMap<u64, Open, FxBuildHasher>,
    current: Current,
    /// The stream found last: the records of a batch are neighbours.
    near: Cell<Option<(StreamKey, u32)>>,
    strikes: Vec<StrikeNote>,
    powers: Vec<u64>,
    phases: Vec<(Phase, u64)>,
    records: u64,
    acked: u64,
    delivered: u64,
    facts: u64,
}

impl Ledger {
    /// Nothing is known yet.
    pub fn new(names: &[String]) -> Self {
        Self {
            names: names.to_vec(),
            numbers: IndexMap::default(),
            streams: Vec::new(),
            parts: names.iter().map(|_| Part::default()).collect(),
            open: IndexMap::default(),
            current: Current::default(),
            near: Cell::new(None),
            strikes: Vec::new(),
            powers: Vec::new(),
            phases: Vec::new(),
            records: 0,
            acked: 0,
            delivered: 0,
            facts: 0,
        }
    }

    /// Takes the next event in.
    pub fn fold(&mut self, event: &Event) {
        let at = event.at;
        match &event.kind {
            Kind::Call { op, client, incarnation, call } => self.call(at, *op, *client, *incarnation, *call),
            Kind::Return { op, outcome, reply, .. } => self.returns(at, *op, *outcome, reply),
            Kind::Deliver(delivery) => self.deliver(delivery),
            Kind::Fact { node, incarnation, tp, fact } => {
                self.facts += 1;
                if matches!(fact, Fact::Started { clean: true }) {
                    let logs = self.parts.iter_mut().flat_map(|p| &mut p.logs);
                    logs.filter(|log| log.node == *node).for_each(Log::closed);
                }
                if let Some(part) = tp.and_then(|tp| self.parts.get_mut(tp.0 as usize)) {
                    part.fact(at, *node, *incarnation, fact);
                }
                if matches!(fact, Fact::Deleted { .. }) {
                    tp.iter().for_each(|tp| self.excuse_all(*tp));
                }
            }
            Kind::Down { node, power, .. } => {
                self.powers.extend(power.then_some(at));
                let logs = self.parts.iter_mut().flat_map(|p| &mut p.logs);
                logs.filter(|log| Some(log.node) == *node).for_each(|log| log.goes_down(at, *power));
            }
            Kind::Quit { client, incarnation } => {
                self.open.retain(|_, open| open.client != *client || open.incarnation > *incarnation);
            }
            Kind::Strike { strike, fault, on, minority } => {
                let (fault, on) = (fault.clone(), on.clone());
                self.strikes.push(StrikeNote { at, healed: None, id: *strike, fault, on, minority: *minority });
            }
            Kind::Heal { strike } => {
                let same = self.strikes.iter_mut().rev().find(|s| s.id == *strike);
                same.into_iter().for_each(|s| s.healed = Some(at));
            }
            Kind::Phase { phase } => self.phases.push((*phase, at)),
            Kind::Wiped { node, .. } => {
                let logs = self.parts.iter_mut().flat_map(|p| &mut p.logs);
                logs.filter(|log| Some(log.node) == *node).for_each(|log| log.wiped(at));
            }
            Kind::Up { .. } | Kind::Group(_) | Kind::App { .. } => {}
        }
    }

    fn call(&mut self, at: u64, op: u64, client: u32, incarnation: u16, call: Call) {
        let mut open = Open::new(at, op, client, incarnation, call);
        match call {
            Call::Send { tp, id, checksum, acks, .. } => self.send(at, tp, id, checksum, acks),
            Call::Assign { tp, position, last: true } => {
                if let Some(part) = self.part_mut(tp) {
                    part.last.begins(client, position);
                }
            }
            Call::Assign { .. } | Call::Poll { .. } => {}
            Call::ListOffsets { tp, .. } => open.bounds = self.part(tp).map(Part::bounds).unwrap_or_default(),
            Call::DeleteRecords { tp, before } => {
                if let Some(part) = self.part_mut(tp) {
                    part.asked = part.asked.max(before);
                }
            }
            Call::Admin { .. } | Call::Commit { .. } | Call::FetchOffset { .. } => {}
        }
        self.open.insert(op, open);
    }

    fn send(&mut self, called: u64, tp: TpId, id: RecordId, checksum: u32, acks: i16) {
        self.records += 1;
        let stream = self.stream_or_new(tp, id);
        let sends = &mut self.streams[stream as usize].sends;
        let Ok(seq) = usize::try_from(id.seq) else { return };
        if seq < sends.len() || seq > sends.len() + GAP {
            return;
        }
        while sends.len() < seq {
            sends.push(Send::ABSENT);
        }
        let acks = i8::try_from(acks).unwrap_or(-1);
        sends.push(Send { called, checksum, acks, fate: Fate::Open, ..Send::ABSENT });
    }

    fn returns(&mut self, at: u64, op: u64, outcome: Outcome, reply: &Reply) {
        self.current.ended = self.open.swap_remove(&op);
        self.current.record = None;
        let Some(open) = self.current.ended else { return };
        match (open.call, outcome, reply) {
            (Call::Send { tp, id, .. }, ..) => self.sent(at, tp, id, outcome, reply),
            (Call::Poll { tp, .. }, Outcome::Ok, Reply::Polled { position, high, .. }) => {
                let final_read = self.in_final_read();
                if let Some(part) = self.part_mut(tp).filter(|_| final_read) {
                    part.last.polled(open.client, *position, *high);
                }
            }
            _ => {}
        }
    }

    fn sent(&mut self, at: u64, tp: TpId, id: RecordId, outcome: Outcome, reply: &Reply) {
        self.current.record = self.find(tp, id);
        let Some((stream, seq)) = self.current.record else { return };
        let there = match reply {
            Reply::Sent { offset } if *offset >= 0 => self.part(tp).map(|p| (*offset, p.table.get(*offset))),
            _ => None,
        };
        let deleted = self.part(tp).and_then(|part| part.deleted);
        let Some(send) = self.streams[stream as usize].sends.get_mut(seq as usize) else { return };
        send.returned = at;
        send.fate = match outcome {
            Outcome::Ok => Fate::Ok,
            Outcome::Fail => Fate::Fail,
            Outcome::Info => Fate::Info,
        };
        if deleted.is_some_and(|at| send.called <= at) {
            // It went to the topic that was deleted since.
            (send.offset, send.acks) = (-1, 0);
            return;
        }
        let Some((offset, slot)) = there else { return };
        send.offset = offset;
        if slot.last && slot.record() == self.current.record {
            send.seen = Seen::InPlace;
        }
        let acked = send.acked();
        self.acked += u64::from(acked);
        if let Some(part) = self.part_mut(tp).filter(|_| acked) {
            part.visible = part.visible.max(offset.saturating_add(1));
        }
    }

    fn deliver(&mut self, d: &Delivery) {
        self.delivered += 1;
        self.current.record = d.id.and_then(|id| self.find(d.tp, id));
        self.current.before = Slot::NONE;
        if let Some(open) = self.open.get_mut(&d.op) {
            open.delivered += 1;
            open.next = d.offset.saturating_add(1);
        }
        if let Some((stream, seq)) = self.current.record
            && let Some(send) = self.streams[stream as usize].sends.get_mut(seq as usize)
        {
            send.copies = send.copies.saturating_add(u8::from(d.last));
            let now = match (d.last, send.offset == d.offset) {
                (false, _) => Seen::Before,
                (true, false) => Seen::Elsewhere,
                (true, true) => Seen::InPlace,
            };
            send.seen = send.seen.max(now);
        }
        let sent = self.current.record.and_then(|record| self.record(record)).map(|send| send.called);
        let (stream, seq) = self.current.record.unwrap_or((Slot::FOREIGN, 0));
        let slot = Slot { timestamp: d.timestamp, stream, seq, checksum: d.checksum, last: d.last };
        if let Some(part) = self.parts.get_mut(d.tp.0 as usize).filter(|_| d.offset >= 0) {
            if part.deleted.is_some_and(|at| sent.is_some_and(|sent| sent <= at)) {
                // It may be of the topic that was deleted since, and have been on its way.
                return part.last.overtakes(d);
            }
            part.visible = part.visible.max(d.offset.saturating_add(1));
            let place = part.table.slot(d.offset);
            self.current.before = *place;
            *place = Slot { last: d.last || (place.last && place.same(&slot)), ..slot };
            part.last.overtakes(d);
        }
    }

    /// A node has held on to a topic until now that was deleted before, and may have served it: what clients saw since may
    /// be of that one.
    pub(super) fn outlived(&mut self, at: u64, tp: TpId) {
        if let Some(part) = self.part_mut(tp) {
            part.unsee(at);
        }
        self.excuse_all(tp);
    }

    /// A topic is deleted: nobody can expect its records any more.
    fn excuse_all(&mut self, tp: TpId) {
        for stream in self.streams.iter_mut().filter(|s| s.tp == tp) {
            for n in 0..stream.sends.len() {
                if let Some(send) = stream.sends.get_mut(n) {
                    (send.offset, send.acks, send.seen) = (-1, 0, Seen::Never);
                }
            }
        }
    }

    /// The history is over: lets go of what only the fold needs.
    pub fn finish(&mut self) {
        self.current = Current::default();
    }

    fn stream_or_new(&mut self, tp: TpId, id: RecordId) -> u32 {
        let key = (tp.0, id.producer, id.incarnation);
        if let Some(stream) = self.stream(key) {
            return stream;
        }
        self.numbers.insert(key, ());
        let (producer, incarnation, sends) = (id.producer, id.incarnation, Chunks::default());
        self.streams.push(Stream { tp, producer, incarnation, sends });
        u32::try_from(self.streams.len() - 1).unwrap_or(Slot::FOREIGN)
    }

    fn stream(&self, key: StreamKey) -> Option<u32> {
        if let Some((_, number)) = self.near.get().filter(|(near, _)| *near == key) {
            return Some(number);
        }
        let number = self.numbers.get_index_of(&key).and_then(|n| u32::try_from(n).ok())?;
        self.near.set(Some((key, number)));
        Some(number)
    }

    /// The stream and sequence of a record, if it was ever sent.
    pub fn find(&self, tp: TpId, id: RecordId) -> Option<(u32, u32)> {
        let stream = self.stream((tp.0, id.producer, id.incarnation))?;
        let seq = u32::try_from(id.seq).ok()?;
        let send = self.streams[stream as usize].sends.get(seq as usize)?;
        (send.fate != Fate::Absent).then_some((stream, seq))
    }

    /// A record by stream and sequence.
    pub fn record(&self, (stream, seq): (u32, u32)) -> Option<&Send> {
        self.streams.get(stream as usize)?.sends.get(seq as usize)
    }

    /// All streams.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// A stream by its number.
    pub fn stream_at(&self, stream: u32) -> Option<&Stream> {
        self.streams.get(stream as usize)
    }

    /// What is known of a partition.
    pub fn part(&self, tp: TpId) -> Option<&Part> {
        self.parts.get(tp.0 as usize)
    }

    fn part_mut(&mut self, tp: TpId) -> Option<&mut Part> {
        self.parts.get_mut(tp.0 as usize)
    }

    /// All partitions, in the order of their numbers.
    pub fn parts(&self) -> impl Iterator<Item = (TpId, &Part)> {
        self.parts.iter().enumerate().map(|(n, p)| (TpId(u32::try_from(n).unwrap_or(u32::MAX)), p))
    }

    /// What the event just folded is about.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// The operations that have not returned, in no particular order (but the same in every execution).
    pub fn open(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// The operation `op`, if it is open.
    pub fn open_op(&self, op: u64) -> Option<&Open> {
        self.open.get(&op)
    }

    /// The faults that struck, in order.
    pub fn strikes(&self) -> &[StrikeNote] {
        &self.strikes
    }

    /// When any host lost its power.
    pub fn power_losses(&self) -> &[u64] {
        &self.powers
    }

    /// The phases begun, and when.
    pub fn phases(&self) -> &[(Phase, u64)] {
        &self.phases
    }

    /// When `phase` began.
    pub fn began(&self, phase: Phase) -> Option<u64> {
        self.phases.iter().find(|(p, _)| *p == phase).map(|(_, at)| *at)
    }

    fn in_final_read(&self) -> bool {
        self.phases.last().is_some_and(|(p, _)| *p == Phase::FinalRead)
    }

    /// Records sent, acknowledged, delivered; facts stated.
    pub fn counts(&self) -> (u64, u64, u64, u64) {
        (self.records, self.acked, self.delivered, self.facts)
    }
}
