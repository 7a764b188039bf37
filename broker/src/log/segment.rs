//! One segment: a file of batches and its two sparse indexes.

use std::io;
use std::rc::Rc;

use super::LogError;
use super::files::{Dir, Handle, Kind};
use super::index::{Index, OffsetEntry, TimeEntry};
use super::recycle::Spares;
use super::scan::{HOP, Scanner};
use crate::env::{Disk, File, Open};
use crate::ids::{Offset, Timestamp};
use crate::planted::{Defect, planted};
use crate::record::Header;

/// The largest timestamp of a segment and the last offset of the batch that first had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peak {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

/// What is kept in memory of a segment; its files are opened on demand.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its first offset, which names its files.
    pub base: Offset,
    /// One past its last offset; `base` if it is empty.
    pub next: Offset,
    /// Bytes of batches.
    pub size: u64,
    /// Where its last batch begins.
    pub last_batch: u64,
    pub peak: Option<Peak>,
    /// The largest timestamp of its first batch, by which it ages (`segment.ms`).
    pub first_timestamp: Option<Timestamp>,
    /// The wall clock when it was begun or opened, by which it ages without timestamps.
    pub created: i64,
    /// The log's change counter when it was last written to, and up to where that is durable.
    pub changed: u64,
    pub synced: u64,
    /// No other segment's file is meant by its log file's name, whatever a power loss has brought back.
    pub is_reusable: bool,
    /// Behind its batches its file holds what another segment left there.
    pub has_remains: bool,
    /// Bytes since the last index entry.
    since_index: u64,
    offsets: Index<OffsetEntry>,
    times: Index<TimeEntry>,
    handles: [Handle; 3],
}

impl Segment {
    fn bare<D: Disk>(dir: &Dir<D>, base: Offset, now: i64) -> Self {
        Self {
            base,
            next: base,
            size: 0,
            last_batch: 0,
            peak: None,
            first_timestamp: None,
            created: now,
            changed: 0,
            synced: 0,
            is_reusable: true,
            has_remains: false,
            since_index: 0,
            offsets: Index::EMPTY,
            times: Index::EMPTY,
            handles: [dir.pool.handle(), dir.pool.handle(), dir.pool.handle()],
        }
    }

    /// A segment of which nothing but its files' names is known.
    pub fn reopen<D: Disk>(dir: &Dir<D>, base: Offset) -> Self {
        Self { is_reusable: false, ..Self::bare(dir, base, 0) }
    }

    /// Creates its files, empty, but for a log file that is one of `spares`. On an error none is left behind, as far as the
    /// device lets us.
    pub fn create<D: Disk>(dir: &Dir<D>, base: Offset, now: i64, spares: &mut Spares) -> io::Result<Self> {
        let mut segment = Self::bare(dir, base, now);
        segment.has_remains = spares.take(dir, base);
        for kind in Kind::ALL {
            let stays = kind == Kind::Log && segment.has_remains;
            let opened = dir.open(segment.handle(kind), base, kind, Open::Create);
            let made = opened.and_then(|file| if stays { Ok(()) } else { file.truncate(0) });
            if let Err(error) = made {
                segment.close(dir);
                for kind in Kind::ALL {
                    let _ = dir.remove_if_there(&kind.name(base));
                }
                return Err(error);
            }
        }
        Ok(segment)
    }

    /// Cuts off what another segment left behind its batches.
    pub fn trim_file<D: Disk>(&mut self, dir: &Dir<D>) -> io::Result<()> {
        if self.has_remains {
            self.file(dir, Kind::Log)?.truncate(self.size)?;
            self.has_remains = false;
        }
        Ok(())
    }

    fn handle(&self, kind: Kind) -> &Handle {
        &self.handles[kind as usize]
    }

    /// One of its files.
    pub fn file<D: Disk>(&self, dir: &Dir<D>, kind: Kind) -> io::Result<Rc<D::File>> {
        dir.open(self.handle(kind), self.base, kind, Open::Write)
    }

    /// One of its index files, created if it is missing.
    pub fn index_file<D: Disk>(&self, dir: &Dir<D>, kind: Kind) -> io::Result<Rc<D::File>> {
        dir.open(self.handle(kind), self.base, kind, Open::Create)
    }

