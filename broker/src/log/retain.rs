//! Both ends of the log: retention and DeleteRecords at its start, truncation at its end.

use super::lookup::Hints;
use super::producers::Producers;
use super::segment::Segment;
use super::{Epochs, Log, LogError};
use crate::env::Disk;
use crate::ids::Offset;
use crate::planted::{Defect, planted};

/// What moved the log's start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Base offsets of the segments that left the log. Their files wait for [`Log::sweep`].
    pub segments: Vec<Offset>,
    /// First offset kept now.
    pub log_start: Offset,
}

impl<D: Disk> Log<D> {
    /// Applies `retention.ms` and `retention.bytes` at wall time `now`, oldest segment first, never past the high
    /// watermark `high`. A segment goes as a whole; the active one is closed first if all of it has expired. Without
    /// `delete` in `cleanup.policy` nothing goes.
    pub fn retain(&mut self, now: i64, high: Offset) -> Result<Trimmed, LogError> {
        self.check_online()?;
        if !self.config.cleanup.deletes() {
            return Ok(Trimmed { segments: Vec::new(), log_start: self.log_start });
        }
        let expired = |segment: &Segment| match (self.config.retention_ms, segment.peak) {
            (Some(keep), Some(peak)) => {
                // Records without timestamps age from when their segment was begun, as files do.
                let newest = if peak.timestamp < 0 { segment.created } else { peak.timestamp };
                u64::try_from(now.saturating_sub(newest)).is_ok_and(|age| age > keep)
            }
            _ => false,
        };
        let committed = |segment: &Segment| segment.next <= high || planted(Defect::StRetentionPastHw);
        let mut excess = self.config.retention_bytes.map_or(0, |most| self.size().saturating_sub(most));
        let mut count = 0;
        for (at, segment) in self.segments.iter().enumerate() {
            let active = at + 1 == self.segments.len();
            let oversized = excess >= segment.size && !active;
            if segment.size == 0 || !committed(segment) || !(expired(segment) || (oversized && excess > 0)) {
                break;
            }
            excess = excess.saturating_sub(segment.size);
            count = at + 1;
        }
        if count == self.segments.len() {
            self.roll(now)?;
        }
        Ok(self.trim_segments(count, 0))
    }

    /// Moves the log's start to `offset` (DeleteRecords): at most the log's end, and never back. The caller answers
    /// for the high watermark.
    pub fn trim_to(&mut self, offset: Offset) -> Result<Trimmed, LogError> {
        self.check_online()?;
        if offset > self.log_end() || offset < 0 {
            return Err(LogError::OutOfRange { offset, start: self.log_start, end: self.log_end() });
        }
        let closed = &self.segments[..self.segments.len() - 1];
        let count = closed.partition_point(|segment| segment.next <= offset);
        Ok(self.trim_segments(count, offset))
    }

    fn trim_segments(&mut self, count: usize, offset: Offset) -> Trimmed {
        let gone: Vec<Segment> = self.segments.drain(..count).collect();
        let segments = gone.iter().map(|segment| segment.base).collect();
        let reached = gone.last().map_or(0, |segment| segment.next).max(offset);
        gone.iter().for_each(|segment| segment.close(&self.dir));
        self.trimmed.extend(gone);
        if planted(Defect::StProducerSnapshotLost) && reached > self.log_start {
            self.producers.lose_all();
        }
        if reached > self.log_start {
            self.log_start = reached;
            let changes = self.changed();
            if self.epochs.trim_to(reached) {
                self.epochs_changed = changes;
            }
        }
        Trimmed { segments, log_start: self.log_start }
    }

    /// Removes the files of trimmed segments that end at or before `written`, the log start that is durably written
    /// down, or sets them aside to be written again. Returns how many segments went. A file that comes back after a power
    /// loss is removed at the next opening.
    pub fn sweep(&mut self, written: Offset) -> Result<usize, LogError> {
        let count = self.trimmed.iter().take_while(|segment| segment.next <= written).count();
        let gone: Vec<Segment> = self.trimmed.drain(..count).collect();
        gone.iter().try_for_each(|segment| self.part_with(segment))?;
        self.spares.keep(&self.dir, self.config.recycle_segments as usize)?;
        self.prune_snapshots()?;
        Ok(count)
    }

    /// Cuts the log so that it ends at `offset`, or before it if a batch lies across. Returns the new end. The caller
    /// writes down the recovery point again before it appends.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<Offset, LogError> {
        self.check_online()?;
        if offset >= self.log_end() {
            return Ok(self.log_end());
        }
        if offset < self.log_start {
            return Err(LogError::OutOfRange { offset, start: self.log_start, end: self.log_end() });
        }
        let at = self.segment_of(offset);
        let (position, end) = self.locate(at, offset)?.map_or((0, self.segments[at].base), |found| found);
        let changes = self.changed();
        self.cuts += 1;
        self.hints = Hints::default();
        for segment in self.segments.drain(at + 1..) {
            // Newest first would be tidier on a crash between; recovery treats a gap as the log's end either way.
            segment.remove(&self.dir).inspect_err(|_| self.offline.set(true))?;
        }
        let segment = &mut self.segments[at];
        segment.changed = changes;
        if let Err(error) = segment.cut(&self.dir, end, position) {
            return Err(self.broken(error));
        }
        self.names_changed = changes;
        if self.epochs.truncate_to(end) {
            self.epochs_changed = changes;
        }
        self.log_start = self.log_start.min(end);
        self.flushed = self.flushed.min(end);
        self.dirty_from = self.dirty_from.min(end);
        let before = std::mem::take(&mut self.producers);
        if let Err(error) = self.load_producers(end, 0) {
            self.offline.set(true);
            return Err(error);
        }
        self.producers.active_as(&before);
        if planted(Defect::StProducerSnapshotLost) {
            self.producers.lose_all();
        }
        Ok(end)
    }

    /// Forgets everything, and begins again at `start`, for a follower whose leader keeps nothing older. The caller has
    /// written down a recovery point no higher than the log's start before, and writes down the new start before it
    /// appends.
    pub fn restart_at(&mut self, start: Offset, now: i64) -> Result<(), LogError> {
        self.check_online()?;
        let changes = self.changed();
        self.cuts += 1;
        self.hints = Hints::default();
        // One of them may have the very name of the new one.
        let begun = self.segments.iter().chain(&self.trimmed).try_for_each(|segment| segment.remove(&self.dir));
        // What they hold may lie beyond the new start.
        let begun = begun.and_then(|()| self.spares.keep(&self.dir, 0));
        let begun = begun.and_then(|()| Segment::create(&self.dir, start, now, &mut self.spares));
        let mut fresh = begun.inspect_err(|_| self.offline.set(true))?;
        fresh.changed = changes;
        self.trimmed.clear();
        self.segments = vec![fresh];
        self.names_changed = changes;
        self.epochs = Epochs::default();
        self.epochs_changed = changes;
        (self.log_start, self.flushed, self.dirty_from) = (start, start, start);
        self.producers = Producers::default();
        self.prune_snapshots()?;
        Ok(())
    }
}
