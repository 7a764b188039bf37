//! Random lives of a compacted log, with crashes and power losses at every step of a pass, beside a list of all the
//! records that were ever appended.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::compact::{Cleaned, Cleaning, Exchange, Step as Turn};
use super::compact_tests::{Read, complaints, config, keyed, read_all};
use super::testing::MemDisk;
use super::tests::{close, flush, now, open_with};
use super::*;
use crate::config::CleanupPolicy;
use crate::record::{Compression, Unpacked};

#[derive(Clone, Debug)]
enum Step {
    /// Keys by number, with a value or none; the codec; an idempotent producer or none.
    Append(Vec<(u8, bool)>, u8, Option<u8>),
    Flush,
    Roll,
    Checkpoint,
    /// So many steps of a pass, with room for so many keys; the log is synced when the pass asks for it.
    Clean(u8, u8),
    /// The pass asks for a sync, and nothing is synced before this.
    Begin(u8),
    Wait(u16),
    Trim(u8),
    Retain,
    Truncate(u8),
    Crash,
    PowerLoss(u64),
    CleanRestart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (vec((0u8..5, prop::bool::weighted(0.7)), 1..4), 0u8..5, proptest::option::of(0u8..2));
    let step = prop_oneof![
        14 => append.prop_map(|(records, codec, producer)| Step::Append(records, codec, producer)),
        3 => Just(Step::Flush),
        3 => Just(Step::Roll),
        2 => Just(Step::Checkpoint),
        5 => (1u8..40, 1u8..8).prop_map(|(count, room)| Step::Clean(count, room)),
        3 => (1u8..8).prop_map(Step::Begin),
        2 => (0u16..150).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Trim),
        1 => Just(Step::Retain),
        1 => any::<u8>().prop_map(Step::Truncate),
        1 => Just(Step::Crash),
        3 => any::<u64>().prop_map(Step::PowerLoss),
        1 => Just(Step::CleanRestart),
    ];
    vec(step, 1..60)
}

/// One record as it was appended.
#[derive(Clone, Debug)]
struct Had {
    key: String,
    value: Option<String>,
    /// When the first pass began that had it before its end and changed anything.
    cleaned: Option<i64>,
}

#[derive(Default)]
struct Model {
    records: Vec<Had>,
    bases: Vec<Offset>,
    start: Offset,
    flushed: Offset,
    written_start: Offset,
    written_point: Offset,
    /// Everything before may have been compacted.
    touched: Offset,
    /// Everything before is committed, and not cut off again.
    high: Offset,
    /// By producer: epoch, next sequence number.
    sequences: BTreeMap<i64, i32>,
}

fn at(offset: Offset) -> usize {
    usize::try_from(offset).unwrap()
}

impl Model {
    fn end(&self) -> Offset {
        Offset::try_from(self.records.len()).unwrap()
    }

    fn cut(&mut self, end: Offset) {
        self.records.truncate(at(end));
        self.bases.retain(|&base| base < end);
        assert!(end >= self.touched, "only what is committed and durable is touched");
        self.high = self.high.min(end);
        for next in self.sequences.values_mut() {
            // What is cut off is numbered anew, from further on: nobody minds where a new epoch begins.
            *next = 0;
        }
    }

    fn pick(&self, draw: u8) -> Offset {
        self.start + (self.end() - self.start) * Offset::from(draw) / 255
    }

    /// Whether the record at that offset may be gone: it is not the latest, or a tombstone that has stayed long enough.
    fn may_go(&self, offset: Offset, wall: i64) -> bool {
        let had = &self.records[at(offset)];
        let superseded = self.records[at(offset) + 1..at(self.touched).max(at(offset) + 1)].iter();
        let superseded = superseded.clone().any(|later| later.key == had.key);
        let stayed = had.cleaned.is_some_and(|cleaned| wall >= cleaned + 100);
        offset < self.touched && (superseded || (had.value.is_none() && stayed))
    }
}

struct Pass {
    cleaning: Cleaning<MemDisk>,
    /// What it waits for.
    sync: Option<Exchange<MemDisk>>,
    begun: i64,
}

struct Life {
    disk: MemDisk,
    log: Log<MemDisk>,
    model: Model,
    wall: i64,
    pass: Option<Pass>,
    epoch: LeaderEpoch,
    values: u32,
}

impl Life {
    fn config() -> LogConfig {
        LogConfig { cleanup: CleanupPolicy::CompactDelete, retention_bytes: Some(3000), ..config() }
    }