    /// Closes its files.
    pub fn close<D: Disk>(&self, dir: &Dir<D>) {
        for handle in &self.handles {
            dir.pool.close(handle);
        }
    }

    /// Closes and removes its files.
    pub fn remove<D: Disk>(&self, dir: &Dir<D>) -> io::Result<()> {
        self.close(dir);
        Kind::ALL.into_iter().try_for_each(|kind| dir.remove_if_there(&kind.name(self.base)))
    }

    /// Takes a segment from its files, believing them: only the batches after the last index entry are walked.
    /// `None` if the indexes are not fit to be believed.
    pub fn load<D: Disk>(dir: &Dir<D>, base: Offset, now: i64) -> Result<Option<Self>, LogError> {
        let mut segment = Self::bare(dir, base, now);
        let log = segment.file(dir, Kind::Log)?;
        let size = log.size()?;
        let loaded = Index::load(&*segment.index_file(dir, Kind::Offsets)?)?
            .zip(Index::load(&*segment.index_file(dir, Kind::Times)?)?);
        let Some((offsets, times)) = loaded else { return Ok(None) };
        (segment.offsets, segment.times) = (offsets, times);
        segment.first_timestamp = first_timestamp(&*log, size)?;
        let mut position = 0;
        if let Some(last) = offsets.last() {
            position = u64::from(last.position);
            let header = Scanner::new(&*log, position, size, HOP).header()?;
            let Some(Ok(header)) = header else { return Ok(None) };
            if header.last_offset() != segment.offset(last.relative) {
                return Ok(None);
            }
            segment.next = header.base_offset;
        }
        segment.peak = times.last().map(|entry| segment.peak_of(entry));
        let mut scanner = Scanner::new(&*log, position, size, HOP);
        while let Some(header) = scanner.header()? {
            let header = header.map_err(|error| segment.corrupt(segment.next, error))?;
            if header.base_offset != segment.next {
                return Err(segment.corrupt(segment.next, format!("batch {} follows", header.base_offset)));
            }
            segment.note(&header, scanner.position());
            scanner.skip(&header);
        }
        // A closed segment's last time entry is its peak; so is a cleanly closed log's.
        let believable = segment.peak == times.last().map(|entry| segment.peak_of(entry));
        Ok((believable || segment.size == 0).then_some(segment))
    }

    /// An error for damage at `offset`.
    pub fn corrupt(&self, offset: Offset, what: impl ToString) -> LogError {
        LogError::Corrupt { segment: self.base, offset, what: what.to_string() }
    }

    /// A segment over existing files with indexes emptied, to be filled by [`Segment::note_indexed`].
    pub fn reindex<D: Disk>(dir: &Dir<D>, base: Offset, now: i64) -> io::Result<Self> {
        let mut segment = Self::bare(dir, base, now);
        let offsets = segment.index_file(dir, Kind::Offsets)?;
        segment.offsets.clear(&*offsets)?;
        let times = segment.index_file(dir, Kind::Times)?;
        if planted(Defect::StTimeindexStaleAfterTruncate) {
            segment.times = Index::load(&*times)?.unwrap_or(Index::EMPTY);
        } else {
            segment.times.clear(&*times)?;
        }
        Ok(segment)
    }

