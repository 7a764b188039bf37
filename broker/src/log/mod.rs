//! The log: one partition's batches in segment files, appended as they came, read back as they lie.
//!
//! A synchronous data structure generic over `Disk`; only a [`Flush`] is awaited. Who drives it keeps these rules:
//!
//! * After [`Log::open`] returned `must_sync`, nothing is served before a flush has ended: what recovery validated may
//!   be in the page cache only.
//! * After any flush error the node halts. It is not tried again; a marker file makes the next recovery rewrite the
//!   tail, because the kernel has marked lost pages clean.
//! * Trimmed segments ([`Log::retain`], [`Log::trim_to`]) are removed by [`Log::sweep`] once the new log start is
//!   written down ([`checkpoint::LOG_STARTS`]); then a file that reappears after a power loss is known to be garbage.
//! * A recovery point written down ([`checkpoint::RECOVERY_POINTS`]) never exceeds [`Log::recovery_point`]. Below it
//!   damage is never repaired by dropping records: the partition stays off line ([`LogError::Corrupt`]).

mod audit;
mod buffers;
pub mod checkpoint;
pub mod compact;
mod compact_copy;
mod compact_swap;
mod epochs;
mod error;
mod files;
mod flush;
mod index;
mod lookup;
pub mod producers;
mod recover;
mod recycle;
mod retain;
mod scan;
mod segment;
mod snapshots;

#[cfg(test)]
mod compact_model_tests;
#[cfg(test)]
mod compact_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io;
use std::rc::Rc;

pub use audit::audit;
pub use epochs::Epochs;
pub use error::LogError;
pub use files::FilePool;
pub use flush::Flush;
pub use lookup::{Found, Slice};
pub use recover::{OpenHow, Recovery};
pub use retain::Trimmed;

use crate::config::LogConfig;
use bytes::Bytes;

use crate::env::{Disk, File};
use crate::ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use crate::planted::{Defect, planted};
use crate::record::batch::{place, stamp};
use crate::record::sift::without_records;
use crate::record::{Batch, BatchError, Batches, Header, check_keyed};
use files::{Dir, Kind};
use lookup::Hints;
use producers::Producers;
use recycle::Spares;
use segment::Segment;
use snapshots::Snapshot;

/// `segment.bytes` is a Java `int`, and the offset index has 32 bits for a position.
const MOST_SEGMENT_BYTES: u64 = i32::MAX as u64;

/// What an append did. The batches' headers in the caller's buffer hold their offsets and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base: Offset,
    /// Offset of the last record.
    pub last: Offset,
    /// The largest timestamp in the batches.
    pub max_timestamp: Timestamp,
    /// Bytes written.
    pub bytes: usize,
    /// The base offset of the segment begun for it, if one was. What was closed wants a flush.
    pub rolled: Option<Offset>,
}

/// One partition's log.
pub struct Log<D: Disk> {
    tp: TopicPartition,
    config: LogConfig,
    dir: Dir<D>,
    /// By base offset; the last one is appended to. Never empty.
    segments: Vec<Segment>,
    /// Wholly before the log's start, files not yet removed.
    trimmed: Vec<Segment>,
    log_start: Offset,
    flushed: Offset,
    epochs: Epochs,
    /// Counts every change; what was changed at which count, and up to which count it is durable.
    changes: u64,
    names_changed: u64,
    names_synced: u64,
    epochs_changed: u64,
    epochs_synced: u64,
    /// Counts truncations.
    cuts: u64,
    /// The partition's own directory may not be durable.
    born: bool,
    /// Recovery found the marker of a failed fsync.
    failed_before: bool,
    offline: Rc<Cell<bool>>,
    hints: Hints,
    /// Who writes to it idempotently.
    producers: Producers,
    /// Where that is written down, oldest first.
    snapshots: Vec<Snapshot>,
    /// Before it, compaction has left one record of each key. Not written down: what is compacted twice is as it was
    /// after the first time.
    dirty_from: Offset,
    /// Segments whose exchange for their compacted selves was cut short, and at which count of changes: their markers go
    /// with the next flush.
    exchanged: Vec<(Offset, u64)>,
    /// Files that new segments are written into.
    spares: Spares,
}

impl<D: Disk> Log<D> {
    /// The partition.
    pub fn tp(&self) -> &TopicPartition {
        &self.tp
    }

    /// Its settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Changes its settings, from the next append on.
    pub fn configure(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// First offset kept.
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// One past the last offset (LEO).
    pub fn log_end(&self) -> Offset {
        self.active().next
    }

    /// One past the last offset known to be durable.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// From where recovery has to scan: what may be written down as the recovery point. Before [`Log::flushed`] while
    /// a segment closed since has unsynced indexes.
    pub fn recovery_point(&self) -> Offset {
        let closed = self.segments.split_last().map_or(&[][..], |(_, closed)| closed);
        let dirty = closed.iter().find(|segment| segment.changed > segment.synced);
        dirty.map_or(self.flushed, |segment| segment.base.min(self.flushed))
    }

    /// Leader epochs and where they began.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// Answers OffsetForLeaderEpoch (KIP-101, KIP-279): see [`Epochs::end_offset`].
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        self.epochs.end_offset(epoch, self.log_end())
    }