    fn append(&mut self, records: &[(u8, bool)], codec: u8, producer: Option<u8>) -> Result<(), TestCaseError> {
        self.values += 1;
        let value = format!("{}{}", self.values, "v".repeat(60));
        let owned: Vec<(String, Option<&str>)> =
            records.iter().map(|(key, live)| (format!("key{key}"), live.then_some(&*value))).collect();
        let borrowed: Vec<(&str, Option<&str>)> = owned.iter().map(|(key, value)| (&**key, *value)).collect();
        let who = producer.map_or((-1, -1, -1), |id| {
            let next = self.model.sequences.entry(i64::from(id)).or_insert(0);
            let first = std::mem::replace(next, *next + i32::try_from(records.len()).unwrap());
            // A new epoch for each life, so that numbers may begin anew.
            (i64::from(id), i16::try_from(self.epoch).unwrap(), first)
        });
        let mut bytes = keyed(&borrowed, Compression::from_id(codec).unwrap(), who);
        let done = self.log.append_leader(&mut bytes, self.epoch, self.wall).unwrap();
        prop_assert_eq!(done.base, self.model.end());
        self.model.bases.push(done.base);
        for (key, value) in owned {
            self.model.records.push(Had { key, value: value.map(Into::into), cleaned: None });
        }
        Ok(())
    }

    /// Goes on with a pass, or begins one. Stops where it asks for a sync, unless `synced`.
    fn clean(&mut self, count: u8, room: u8, synced: bool) -> Result<(), TestCaseError> {
        if self.pass.is_none() {
            let high = self.model.flushed;
            self.model.high = high;
            let cleaning = self.log.begin_cleaning(self.wall, high, usize::from(room) * 70);
            self.pass = cleaning.map(|cleaning| Pass { cleaning, sync: None, begun: self.wall });
        }
        for _ in 0..count {
            let Some(pass) = &mut self.pass else { return Ok(()) };
            if let Some(sync) = pass.sync.take() {
                if !synced {
                    pass.sync = Some(sync);
                    return Ok(());
                }
                now(sync.sync()).unwrap();
            }
            self.model.touched = self.model.touched.max(pass.cleaning.done().upto.min(self.log.log_end()));
            let turn = self.log.clean(&mut pass.cleaning, 300).unwrap();
            if !pass.cleaning.done().segments.is_empty() {
                for had in &mut self.model.records[..at(pass.cleaning.done().upto)] {
                    had.cleaned.get_or_insert(pass.begun);
                }
            }
            match turn {
                Turn::Again => {}
                Turn::Sync(sync) => pass.sync = Some(sync),
                Turn::Void => self.pass = None,
                Turn::Done(done) => {
                    self.pass = None;
                    self.log.end_cleaning(&done);
                    self.cleaned(&done)?;
                }
            }
        }
        Ok(())
    }

    /// A pass has come to its end: of each key before that, one record is left at most.
    fn cleaned(&mut self, done: &Cleaned) -> Result<(), TestCaseError> {
        let left = read_all(&mut self.log);
        for (offset, key, _) in left.iter().filter(|(offset, ..)| *offset < done.upto) {
            let again = left.iter().find(|(later, other, _)| later > offset && *later < done.upto && other == key);
            prop_assert!(again.is_none(), "{key} at {offset} and {again:?}, clean up to {}", done.upto);
        }
        Ok(())
    }

    fn reopen(&mut self, clean: bool) -> Result<(), TestCaseError> {
        self.pass = None;
        self.epoch += 1;
        let model = &mut self.model;
        let (recovery_point, log_start) = (model.written_point, model.written_start);
        let how = OpenHow { clean, recovery_point, log_start, list_tail: false, now: self.wall };
        let (log, recovery) = open_with(&self.disk, Self::config(), how).unwrap();
        self.log = log;
        let end = self.log.log_end();
        prop_assert!(end <= model.end() && end >= model.flushed, "{} <= {end} <= {}", model.flushed, model.end());
        prop_assert!(!clean || end == model.end());
        model.cut(end);
        model.sequences.clear();
        model.start = model.written_start;
        if recovery.must_sync {
            flush(&mut self.log);
        }
        self.model.flushed = end;
        prop_assert_eq!(self.log.flushed(), end);
        Ok(())
    }

    fn truncate(&mut self, wanted: Offset) -> Result<(), TestCaseError> {
        self.epoch += 1;
        let end = self.log.truncate_to(wanted).unwrap();
        prop_assert!(end <= wanted);
        prop_assert!(end == self.model.end() || self.model.bases.contains(&end) || end == self.model.start);
        if wanted >= self.model.touched && wanted < self.model.end() {
            prop_assert!(self.model.bases[self.model.bases.partition_point(|&base| base <= wanted) - 1] == end);
        }
        self.model.cut(end);
        self.model.sequences.clear();
        self.model.start = self.model.start.min(end);
        flush(&mut self.log);
        self.model.flushed = end;
        self.checkpoint();
        Ok(())
    }

