//! Compaction: of each key the latest record stays (`cleanup.policy=compact`), as Kafka's `LogCleaner` does it.
//!
//! A pass ([`Cleaning`]) notes the latest offset of every key in the dirty section, the part that no pass has seen, and
//! then goes through all closed segments up to that section's end, oldest first. A record stays if it is the latest of
//! its key, or lies at or above that end; one without a key goes. The keys noted are bounded in bytes
//! (`log.cleaner.dedupe.buffer.size`): when they are full the dirty section ends there, for this time. Only what is
//! durable, committed, and not appended to is touched.
//!
//! * Offsets never change, and the log has no holes: a batch that loses all of its records becomes one of a header only
//!   that covers the same offsets, and neighbours become one. Kafka leaves holes there; here each batch continues the
//!   one before, and an opening can tell damage from compaction.
//! * A batch that a producer's sequence numbers are checked against keeps those, records or not. Kafka keeps the last
//!   one of each producer; here all that are remembered, so that what is known can be read off the log as it was.
//! * A tombstone stays for `delete.retention.ms` from when a pass first kept it with nothing left to delete before it.
//!   As in Kafka since 3.1 (KIP-534) its batch says until when: attribute bit 6, and the base timestamp is that time.
//! * A segment is rewritten beside its file, made durable, and exchanged for it ([`super::compact_swap`]), which is
//!   durable before the next one is begun: a tombstone never goes before what it deletes.
//! * Markers and batches that nobody can read stay as they are.
//!
//! Where the dirty section begins is not written down: after a restart everything is looked at once more.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;

use super::compact_copy::Copying;
pub use super::compact_swap::Exchange;
use super::files::Kind;
use super::producers::Producers;
use super::scan::{HOP, Scanner, WHOLE};

use super::{Log, LogError, snapshots};
use crate::env::Disk;
use crate::fact::BatchMark;
use crate::ids::Offset;
use crate::planted::{Defect, planted};
use crate::record::sift::{readable, with_some};
use crate::record::{Batch, Record};

/// What an entry of the keys costs beside the key's own bytes.
const ENTRY: usize = 64;
const MARKER: &str = ".exchange";

/// The name of the file that says that the segment's files are being exchanged.
pub(super) fn marker(base: Offset) -> String {
    format!("{base:020}{MARKER}")
}

/// The segment whose files a marker of that name says are being exchanged.
pub(super) fn parse_marker(name: &str) -> Option<Offset> {
    let stem = name.strip_suffix(MARKER)?;
    stem.parse().ok().filter(|&base| base >= 0 && stem.len() == 20)
}

/// How much of a log there is to compact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dirt {
    /// Some of it has waited for longer than `max.compaction.lag.ms`.
    pub overdue: bool,
    /// Its share of the bytes that can be compacted, in millionths.
    pub millionths: u32,
    /// Bytes of segments that no pass has seen.
    pub bytes: u64,
}

/// What a pass has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// From where on it took note of keys.
    pub from: Offset,
    /// Before it there is one record of each key now.
    pub upto: Offset,
    /// Base offsets of the segments that were exchanged.
    pub segments: Vec<Offset>,
    /// Records that are gone.
    pub records: u64,
    /// Bytes of the segments exchanged, before.
    pub before: u64,
    /// Bytes of the segments exchanged, after.
    pub after: u64,
}

/// What comes after one step of a pass.
pub enum Step<D: Disk> {
    /// Another.
    Again,
    /// Another, once that is durable ([`Exchange::sync`]).
    Sync(Exchange<D>),
    /// Nothing: the pass has come to its end.
    Done(Cleaned),
    /// Nothing: the log was cut or opened anew meanwhile, and what was noted of its keys is worth nothing; or what was to
    /// be durable is not.
    Void,
}

