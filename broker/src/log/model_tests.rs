//! Random lives of a log, with crashes and power losses, beside a list of batches.

use proptest::collection::vec;
use proptest::prelude::*;

use super::testing::MemDisk;
use super::tests::{DIR, append, close, flush, offsets, open_with, small, tp};
use super::*;
use crate::fact::Fact;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Timestamp>),
    Flush,
    Roll,
    Trim(u8),
    Retain(u8),
    /// Writes down recovery point and log start, and sweeps.
    Checkpoint,
    Truncate(u8),
    Crash,
    PowerLoss(u64),
    CleanRestart,
    FullDisk(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => vec(0i64..1000, 1..4).prop_map(Step::Append),
        4 => Just(Step::Flush),
        2 => Just(Step::Roll),
        1 => any::<u8>().prop_map(Step::Trim),
        1 => any::<u8>().prop_map(Step::Retain),
        3 => Just(Step::Checkpoint),
        1 => any::<u8>().prop_map(Step::Truncate),
        1 => Just(Step::Crash),
        2 => any::<u64>().prop_map(Step::PowerLoss),
        1 => Just(Step::CleanRestart),
        1 => any::<u8>().prop_map(Step::FullDisk),
    ];
    vec(step, 1..60)
}

/// The naive log: every record's timestamp by offset, and where batches begin.
#[derive(Default)]
struct Model {
    records: Vec<Timestamp>,
    bases: Vec<Offset>,
    start: Offset,
    flushed: Offset,
    written_start: Offset,
    written_point: Offset,
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
    }

    /// An offset of the log, by chance.
    fn pick(&self, draw: u8) -> Offset {
        self.start + (self.end() - self.start) * Offset::from(draw) / 255
    }

    fn batch_of(&self, offset: Offset) -> (Offset, Offset) {
        let next = self.bases.partition_point(|&base| base <= offset);
        (self.bases[next - 1], self.bases.get(next).copied().unwrap_or(self.end()) - 1)
    }
}

struct Life {
    disk: MemDisk,
    log: Log<MemDisk>,
    model: Model,
    recycle: u32,
}

impl Life {
    fn config(recycle_segments: u32) -> LogConfig {
        LogConfig { retention_ms: Some(100), recycle_segments, ..small() }
    }

    fn checkpoint(&mut self) {
        self.model.written_point = self.log.recovery_point();
        self.model.written_start = self.model.start;
        self.log.sweep(self.model.written_start).unwrap();
    }

    fn reopen(&mut self, clean: bool) -> Result<(), TestCaseError> {
        let model = &mut self.model;
        let how = OpenHow {
            clean,
            recovery_point: model.written_point,
            log_start: model.written_start,
            list_tail: true,
            now: 0,
        };
        let (log, recovery) = open_with(&self.disk, Self::config(self.recycle), how).unwrap();
        self.log = log;
        let end = self.log.log_end();
        prop_assert!(end <= model.end() && end >= model.flushed, "{} <= {end} <= {}", model.flushed, model.end());
        prop_assert!(end == model.end() || model.bases.contains(&end) || end == model.written_start);
        prop_assert!(recovery.tail.iter().all(|mark| model.bases.contains(&mark.base)));
        prop_assert!(!clean || end == model.end());
        model.cut(end);
        model.start = model.written_start;
        if recovery.must_sync {
            flush(&mut self.log);
        }
        self.model.flushed = self.log.flushed();
        prop_assert_eq!(self.log.flushed(), end);
        Ok(())
    }

