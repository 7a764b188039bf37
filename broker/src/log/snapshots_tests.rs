//! The producers' state through rolls, trims, truncations, crashes and power losses: always what every batch ever
//! written below the log's end comes to.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::log::testing::MemDisk;
use crate::log::tests::{DIR, close, flush, open_with, small};
use crate::log::{LogConfig, OpenHow};
use crate::record::{BatchBuilder, Compression, Header};

fn batch(id: i64, epoch: i16, first: i32, count: i32, timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.producer(id, epoch, first);
    for _ in 0..count {
        builder.append(timestamp, None, Some(&[7; 60]), std::iter::empty::<(&str, Option<&str>)>());
    }
    builder.finish(Compression::None).to_vec()
}

fn config() -> LogConfig {
    LogConfig { retention_ms: Some(100), ..small() }
}

#[test]
fn names_are_kafkas() {
    assert_eq!(name(42), "00000000000000000042.snapshot");
    assert_eq!(parse("00000000000000000042.snapshot"), Some(42));
    assert_eq!((parse("42.snapshot"), parse("00000000000000000042.log")), (None, None));
}

#[test]
fn a_damaged_snapshot_is_told() {
    let disk = MemDisk::default();
    let (mut log, _) = open_with(&disk, config(), OpenHow::default()).unwrap();
    log.append_leader(&mut batch(7, 1, 0, 2, 0), 0, 0).unwrap();
    log.append_leader(&mut batch(9, 0, 5, 1, 0), 0, 0).unwrap();
    let whole = encode(log.producers());
    assert_eq!(decode(&whole).as_ref(), Some(log.producers()));
    for at in 0..whole.len() {
        let mut torn = whole.clone();
        torn[at] ^= 1;
        assert_eq!(decode(&torn), None, "byte {at}");
        assert_eq!(decode(&whole[..at]), None, "{at} bytes");
    }
}

#[test]
fn a_clean_opening_reads_no_batch_and_one_without_snapshots_reads_all() {
    let disk = MemDisk::default();
    let (mut log, _) = open_with(&disk, config(), OpenHow::default()).unwrap();
    for at in 0..40 {
        log.append_leader(&mut batch(7, 0, at, 1, 0), 0, 0).unwrap();
    }
    close(&mut log);
    let (before, end) = (log.producers().clone(), log.log_end());
    let clean = OpenHow { clean: true, recovery_point: end, ..OpenHow::default() };
    drop(log);
    let newest = format!("{DIR}/{}", name(end));
    let text = disk.open(&newest, Open::Write).unwrap();
    let mut altered = decode(&encode(&before)).unwrap();
    altered.restore(8, Producer { epoch: 3, active: 0, batches: VecDeque::new() });
    text.write_at(&encode(&altered), 0).unwrap();
    let (log, _) = open_with(&disk, config(), clean).unwrap();
    assert_eq!(log.producers(), &altered, "believed as it is");
    drop(log);
    for file in disk.list(DIR).unwrap().into_iter().filter(|file| parse(file).is_some()) {
        disk.flip(&format!("{DIR}/{file}"), 3);
    }
    let (log, _) = open_with(&disk, config(), clean).unwrap();
    assert_eq!(log.producers(), &before);
    for file in disk.list(DIR).unwrap().into_iter().filter(|file| parse(file).is_some()) {
        let offset = parse(&file).unwrap();
        assert!(read(&disk, &format!("{DIR}/{file}"), offset).unwrap().is_some(), "{file} was written anew or removed");
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Producer, bump its epoch, records, timestamp.
    Append(i64, bool, i32, i64),
    Flush,
    Roll,
    Trim(u8),
    Retain(u8),
    /// Writes down recovery point and log start, and sweeps.
    Checkpoint,
    /// Sweeps by what was written down before: the log's start may have moved since.
    Sweep,
    Truncate(u8),
    Crash,
    PowerLoss(u64),
    CleanRestart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..4i64, prop::bool::weighted(0.1), 1..3i32, 0..1000i64).prop_map(|(a, b, c, d)| Step::Append(a, b, c, d)),
        4 => Just(Step::Flush),
        2 => Just(Step::Roll),
        1 => any::<u8>().prop_map(Step::Trim),
        1 => any::<u8>().prop_map(Step::Retain),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Sweep),
        1 => any::<u8>().prop_map(Step::Truncate),
        1 => Just(Step::Crash),
        2 => any::<u64>().prop_map(Step::PowerLoss),
        1 => Just(Step::CleanRestart),
    ];
    vec(step, 1..80)
}