/// One pass over a log. One at a time, and with the log that began it.
pub struct Cleaning<D: Disk> {
    /// Of which log, and after how many cuts: of another, it knows nothing.
    of: Rc<Cell<bool>>,
    cuts: u64,
    /// Wall time when it began.
    now: i64,
    /// The producers as the batches make them up to where the segments end that it goes through: what comes after that
    /// may be lost yet, and these be all that is known.
    producers: Producers,
    keys: Keys,
    stage: Stage<D>,
    done: Cleaned,
}

enum Stage<D: Disk> {
    /// Takes note of keys from this offset on.
    Noting(Offset),
    /// Looks, from this position of the segment on, whether anything in it is to go.
    Looking(Offset, u64),
    /// Writes it anew.
    Copying(Copying<D>),
    /// Waits until that is durable.
    Copied(Copying<D>, Rc<Cell<bool>>),
    /// Waits until the segment's exchange is durable.
    Exchanged(Offset, Rc<Cell<bool>>),
    /// It is over.
    Over,
}

/// The latest offset of each key.
#[derive(Default)]
struct Keys {
    latest: BTreeMap<Box<[u8]>, Offset>,
    bytes: usize,
    most: usize,
}

impl Keys {
    /// Whether there was room for it. There is for one at least.
    fn note(&mut self, key: &[u8], offset: Offset) -> bool {
        if let Some(latest) = self.latest.get_mut(key) {
            *latest = offset;
            return true;
        }
        let more = key.len() + ENTRY;
        if !self.latest.is_empty() && self.bytes + more > self.most {
            return false;
        }
        self.bytes += more;
        self.latest.insert(key.into(), offset);
        true
    }
}

/// What becomes of a batch.
pub(super) enum Fate {
    /// It stays as it is.
    Stays,
    /// It takes another form, with so many records fewer.
    Becomes(Bytes, u64),
    /// Its header stays, without the so many records that it had.
    Emptied(u64),
    /// Nothing stays but its offsets; it had so many records.
    Gone(u64),
}

impl<D: Disk> Log<D> {
    /// How much there is to compact at wall time `now`, with everything below `high` committed. `None` if the log is
    /// not compacted, or there is nothing, or too little: less than `min.cleanable.dirty.ratio` and not overdue.
    pub fn dirt(&self, now: i64, high: Offset) -> Option<Dirt> {
        let count = self.cleanable(now, high);
        let (mut clean, mut dirty, mut overdue) = (0, 0, false);
        for segment in &self.segments[..count] {
            if segment.next <= self.dirty_from {
                clean += segment.size;
                continue;
            }
            dirty += segment.size;
            let begun = segment.first_timestamp.filter(|&first| first >= 0).unwrap_or(segment.created);
            overdue |=
                u64::try_from(now.saturating_sub(begun)).is_ok_and(|age| age > self.config.max_compaction_lag_ms);
        }
        let share = (u128::from(dirty) * 1_000_000).checked_div(u128::from(clean + dirty))?;
        let millionths = u32::try_from(share).unwrap_or(1_000_000);
        let due = overdue || millionths >= self.config.min_cleanable_dirty_millionths;
        (due && dirty > 0).then_some(Dirt { overdue, millionths, bytes: dirty })
    }

    /// How many segments can be compacted: closed, durable, committed, and all of them older than
    /// `min.compaction.lag.ms`.
    fn cleanable(&self, now: i64, high: Offset) -> usize {
        if !self.config.cleanup.compacts() || self.offline.get() {
            return 0;
        }
        let youngest = self.config.min_compaction_lag_ms;
        let can = |segment: &super::segment::Segment| {
            let durable = segment.next <= self.flushed && segment.changed <= segment.synced;
            let newest = segment.peak.map_or(segment.created, |peak| peak.timestamp);
            let old = youngest == 0 || u64::try_from(now.saturating_sub(newest)).is_ok_and(|age| age >= youngest);
            (durable && segment.next <= high && old) || planted(Defect::StCleanPastHw)
        };
        self.segments[..self.segments.len() - 1].iter().take_while(|segment| can(segment)).count()
    }