    /// Whether `offset` can be written relative to its base.
    pub fn reaches(&self, offset: Offset) -> bool {
        i32::try_from(offset - self.base).is_ok()
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset - self.base).unwrap_or(u32::MAX)
    }

    fn offset(&self, relative: u32) -> Offset {
        self.base + Offset::from(relative)
    }

    fn peak_of(&self, entry: TimeEntry) -> Peak {
        Peak { timestamp: entry.timestamp, offset: self.offset(entry.relative) }
    }

    fn times_entry(&self) -> Option<TimeEntry> {
        self.peak.map(|peak| TimeEntry { timestamp: peak.timestamp, relative: self.relative(peak.offset) })
    }

    /// Counts a batch that lies at `position`, the end so far.
    fn note(&mut self, header: &Header, position: u64) {
        if self.peak.is_none_or(|peak| header.max_timestamp > peak.timestamp) {
            self.peak = Some(Peak { timestamp: header.max_timestamp, offset: header.last_offset() });
        }
        self.first_timestamp.get_or_insert(header.max_timestamp);
        self.last_batch = position;
        self.next = header.next_offset();
        self.size = position + header.size as u64;
        self.since_index += header.size as u64;
    }

    /// Counts a batch at the end and indexes it if more than `interval` bytes lie since the last entry. On an error the
    /// batch is counted all the same; the entry is tried again with the next one.
    pub fn note_indexed<D: Disk>(&mut self, dir: &Dir<D>, header: &Header, interval: u32) -> io::Result<()> {
        let due = self.since_index > u64::from(interval);
        self.note(header, self.size);
        if !due {
            return Ok(());
        }
        self.index_last_batch(dir, self.last_batch)?;
        self.since_index = header.size as u64;
        Ok(())
    }

    fn index_last_batch<D: Disk>(&mut self, dir: &Dir<D>, position: u64) -> io::Result<()> {
        let position = u32::try_from(position).map_err(io::Error::other)?;
        let entry = OffsetEntry { relative: self.relative(self.next - 1), position };
        let offsets = self.index_file(dir, Kind::Offsets)?;
        self.offsets.end_with(&*offsets, entry)?;
        self.index_peak(dir)
    }

    /// Makes sure that the time index ends with the peak.
    pub fn index_peak<D: Disk>(&mut self, dir: &Dir<D>) -> io::Result<()> {
        let Some(entry) = self.times_entry() else { return Ok(()) };
        let times = self.index_file(dir, Kind::Times)?;
        self.times.append(&*times, entry)
    }

    /// Completes the indexes of a segment that takes no more batches: its last batch gets an entry in both, so that a
    /// look-up near the end, and opening the segment again, need not walk.
    pub fn finish_indexes<D: Disk>(&mut self, dir: &Dir<D>) -> io::Result<()> {
        if self.size == 0 {
            return Ok(());
        }
        let position = if planted(Defect::StIndexOffByOneRoll) { self.size } else { self.last_batch };
        self.index_last_batch(dir, position)
    }

    /// Where to begin looking for `offset`: an indexed batch at or before the one that holds it, with the last offset
    /// that batch must have.
    pub fn floor<D: Disk>(&self, dir: &Dir<D>, offset: Offset) -> io::Result<Option<(u64, Offset)>> {
        let file = self.index_file(dir, Kind::Offsets)?;
        let entry = self.offsets.floor(&*file, self.relative(offset))?;
        Ok(entry.map(|entry| (u64::from(entry.position), self.offset(entry.relative))))
    }

    /// An offset whose batch is at or before the first batch with a timestamp of `timestamp` or later.
    pub fn floor_time<D: Disk>(&self, dir: &Dir<D>, timestamp: Timestamp) -> io::Result<Offset> {
        let file = self.index_file(dir, Kind::Times)?;
        let entry = self.times.floor(&*file, timestamp)?;
        Ok(entry.map_or(self.base, |entry| self.offset(entry.relative)))
    }

    /// Cuts it to the batches before `end`, which is a batch boundary at `position`.
    pub fn cut<D: Disk>(&mut self, dir: &Dir<D>, end: Offset, position: u64) -> io::Result<()> {
        let log = self.file(dir, Kind::Log)?;
        log.truncate(position)?;
        let relative = self.relative(end);
        self.offsets.keep(&*self.index_file(dir, Kind::Offsets)?, |entry| entry.relative < relative)?;
        if !planted(Defect::StTimeindexStaleAfterTruncate) {
            self.times.keep(&*self.index_file(dir, Kind::Times)?, |entry| entry.relative < relative)?;
        }
        // What was counted is counted again from the last entry that is left.
        let from = self.offsets.last().map_or(0, |entry| u64::from(entry.position));
        self.peak = self.times.last().map(|entry| self.peak_of(entry));
        (self.next, self.size, self.last_batch, self.since_index) = (self.base, 0, 0, 0);
        if position == 0 {
            self.first_timestamp = None;
            self.peak = None;
        }
        let mut scanner = Scanner::new(&*log, from, position, HOP);
        while let Some(Ok(header)) = scanner.header()? {
            self.note(&header, scanner.position());
            scanner.skip(&header);
        }
        Ok(())
    }
}

fn first_timestamp(log: &impl File, size: u64) -> io::Result<Option<Timestamp>> {
    let header = Scanner::new(log, 0, size.min(HOP as u64), 0).header()?;
    Ok(header.and_then(Result::ok).map(|header| header.max_timestamp))
}