    fn truncate(&mut self, wanted: Offset) -> Result<(), TestCaseError> {
        let end = self.log.truncate_to(wanted).unwrap();
        let expected = if wanted == self.model.end() { wanted } else { self.model.batch_of(wanted).0 };
        prop_assert_eq!(end, expected);
        self.model.cut(end);
        self.model.start = self.model.start.min(end);
        flush(&mut self.log);
        self.model.flushed = end;
        self.checkpoint();
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Append(timestamps) => {
                let done = append(&mut self.log, timestamps);
                prop_assert_eq!(done.base, self.model.end());
                self.model.bases.push(done.base);
                self.model.records.extend(timestamps);
            }
            Step::Flush => {
                flush(&mut self.log);
                self.model.flushed = self.model.end();
                prop_assert_eq!(self.log.flushed(), self.model.end());
            }
            Step::Roll => drop(self.log.roll(0).unwrap()),
            Step::Trim(draw) => {
                self.model.start = self.model.pick(*draw);
                self.log.trim_to(self.model.start).unwrap();
            }
            Step::Retain(draw) => {
                let high = self.model.pick(*draw);
                let trimmed = self.log.retain(600, high).unwrap();
                prop_assert!(trimmed.log_start <= high.max(self.model.start));
                let old = self.model.records[at(self.model.start)..at(trimmed.log_start)].iter().all(|&t| t < 500);
                prop_assert!(old, "only what has expired goes");
                self.model.start = trimmed.log_start;
            }
            Step::Checkpoint => self.checkpoint(),
            Step::Truncate(draw) => self.truncate(self.model.pick(*draw))?,
            Step::Crash => self.reopen(false)?,
            Step::PowerLoss(seed) => {
                self.disk.lose_power_by(*seed, 2);
                self.reopen(false)?;
            }
            Step::CleanRestart => {
                close(&mut self.log);
                self.model.flushed = self.model.end();
                self.checkpoint();
                self.reopen(true)?;
            }
            Step::FullDisk(room) => {
                self.disk.leave_room(Some(usize::from(*room)));
                let refused = self.log.append_leader(&mut super::tests::batch(&[5], 300), 3, 0);
                self.disk.leave_room(None);
                prop_assert!(refused.is_err());
            }
        }
        Ok(())
    }

    fn check(&mut self, probe: u8) -> Result<(), TestCaseError> {
        let model = &self.model;
        prop_assert_eq!((self.log.log_start(), self.log.log_end()), (model.start, model.end()));
        prop_assert!(self.log.flushed() <= model.end() && self.log.recovery_point() <= self.log.flushed());
        let from = model.pick(probe);
        let slice = self.log.read(from, 700, Offset::MAX, true).unwrap();
        if from < model.end() {
            let mut next = model.batch_of(from).0;
            for range in offsets(&slice.records) {
                prop_assert_eq!(range, model.batch_of(next));
                next = range.1 + 1;
            }
            prop_assert_eq!(slice.next, next);
            prop_assert!(slice.next > from);
        }
        let wanted = Timestamp::from(probe) * 4;
        let late = (model.start..model.end()).find(|&offset| model.records[at(offset)] >= wanted);
        let found = self.log.offset_for_timestamp(wanted, model.end()).unwrap();
        prop_assert_eq!(found, late.map(|offset| Found { offset, timestamp: model.records[at(offset)] }));
        let peak = (model.start..model.end()).map(|offset| model.records[at(offset)]).max();
        let found = self.log.max_timestamp_offset(model.end()).unwrap();
        prop_assert_eq!(found.map(|found| found.timestamp), peak);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_log_lives_like_its_model(steps in steps(), probes in vec(any::<u8>(), 60), recycle in 0u32..3) {
        let disk = MemDisk::default();
        let (log, _) = open_with(&disk, Life::config(recycle), OpenHow::default()).unwrap();
        let mut life = Life { disk, log, model: Model::default(), recycle };
        flush(&mut life.log);
        for (step, probe) in steps.iter().zip(probes) {
            life.step(step)?;
            life.check(probe)?;
        }
        let Fact::Audited { log_end, bad_crc, torn_bytes, bad_lookups, .. } =
            audit(&life.disk, DIR, tp(), life.model.written_start, recycle > 0).unwrap() else { unreachable!() };
        prop_assert_eq!((log_end, bad_crc, torn_bytes), (life.model.end(), Vec::new(), 0));
        prop_assert_eq!(bad_lookups, Vec::<String>::new());
    }
}