    /// Begins a pass over what can be compacted, with `buffer` bytes for keys. `None` if there is nothing.
    pub fn begin_cleaning(&self, now: i64, high: Offset, buffer: usize) -> Option<Cleaning<D>> {
        let count = self.cleanable(now, high);
        let upto = self.segments[count.checked_sub(1)?].next;
        let from = self.dirty_from.max(self.log_start);
        if from >= upto {
            return None;
        }
        let done = Cleaned { from, upto, ..Cleaned::default() };
        let keys = Keys { most: buffer, ..Keys::default() };
        // Of one that cannot be read, the producers known now are as good, unless records are lost.
        let snapshot = snapshots::read(self.dir.disk(), &self.dir.join(&snapshots::name(upto)), upto);
        let producers = snapshot.ok().flatten().unwrap_or_default();
        Some(Cleaning {
            producers,
            of: self.offline.clone(),
            cuts: self.cuts,
            now,
            keys,
            stage: Stage::Noting(from),
            done,
        })
    }

    /// Goes on with a pass: reads about `budget` bytes, or one batch, at most. After an error the pass is over, and the
    /// log as good as before, unless it is off line.
    pub fn clean(&mut self, pass: &mut Cleaning<D>, budget: usize) -> Result<Step<D>, LogError> {
        self.check_online()?;
        if !Rc::ptr_eq(&pass.of, &self.offline) {
            return Ok(Step::Void);
        }
        if pass.cuts != self.cuts {
            self.discard(pass);
            return Ok(Step::Void);
        }
        match std::mem::replace(&mut pass.stage, Stage::Over) {
            Stage::Noting(next) => {
                pass.stage = match self.note_keys(pass, next, budget)? {
                    Some(next) => Stage::Noting(next),
                    None => Stage::Looking(self.segments[0].base, 0),
                };
                Ok(Step::Again)
            }
            Stage::Looking(base, position) => self.look(pass, base, position, budget),
            Stage::Copying(copying) => self.copy(pass, copying, budget),
            Stage::Copied(copying, durable) if durable.get() => {
                let base = copying.base;
                let exchange = self.exchange(pass, copying)?;
                pass.stage = exchange.as_ref().map_or(Stage::Looking(base + 1, 0), |of| of.then(base));
                Ok(exchange.map_or(Step::Again, Step::Sync))
            }
            Stage::Exchanged(base, durable) if durable.get() => {
                self.dir.remove_if_there(&marker(base))?;
                self.names_changed = self.changed();
                pass.stage = Stage::Looking(base + 1, 0);
                Ok(Step::Again)
            }
            unfinished => {
                pass.stage = unfinished;
                self.discard(pass);
                Ok(Step::Void)
            }
        }
    }

    /// Gives a pass up; what it has not exchanged goes.
    pub fn discard(&mut self, pass: &mut Cleaning<D>) {
        match std::mem::replace(&mut pass.stage, Stage::Over) {
            Stage::Copying(copying) | Stage::Copied(copying, _) => copying.discard(&self.dir),
            // Its marker goes when a flush has made the names durable.
            Stage::Exchanged(base, _) => self.exchanged.push((base, self.names_changed)),
            Stage::Noting(_) | Stage::Looking(..) | Stage::Over => {}
        }
    }

    /// Where the segment with that base offset, or the first after it, is among those the pass goes through. `None` if
    /// it has gone through all.
    pub(super) fn to_clean(&self, pass: &Cleaning<D>, base: Offset) -> Option<usize> {
        let at = self.segments.partition_point(|segment| segment.base < base);
        (at + 1 < self.segments.len() && self.segments[at].base < pass.done.upto).then_some(at)
    }

