//! A log in memory, durable up to its flushed end, that a snapshot may begin.

use crate::ids::{LeaderEpoch, Offset};
use crate::quorum::{OffsetAndEpoch, Tail};

/// One record: who leads when it is written, and what it says (unique in a world).
pub(super) type Entry = (LeaderEpoch, u64);

/// A log whose records all stay known, also those that a snapshot covers: the checks need them.
#[derive(Clone, Debug, Default)]
pub(super) struct MemLog {
    pub(super) entries: Vec<Entry>,
    /// Below this, only the snapshot has them.
    pub(super) start: usize,
    pub(super) snapshot: Option<usize>,
    pub(super) flushed: usize,
}

pub(super) fn offset(at: usize) -> Offset {
    Offset::try_from(at).unwrap()
}

pub(super) fn index(at: Offset) -> usize {
    usize::try_from(at).unwrap()
}

impl MemLog {
    fn at(&self, end: usize) -> OffsetAndEpoch {
        let epoch = end.checked_sub(1).map_or(0, |last| self.entries[last].0);
        OffsetAndEpoch { offset: offset(end), epoch }
    }

    pub(super) fn truncate(&mut self, to: Offset) {
        assert!(index(to) >= self.start, "cut below the log's start");
        self.entries.truncate(index(to));
        self.flushed = self.flushed.min(self.entries.len());
    }

    /// What a power loss leaves.
    pub(super) fn lose_tail(&mut self) {
        self.entries.truncate(self.flushed);
    }
}

impl Tail for MemLog {
    fn start(&self) -> OffsetAndEpoch {
        self.at(self.start)
    }

    fn end(&self) -> OffsetAndEpoch {
        self.at(self.entries.len())
    }

    fn flushed(&self) -> Offset {
        offset(self.flushed)
    }

    fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch {
        let kept = &self.entries[self.start..];
        let end = self.start + kept.partition_point(|entry| entry.0 <= epoch);
        self.at(end)
    }

    fn snapshot(&self) -> Option<OffsetAndEpoch> {
        self.snapshot.map(|end| self.at(end))
    }
}