    /// The largest epoch in the log that is at most `epoch`, and where it ended: how two logs find where they part
    /// (KIP-595). `(-1, end)` if it holds none.
    pub fn end_at_most(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        self.epochs.end_at_most(epoch, self.log_end())
    }

    /// Bytes of batches in its segments.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Segments, the active one included.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Whether a failed write or fsync took it off line.
    pub fn is_offline(&self) -> bool {
        self.offline.get()
    }

    fn active(&self) -> &Segment {
        self.segments.last().expect("a log has a segment at all times")
    }

    fn check_online(&self) -> Result<(), LogError> {
        if self.offline.get() { Err(LogError::Offline) } else { Ok(()) }
    }

    fn changed(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// Appends a producer's batches as leader of `epoch` at wall time `now`: checks header and CRC, sets base offset,
    /// epoch and, if so configured, the time, in place, and writes them as they are.
    ///
    /// On an error nothing was appended: a part that reached the file is cut off again, or the log goes off line.
    pub fn append_leader(&mut self, batches: &mut [u8], epoch: LeaderEpoch, now: i64) -> Result<Appended, LogError> {
        self.check_online()?;
        let mut rest: &[u8] = batches;
        let mut next = self.log_end();
        let mut max_timestamp = Timestamp::MIN;
        loop {
            let (batch, after) = Batch::split(rest)?;
            let header = batch.header();
            header.check_from_client(self.config.max_message_bytes)?;
            batch.check_crc()?;
            if self.config.cleanup.compacts() {
                check_keyed(&batch)?;
            }
            next = advance(next, header)?;
            max_timestamp = max_timestamp.max(header.max_timestamp);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        if self.config.log_append_time {
            max_timestamp = now;
        }
        let rolled = self.make_room(batches.len(), next, max_timestamp, now)?;
        self.place_all(batches, epoch, now)?;
        self.write(batches, max_timestamp, rolled, now)
    }

    /// Appends batches that the leader has already placed: offsets and epochs are kept, and must continue this log.
    pub fn append_follower(&mut self, batches: &[u8], now: i64) -> Result<Appended, LogError> {
        self.check_online()?;
        let mut next = self.log_end();
        let mut max_timestamp = Timestamp::MIN;
        for batch in Batches::new(batches) {
            let batch = batch?;
            batch.check_crc()?;
            if batch.header().base_offset != next {
                return Err(LogError::NotNext { got: batch.header().base_offset, end: next });
            }
            next = batch.header().next_offset();
            max_timestamp = max_timestamp.max(batch.header().max_timestamp);
        }
        if batches.is_empty() {
            return Err(BatchError::Truncated { need: crate::record::batch::HEADER_SIZE, have: 0 }.into());
        }
        let rolled = self.make_room(batches.len(), next, max_timestamp, now)?;
        self.write(batches, max_timestamp, rolled, now)
    }

    /// Batches of the leader as they continue this log: where compaction has merged batches without records, the first one
    /// may begin before its end, and what is missing of it stays.
    pub fn missing(&self, batches: &Bytes) -> Result<Bytes, LogError> {
        let end = self.log_end();
        let Ok((first, rest)) = Batch::split(batches) else { return Ok(batches.clone()) };
        let header = first.header();
        let is_next = header.base_offset >= end || planted(Defect::ReMergedBatchRefused);
        if header.count != 0 || is_next || header.next_offset() <= end {
            return Ok(batches.clone());
        }
        first.check_crc()?;
        let mut out = without_records(end, header.last_offset(), header.leader_epoch, None).to_vec();
        out.extend_from_slice(rest);
        Ok(out.into())
    }

    /// Sets offsets, epoch and time of batches that were checked.
    fn place_all(&self, batches: &mut [u8], epoch: LeaderEpoch, now: i64) -> Result<(), LogError> {
        let mut next = self.log_end();
        let mut rest = batches;
        while !rest.is_empty() {
            let header = Header::parse(rest)?;
            let (batch, after) = rest.split_at_mut(header.size);
            place(batch, next, epoch);
            if self.config.log_append_time {
                stamp(batch, now);
            }
            next += Offset::from(header.last_offset_delta) + 1;
            rest = after;
        }
        Ok(())
    }

    /// Writes placed batches at the end and counts them.
    fn write(
        &mut self,
        batches: &[u8],
        max_timestamp: Timestamp,
        rolled: Option<Offset>,
        now: i64,
    ) -> Result<Appended, LogError> {
        let base = self.log_end();
        let changes = self.changed();
        if planted(Defect::PrDedupStagesBeforeCommit) {
            self.note(batches, now);
        }
        let active = self.segments.last_mut().expect("a log has a segment at all times");
        let file = active.file(&self.dir, Kind::Log)?;
        active.changed = changes;
        if active.has_remains {
            file.write_at(recycle::GUARD, active.size + batches.len() as u64)?;
        }
        let copied = planted(Defect::SpExtraCopy).then(|| batches.to_vec());
        let batches = copied.as_deref().unwrap_or(batches);
        if let Err(error) = file.write_at(batches, active.size) {
            if file.truncate(active.size).is_err() {
                self.offline.set(true);
            }
            return Err(error.into());
        }
        for batch in Batches::new(batches) {
            let header = *batch?.header();
            // A missing entry costs a longer walk, nothing else; the last entries are written when the segment closes.
            let _ = active.note_indexed(&self.dir, &header, self.config.index_interval_bytes);
            if self.epochs.assign(header.leader_epoch, header.base_offset) {
                self.epochs_changed = changes;
            }
        }
        self.note(batches, now);
        let last = self.log_end() - 1;
        Ok(Appended { base, last, max_timestamp, bytes: batches.len(), rolled })
    }

    /// Takes in what batches say of their producers.
    fn note(&mut self, batches: &[u8], now: i64) {
        for batch in Batches::new(batches).flatten() {
            self.producers.note(batch.header(), now);
        }
    }

    /// Begins a new segment if `bytes` more, up to offset `next`, do not belong into the active one (Kafka's
    /// `LogSegment.shouldRoll`): too big, too old by its first batch's timestamp, or offsets too far from its base.
    fn make_room(
        &mut self,
        bytes: usize,
        next: Offset,
        max_timestamp: Timestamp,
        now: i64,
    ) -> Result<Option<Offset>, LogError> {
        let active = self.active();
        if active.size == 0 {
            return Ok(None);
        }
        let most = self.config.segment_bytes.min(MOST_SEGMENT_BYTES);
        let age = match active.first_timestamp {
            Some(first) if first >= 0 && max_timestamp >= 0 => max_timestamp.saturating_sub(first),
            _ => now.saturating_sub(active.created),
        };
        let mut oldest = self.config.segment_ms;
        if self.config.cleanup.compacts() {
            // What is appended to is not compacted.
            oldest = oldest.min(self.config.max_compaction_lag_ms);
        }
        let old = u64::try_from(age).is_ok_and(|age| age > oldest);
        if active.size + bytes as u64 > most || old || !active.reaches(next) {
            return self.roll(now).map(Some);
        }
        Ok(None)
    }

    /// Closes the active segment and begins a new one at the log's end. Returns its base offset.
    pub fn roll(&mut self, now: i64) -> Result<Offset, LogError> {
        self.check_online()?;
        let changes = self.changed();
        let base = self.log_end();
        let active = self.segments.last_mut().expect("a log has a segment at all times");
        if active.size == 0 {
            return Ok(base);
        }
        active.changed = changes;
        active.finish_indexes(&self.dir)?;
        active.trim_file(&self.dir)?;
        let mut fresh = Segment::create(&self.dir, base, now, &mut self.spares)?;
        fresh.changed = changes;
        self.segments.push(fresh);
        self.names_changed = changes;
        self.take_snapshot();
        Ok(base)
    }

    /// Completes the active segment's indexes and collects the last flush; when that has ended, and the recovery point
    /// is written down, the shutdown is clean.
    pub fn close(&mut self) -> Result<Flush<D>, LogError> {
        self.check_online()?;
        let changes = self.changed();
        let active = self.segments.last_mut().expect("a log has a segment at all times");
        active.index_peak(&self.dir)?;
        active.trim_file(&self.dir)?;
        active.changed = changes;
        self.take_snapshot();
        self.collect(true)
    }

    /// Closes and removes all of its files and its directory, for a deleted topic.
    pub fn delete(self) -> Result<(), LogError> {
        self.offline.set(true);
        for segment in self.segments.iter().chain(&self.trimmed) {
            segment.close(&self.dir);
        }
        let disk = self.dir.disk();
        for name in disk.list(&self.dir.path)? {
            disk.remove(&self.dir.join(&name))?;
        }
        Ok(disk.remove_dir(&self.dir.path)?)
    }

    /// The segment that holds `offset`, or would.
    fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// An I/O error after which the files and what is known of them may disagree.
    fn broken(&self, error: io::Error) -> LogError {
        self.offline.set(true);
        LogError::Io(error)
    }
}

/// The offset after a batch placed at `next`.
fn advance(next: Offset, header: &Header) -> Result<Offset, BatchError> {
    let after = next.checked_add(Offset::from(header.last_offset_delta) + 1);
    after.ok_or(BatchError::Offsets { base: next, last_delta: header.last_offset_delta })
}