    /// Takes note of the keys from `next` on. Returns where to go on, `None` if there is no more, or no more room: then
    /// the dirty section ends there.
    fn note_keys(&self, pass: &mut Cleaning<D>, next: Offset, budget: usize) -> Result<Option<Offset>, LogError> {
        let at = self.segment_of(next);
        let segment = &self.segments[at];
        let (mut next, mut left) = (next.max(segment.base), budget);
        let Some((position, _)) = self.locate(at, next)? else { return Ok(Some(segment.next)) };
        let file = segment.file(&self.dir, Kind::Log)?;
        let mut scanner = Scanner::new(&*file, position, segment.size, WHOLE.min(budget));
        while let Some(header) = scanner.header()? {
            let header = header.map_err(|error| segment.corrupt(next, error))?;
            if header.base_offset >= pass.done.upto {
                return Ok(None);
            }
            let batch = scanner.batch(&header)?.map_err(|error| segment.corrupt(next, error))?;
            if !header.is_control()
                && let Some(unpacked) = readable(&batch).map_err(|error| segment.corrupt(next, error))?
                && let Some(full) = pass.note_all(unpacked.records().flatten())
            {
                pass.done.upto = full;
                return Ok(None);
            }
            next = header.next_offset();
            scanner.skip(&header);
            left = left.saturating_sub(header.size);
            if left == 0 {
                break;
            }
        }
        Ok((next < pass.done.upto).then_some(next))
    }

    /// Looks whether anything is to go from the segment with that base offset, or the first after it.
    fn look(&self, pass: &mut Cleaning<D>, base: Offset, from: u64, budget: usize) -> Result<Step<D>, LogError> {
        let Some(at) = self.to_clean(pass, base) else { return Ok(self.end_pass(pass)) };
        let segment = &self.segments[at];
        // One that retention took meanwhile gives way to the next.
        let from = if segment.base == base { from } else { 0 };
        let file = segment.file(&self.dir, Kind::Log)?;
        let mut scanner = Scanner::new(&*file, from, segment.size, WHOLE.min(budget));
        while let Some(header) = scanner.header()? {
            let header = header.map_err(|error| segment.corrupt(segment.base, error))?;
            let batch = scanner.batch(&header)?.map_err(|error| segment.corrupt(header.base_offset, error))?;
            let fate = self.fate(pass, &batch).map_err(|error| segment.corrupt(header.base_offset, error))?;
            // Headers alone are not worth a new file.
            if !matches!(fate, Fate::Stays | Fate::Emptied(0) | Fate::Gone(0)) {
                pass.stage = Stage::Copying(Copying::begin(&self.dir, segment, pass.now)?);
                return Ok(Step::Again);
            }
            scanner.skip(&header);
            if scanner.position() - from >= budget as u64 {
                pass.stage = Stage::Looking(segment.base, scanner.position());
                return Ok(Step::Again);
            }
        }
        pass.stage = Stage::Looking(segment.next, 0);
        Ok(Step::Again)
    }

    /// Copies on what stays; at the segment's end, has it synced.
    fn copy(&self, pass: &mut Cleaning<D>, mut copying: Copying<D>, budget: usize) -> Result<Step<D>, LogError> {
        let there = self.to_clean(pass, copying.base).map(|at| &self.segments[at]);
        let Some(segment) = there.filter(|segment| segment.base == copying.base) else {
            copying.discard(&self.dir);
            pass.stage = Stage::Looking(copying.base + 1, 0);
            return Ok(Step::Again);
        };
        let copied = self.copy_some(pass, segment, &mut copying, budget);
        let ended = copied.inspect_err(|_| copying.discard(&self.dir))?;
        if !ended {
            pass.stage = Stage::Copying(copying);
            return Ok(Step::Again);
        }
        let sync = Exchange::of_files(&self.dir, &copying, self.offline.clone())?;
        pass.stage = Stage::Copied(copying, sync.durable());
        Ok(Step::Sync(sync))
    }

    fn end_pass(&self, pass: &mut Cleaning<D>) -> Step<D> {
        Step::Done(std::mem::take(&mut pass.done))
    }