struct Life {
    disk: MemDisk,
    log: Log<MemDisk>,
    /// Every batch below the log's end, also those that were trimmed.
    ever: Vec<Header>,
    written: (Offset, Offset),
}

impl Life {
    fn begin() -> Self {
        let disk = MemDisk::default();
        let (log, _) = open_with(&disk, config(), OpenHow::default()).unwrap();
        let mut life = Self { disk, log, ever: Vec::new(), written: (0, 0) };
        flush(&mut life.log);
        life
    }

    fn expected(&self) -> Producers {
        let mut all = Producers::at(0);
        self.ever.iter().for_each(|header| all.note(header, 0));
        all.reach(self.log.log_end());
        all
    }

    fn checkpoint(&mut self) {
        if self.log.wants_flush_before_trim() {
            flush(&mut self.log);
        }
        self.written = (self.log.recovery_point(), self.log.log_start());
        self.log.sweep(self.written.1).unwrap();
    }

    fn reopen(&mut self, clean: bool) {
        let (recovery_point, log_start) = self.written;
        let how = OpenHow { clean, recovery_point, log_start, list_tail: false, now: 0 };
        let (log, recovery) = open_with(&self.disk, config(), how).unwrap();
        self.log = log;
        if recovery.must_sync {
            flush(&mut self.log);
        }
        let end = self.log.log_end();
        self.ever.retain(|header| header.base_offset < end);
        // A start within batches that were never synced takes their segment, and what it says of producers, with it.
        if end == log_start && self.log.size() == 0 && self.log.producers().is_empty() {
            self.ever.clear();
        }
    }

    fn pick(&self, draw: u8) -> Offset {
        let (start, end) = (self.log.log_start(), self.log.log_end());
        start + (end - start) * Offset::from(draw) / 255
    }

    fn append(&mut self, id: i64, bump: bool, count: i32, timestamp: i64) {
        let known = self.log.producers().iter().find(|(known, _)| *known == id);
        let (epoch, next) = known.map_or((0, 0), |(_, producer)| {
            let last = producer.batches.back().map_or(-1, |batch| batch.last);
            if bump { (producer.epoch + 1, 0) } else { (producer.epoch, last + 1) }
        });
        let mut bytes = batch(id, epoch, next, count, timestamp);
        self.log.append_leader(&mut bytes, 0, 0).unwrap();
        self.ever.push(Header::parse(&bytes).unwrap());
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append(id, bump, count, timestamp) => self.append(id, bump, count, timestamp),
            Step::Flush => flush(&mut self.log),
            Step::Roll => drop(self.log.roll(0).unwrap()),
            Step::Trim(draw) => drop(self.log.trim_to(self.pick(draw)).unwrap()),
            Step::Retain(draw) => drop(self.log.retain(600, self.pick(draw)).unwrap()),
            Step::Checkpoint => self.checkpoint(),
            Step::Sweep => drop(self.log.sweep(self.written.1).unwrap()),
            Step::Truncate(draw) => {
                let end = self.log.truncate_to(self.pick(draw)).unwrap();
                self.ever.retain(|header| header.base_offset < end);
                flush(&mut self.log);
                self.checkpoint();
            }
            Step::Crash => self.reopen(false),
            Step::PowerLoss(seed) => {
                self.disk.lose_power_by(seed, 2);
                self.reopen(false);
            }
            Step::CleanRestart => {
                close(&mut self.log);
                self.checkpoint();
                self.reopen(true);
            }
        }
    }
}

#[test]
fn a_snapshot_is_kept_as_long_as_the_log_may_begin_there() {
    let mut life = Life::begin();
    // A batch in each of four segments; what is after the first is not durable.
    for at in 0..4 {
        life.append(7, false, 1, 0);
        if at < 3 {
            life.step(&Step::Roll);
        }
        if at == 0 {
            life.step(&Step::Flush);
        }
    }
    life.log.trim_to(1).unwrap();
    life.checkpoint();
    assert_eq!(life.written, (1, 1));
    life.log.trim_to(3).unwrap();
    life.step(&Step::Sweep);
    life.step(&Step::Crash);
    assert_eq!((life.log.log_start(), life.log.log_end()), (1, 4));
    assert_eq!(life.log.producers(), &life.expected());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn what_is_loaded_is_what_was_in_memory(steps in steps()) {
        let mut life = Life::begin();
        for step in &steps {
            life.step(step);
            prop_assert_eq!(life.log.producers(), &life.expected(), "after {:?}", step);
            let snapshots = life.disk.list(DIR).unwrap().iter().filter(|file| parse(file).is_some()).count();
            prop_assert!(snapshots <= life.log.segment_count() + life.log.trimmed.len() + 1);
        }
    }
}
