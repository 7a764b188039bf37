//! A log without files: what the replicas of the hand-driven world append to and cut.

use crate::ids::{LeaderEpoch, Offset};
use crate::log::Epochs;

/// A record: the epoch it was written in, and what tells it apart.
pub type Record = (LeaderEpoch, u64);

/// A log without segments.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub start: Offset,
    pub records: Vec<Record>,
    pub flushed: Offset,
}

pub fn at(offset: Offset) -> usize {
    usize::try_from(offset).expect("offsets are positive")
}

pub fn offset(count: usize) -> Offset {
    Offset::try_from(count).expect("logs are short")
}

impl Log {
    pub fn end(&self) -> Offset {
        self.start + offset(self.records.len())
    }

    pub fn get(&self, offset: Offset) -> Option<Record> {
        self.records.get(usize::try_from(offset - self.start).ok()?).copied()
    }

    pub fn last(&self) -> LeaderEpoch {
        self.records.last().map_or(-1, |(epoch, _)| *epoch)
    }

    fn epochs(&self) -> Epochs {
        let mut epochs = Epochs::default();
        for (offset, (epoch, _)) in (self.start..).zip(&self.records) {
            epochs.assign(*epoch, offset);
        }
        epochs
    }

    pub fn end_at_most(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        self.epochs().end_at_most(epoch, self.end())
    }

    pub fn cut(&mut self, end: Offset) {
        self.records.truncate(at(end - self.start));
        self.flushed = self.flushed.min(end);
    }

    pub fn trim(&mut self, start: Offset) {
        self.records.drain(..at(start - self.start).min(self.records.len()));
        self.start = start;
        self.flushed = self.flushed.max(start);
    }
}