    /// The batches of the segment with that base offset, and where it ends; nothing, if there is none.
    pub fn marks_of(&self, base: Offset) -> Result<(Offset, Vec<BatchMark>), LogError> {
        let at = self.segments.partition_point(|segment| segment.base < base);
        let Some(segment) = self.segments.get(at).filter(|segment| segment.base == base) else {
            return Ok((base, Vec::new()));
        };
        let file = segment.file(&self.dir, Kind::Log)?;
        let mut scanner = Scanner::new(&*file, 0, segment.size, HOP);
        let mut marks = Vec::new();
        while let Some(Ok(header)) = scanner.header()? {
            marks.push(header.mark());
            scanner.skip(&header);
        }
        Ok((segment.next, marks))
    }

    /// Takes note of a pass that has come to its end.
    pub fn end_cleaning(&mut self, done: &Cleaned) {
        self.dirty_from = self.dirty_from.max(done.upto);
    }

    /// What becomes of a batch.
    pub(super) fn fate(&self, pass: &Cleaning<D>, batch: &Batch<'_>) -> Result<Fate, crate::record::BatchError> {
        let header = batch.header();
        if header.is_control() || header.base_offset >= pass.done.upto {
            return Ok(Fate::Stays);
        }
        let Some(unpacked) = readable(batch)? else { return Ok(Fate::Stays) };
        let horizon = header.delete_horizon();
        let due = horizon.is_some_and(|horizon| pass.now >= horizon);
        let (mut kept, mut tombstones) = (Vec::new(), false);
        for record in unpacked.records() {
            let stays = pass.keeps(&record?, due);
            kept.push(stays);
        }
        for (record, _) in unpacked.records().zip(&kept).filter(|(_, stays)| **stays) {
            tombstones |= record?.value.is_none();
        }
        let staying = kept.iter().filter(|stays| **stays).count();
        let gone = u64::try_from(kept.len() - staying).unwrap_or(u64::MAX);
        if staying == 0 {
            let remembered = self.producers.remembers(header) || pass.producers.remembers(header);
            return Ok(if remembered { Fate::Emptied(gone) } else { Fate::Gone(gone) });
        }
        let settled = header.last_offset() < pass.done.upto;
        let retention = i64::try_from(self.config.delete_retention_ms).unwrap_or(i64::MAX);
        let fresh = (tombstones && settled && horizon.is_none()).then(|| pass.now.saturating_add(retention));
        if gone == 0 && fresh.is_none() {
            return Ok(Fate::Stays);
        }
        Ok(Fate::Becomes(with_some(&unpacked, &kept, fresh)?, gone))
    }
}

impl<D: Disk> Cleaning<D> {
    /// What it has done so far.
    pub fn done(&self) -> &Cleaned {
        &self.done
    }

    pub(super) fn count(&mut self, base: Offset, before: u64, copying: (u64, u64)) {
        self.done.segments.push(base);
        self.done.before += before;
        self.done.after += copying.0;
        self.done.records += copying.1;
    }

    /// Takes note of a batch's keys. Returns the offset of the first for which there was no room.
    fn note_all<'a>(&mut self, records: impl Iterator<Item = Record<'a>>) -> Option<Offset> {
        for record in records {
            let counts = record.offset >= self.done.from && record.offset < self.done.upto;
            if let Some(key) = record.key
                && counts
                && !self.keys.note(key, record.offset)
            {
                return Some(record.offset);
            }
        }
        None
    }

    /// Whether a record stays; `due`: tombstones have stayed long enough.
    fn keeps(&self, record: &Record<'_>, due: bool) -> bool {
        if record.offset >= self.done.upto {
            return true;
        }
        let Some(key) = record.key else { return false };
        let latest = match self.keys.latest.get(key) {
            Some(&latest) => record.offset >= latest,
            None => !planted(Defect::StCleanUnnotedKeys),
        };
        latest && (record.value.is_some() || !due)
    }
}

impl<D: Disk> Exchange<D> {
    fn then(&self, base: Offset) -> Stage<D> {
        Stage::Exchanged(base, self.durable())
    }
}