    fn checkpoint(&mut self) {
        self.model.written_point = self.log.recovery_point();
        self.model.written_start = self.model.start;
        self.log.sweep(self.model.written_start).unwrap();
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Append(records, codec, producer) => self.append(records, *codec, *producer)?,
            Step::Flush => {
                flush(&mut self.log);
                self.model.flushed = self.model.end();
            }
            Step::Roll => drop(self.log.roll(self.wall).unwrap()),
            Step::Checkpoint => self.checkpoint(),
            Step::Clean(count, room) => self.clean(*count, *room, true)?,
            Step::Begin(room) => self.clean(u8::MAX, *room, false)?,
            Step::Wait(ms) => self.wall += i64::from(*ms),
            Step::Trim(draw) => {
                self.model.start = self.model.pick(*draw);
                self.log.trim_to(self.model.start).unwrap();
            }
            Step::Retain => {
                let trimmed = self.log.retain(self.wall, self.log.flushed()).unwrap();
                self.model.start = trimmed.log_start;
            }
            Step::Truncate(draw) => self.truncate(self.model.pick(*draw).max(self.model.high))?,
            Step::Crash => self.reopen(false)?,
            Step::PowerLoss(seed) => {
                self.disk.lose_power_by(*seed, 1);
                self.reopen(false)?;
            }
            Step::CleanRestart => {
                close(&mut self.log);
                self.model.flushed = self.model.end();
                self.checkpoint();
                self.reopen(true)?;
            }
        }
        Ok(())
    }

    fn check(&mut self, probe: u8) -> Result<(), TestCaseError> {
        prop_assert_eq!((self.log.log_start(), self.log.log_end()), (self.model.start, self.model.end()));
        let left: BTreeMap<Offset, Read> = read_all(&mut self.log).into_iter().map(|read| (read.0, read)).collect();
        for offset in self.model.start..self.model.end() {
            let had = &self.model.records[at(offset)];
            match left.get(&offset) {
                Some(read) => prop_assert_eq!(read, &(offset, had.key.clone(), had.value.clone())),
                None => prop_assert!(self.model.may_go(offset, self.wall), "offset {} {:?} is gone", offset, had),
            }
        }
        self.check_view(&left)?;
        let from = self.model.pick(probe);
        let slice = self.log.read(from, 700, Offset::MAX, true).unwrap();
        prop_assert!(from == self.model.end() || slice.next > from);
        let first = left.range(from..).next().map(|(offset, _)| *offset);
        let found = self.log.offset_for_timestamp(5, self.model.end()).unwrap().map(|found| found.offset);
        prop_assert_eq!(found, left.keys().next().copied());
        let mut records = slice.records;
        while !records.is_empty() && first.is_some() {
            let batch = Unpacked::take(&mut records, 1 << 20).unwrap();
            let expected: Vec<Offset> =
                left.range(batch.header().base_offset..=batch.header().last_offset()).map(|(o, _)| *o).collect();
            let got: Vec<Offset> = batch.records().map(|record| record.unwrap().offset).collect();
            prop_assert_eq!(got.iter().filter(|o| **o >= self.model.start).copied().collect::<Vec<_>>(), expected);
        }
        Ok(())
    }

    /// Who reads all of it and takes the last value of each key has what he would have without compaction.
    fn check_view(&self, left: &BTreeMap<Offset, Read>) -> Result<(), TestCaseError> {
        let mut naive: BTreeMap<&str, &str> = BTreeMap::new();
        let (start, end) = (at(self.model.start), at(self.model.end()));
        for had in &self.model.records[start..end] {
            match &had.value {
                Some(value) => drop(naive.insert(&had.key, value)),
                None => drop(naive.remove(&*had.key)),
            }
        }
        let mut view: BTreeMap<&str, &str> = BTreeMap::new();
        for (_, key, value) in left.values() {
            match value {
                Some(value) => drop(view.insert(key, value)),
                None => drop(view.remove(&**key)),
            }
        }
        prop_assert_eq!(view, naive);
        Ok(())
    }
}

fn live(steps: &[Step], probes: &[u8]) -> Result<(), TestCaseError> {
    let disk = MemDisk::default();
    let (log, _) = open_with(&disk, Life::config(), OpenHow::default()).unwrap();
    let mut life = Life { disk, log, model: Model::default(), wall: 0, pass: None, epoch: 0, values: 0 };
    flush(&mut life.log);
    for (step, probe) in steps.iter().zip(probes) {
        life.step(step)?;
        life.check(*probe)?;
    }
    if life.model.written_start == 0 {
        prop_assert_eq!(complaints(&life.disk), Vec::<String>::new());
    }
    // What is known of producers can be read off the batches, whatever was taken from them.
    let before: Vec<_> = life.log.producers().iter().map(|(id, p)| (id, p.epoch, p.batches.clone())).collect();
    if life.model.written_start == 0 && life.model.start == 0 {
        for name in life.disk.list(super::tests::DIR).unwrap().iter().filter(|name| name.ends_with(".snapshot")) {
            life.disk.remove(&format!("{}/{name}", super::tests::DIR)).unwrap();
        }
        life.reopen(false)?;
        let after: Vec<_> = life.log.producers().iter().map(|(id, p)| (id, p.epoch, p.batches.clone())).collect();
        prop_assert_eq!(after, before);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), ..ProptestConfig::default() })]
    #[test]
    fn a_compacted_log_lives_like_its_model(steps in steps(), probes in vec(any::<u8>(), 60)) {
        live(&steps, &probes)?;
    }
}
