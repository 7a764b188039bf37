//! Reading: whole batches from an offset on, and offsets by timestamp.

use bytes::Bytes;

use super::buffers::Buffer;
use super::files::Kind;
use super::scan::{HOP, Scanner};
use super::{Log, LogError};
use crate::env::{Disk, File};
use crate::ids::{Offset, Timestamp};
use crate::record::batch::HEADER_SIZE;
use crate::record::{Header, Unpacked};

/// A timestamp look-up inflates at most this many bytes of a batch; a batch that needs more is answered for as a whole.
const INFLATE_LIMIT: usize = 64 << 20;
/// Positions remembered for readers that go on where they stopped.
const HINTS: usize = 8;

/// What a read returns: whole batches, byte for byte as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The batches; empty if there is none yet, or none that fits.
    pub records: Bytes,
    /// One past the last offset in them; the offset asked for if there is none.
    pub next: Offset,
}

/// A record found by timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
}

/// Where recent reads ended: (next offset, segment base, position).
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    ends: [Option<(Offset, Offset, u64)>; HINTS],
    turn: usize,
}

impl Hints {
    fn find(&self, offset: Offset, base: Offset) -> Option<u64> {
        let hit = self.ends.iter().flatten().find(|end| end.0 == offset && end.1 == base);
        hit.map(|&(_, _, position)| position)
    }

    fn note(&mut self, from: Offset, next: Offset, base: Offset, position: u64) {
        // A reader that goes on replaces its own place, so that many readers share the few there are.
        let own = self.ends.iter().position(|end| end.is_some_and(|end| end.0 == from));
        let at = own.unwrap_or_else(|| {
            self.turn = (self.turn + 1) % HINTS;
            self.turn
        });
        self.ends[at] = Some((next, base, position));
    }
}

impl<D: Disk> Log<D> {
    /// Reads whole batches, the first of which holds `from`, up to `max_bytes` of them and not beyond the offset
    /// `upto` (exclusive: the high watermark). With `min_one` the first batch is returned even if it is larger, so
    /// that a reader makes progress (KIP-74). CRCs are not checked: the reader does that.
    pub fn read(&mut self, from: Offset, max_bytes: usize, upto: Offset, min_one: bool) -> Result<Slice, LogError> {
        self.check_online()?;
        let end = self.log_end();
        if from < self.log_start || from > end {
            return Err(LogError::OutOfRange { offset: from, start: self.log_start, end });
        }
        let nothing = Slice { records: Bytes::new(), next: from };
        if from >= upto.min(end) {
            return Ok(nothing);
        }
        let at = self.segment_of(from);
        let base = self.segments[at].base;
        let position = match self.hints.find(from, base) {
            Some(position) => position,
            None => self.locate(at, from)?.ok_or_else(|| self.segments[at].corrupt(from, "no batch holds it"))?.0,
        };
        let segment = &self.segments[at];
        let file = segment.file(&self.dir, Kind::Log)?;
        let left = usize::try_from(segment.size - position).unwrap_or(usize::MAX);
        let want = max_bytes.max(HEADER_SIZE).min(left);
        let mut buffer = Buffer::take(want);
        let mut got = file.read_at(&mut buffer.bytes()[..want], position)?;
        let first = Header::parse(&buffer.bytes()[..got]).map_err(|error| segment.corrupt(from, error))?;
        if !(first.base_offset..=first.last_offset()).contains(&from) {
            return Err(segment.corrupt(from, format!("batch {} lies where it should", first.base_offset)));
        }
        if first.size > max_bytes && !min_one {
            return Ok(nothing);
        }
        if first.size > got {
            if first.size > left {
                return Err(segment.corrupt(from, "the batch is cut off"));
            }
            buffer = Buffer::take(first.size);
            got = file.read_at(&mut buffer.bytes()[..first.size], position)?;
        }
        let (size, next) = whole_batches(&buffer.bytes()[..got], first.base_offset, upto);
        if size == 0 {
            return if first.next_offset() > upto { Ok(nothing) } else { Err(segment.corrupt(from, "unreadable")) };
        }
        if next < segment.next && size < want && next < upto && got == want && want < max_bytes {
            return Err(segment.corrupt(next, "a batch does not continue the log"));
        }
        self.hints.note(from, next, base, position + size as u64);
        Ok(Slice { records: buffer.freeze(size), next })
    }

    /// Where the batch that holds `offset`, or is the first after it, begins in segment `at`, and its base offset.
    /// `None` if the segment ends before. A misleading index costs a walk from the segment's start, not the answer.
    pub(super) fn locate(&self, at: usize, offset: Offset) -> Result<Option<(u64, Offset)>, LogError> {
        let segment = &self.segments[at];
        if let Some((position, last)) = segment.floor(&self.dir, offset)?
            && position < segment.size
        {
            let file = segment.file(&self.dir, Kind::Log)?;
            let mut scanner = Scanner::new(&*file, position, segment.size, HOP);
            if let Some(Ok(header)) = scanner.header()?
                && header.last_offset() == last
                && header.base_offset <= offset
                && let Ok(found) = walk(&mut scanner, header.base_offset, |header| header.last_offset() >= offset)?
            {
                return Ok(found.map(|(position, header)| (position, header.base_offset)));
            }
        }
        let file = segment.file(&self.dir, Kind::Log)?;
        let mut scanner = Scanner::new(&*file, 0, segment.size, HOP);
        match walk(&mut scanner, segment.base, |header| header.last_offset() >= offset)? {
            Ok(found) => Ok(found.map(|(position, header)| (position, header.base_offset))),
            Err((at, what)) => Err(segment.corrupt(at, what)),
        }
    }

    /// The first record below `upto` with a timestamp of `timestamp` or later (ListOffsets).
    pub fn offset_for_timestamp(&self, timestamp: Timestamp, upto: Offset) -> Result<Option<Found>, LogError> {
        self.check_online()?;
        for at in 0..self.segments.len() {
            let segment = &self.segments[at];
            if segment.next <= self.log_start || segment.peak.is_none_or(|peak| peak.timestamp < timestamp) {
                continue;
            }
            let from = segment.floor_time(&self.dir, timestamp)?.max(segment.base);
            if let Some(found) = self.search(at, from.max(self.log_start), timestamp)? {
                return Ok(Some(found).filter(|found| found.offset < upto));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp below `upto`, the first of several (ListOffsets, KIP-734).
    pub fn max_timestamp_offset(&self, upto: Offset) -> Result<Option<Found>, LogError> {
        self.check_online()?;
        let mut best: Option<(Timestamp, usize, Offset)> = None;
        for (at, segment) in self.segments.iter().enumerate() {
            let whole = segment.base >= self.log_start && segment.next <= upto;
            let peak = match segment.peak {
                Some(peak) if whole => Some((peak.timestamp, peak.offset)),
                Some(_) if segment.next > self.log_start => self.peak_within(at, upto)?,
                _ => None,
            };
            if let Some((timestamp, offset)) = peak
                && best.is_none_or(|best| timestamp > best.0)
            {
                best = Some((timestamp, at, offset));
            }
        }
        let Some((timestamp, at, offset)) = best else { return Ok(None) };
        let Some((_, base)) = self.locate(at, offset)? else { return Ok(None) };
        let found = self.search(at, base.max(self.log_start), timestamp)?;
        Ok(found.filter(|found| found.offset < upto))
    }

    /// The largest batch timestamp of segment `at` between the log's start and `upto`, and that batch's last offset.
    fn peak_within(&self, at: usize, upto: Offset) -> Result<Option<(Timestamp, Offset)>, LogError> {
        let segment = &self.segments[at];
        let Some((position, base)) = self.locate(at, self.log_start.max(segment.base))? else { return Ok(None) };
        let file = segment.file(&self.dir, Kind::Log)?;
        let mut scanner = Scanner::new(&*file, position, segment.size, HOP);
        let mut best: Option<(Timestamp, Offset)> = None;
        let mut next = base;
        if base < self.log_start
            && let Some(Ok(header)) = scanner.header()?
        {
            // Some of its records are gone, and the largest timestamp may be theirs.
            let mut bytes = vec![0; header.size];
            file.read_at(&mut bytes, position)?;
            best = self.kept_peak(bytes.into()).map(|timestamp| (timestamp, header.last_offset()));
            next = header.next_offset();
            scanner.skip(&header);
        }
        let walked = walk(&mut scanner, next, |header| {
            let counts = header.last_offset() < upto && best.is_none_or(|best| header.max_timestamp > best.0);
            if counts {
                best = Some((header.max_timestamp, header.last_offset()));
            }
            header.last_offset() >= upto
        })?;
        walked.map_err(|(offset, what)| segment.corrupt(offset, what))?;
        Ok(best)
    }

    /// The largest timestamp of a batch's records that are not before the log's start.
    fn kept_peak(&self, mut bytes: Bytes) -> Option<Timestamp> {
        let unpacked = Unpacked::take(&mut bytes, INFLATE_LIMIT).ok()?;
        let records = unpacked.records().map_while(Result::ok);
        records.filter(|record| record.offset >= self.log_start).map(|record| record.timestamp).max()
    }

    /// The first record of segment `at`, from the batch that holds `from` on, that is not before the log's start and
    /// has a timestamp of `timestamp` or later.
    fn search(&self, at: usize, from: Offset, timestamp: Timestamp) -> Result<Option<Found>, LogError> {
        let segment = &self.segments[at];
        let Some((position, mut base)) = self.locate(at, from)? else { return Ok(None) };
        let file = segment.file(&self.dir, Kind::Log)?;
        let mut scanner = Scanner::new(&*file, position, segment.size, HOP);
        loop {
            let walked = walk(&mut scanner, base, |header| header.max_timestamp >= timestamp)?;
            let Some((position, header)) = walked.map_err(|(offset, what)| segment.corrupt(offset, what))? else {
                return Ok(None);
            };
            let mut bytes = vec![0; header.size];
            file.read_at(&mut bytes, position)?;
            if let Some(found) = self.search_batch(bytes.into(), &header, timestamp) {
                return Ok(Some(found));
            }
            // The producer claimed a timestamp that none of its records has, or they lie before the log's start.
            base = header.next_offset();
            scanner.skip(&header);
        }
    }

    fn search_batch(&self, mut bytes: Bytes, header: &Header, timestamp: Timestamp) -> Option<Found> {
        let start = self.log_start;
        let Ok(unpacked) = Unpacked::take(&mut bytes, INFLATE_LIMIT) else {
            // Nobody can read its records; the batch as a whole is the best answer there is.
            return Some(Found { offset: header.base_offset.max(start), timestamp: header.max_timestamp });
        };
        let records = unpacked.records().map_while(Result::ok);
        let mut late = records.filter(|record| record.timestamp >= timestamp && record.offset >= start);
        late.next().map(|record| Found { offset: record.offset, timestamp: record.timestamp })
    }
}

/// A walk's end: the batch asked for and its position, none, or (offset, what is wrong there).
type Walked = Result<Option<(u64, Header)>, (Offset, String)>;

/// Walks batches, which must continue one another from `next` on, to the first that is `wanted`.
fn walk<F: File>(
    scanner: &mut Scanner<'_, F>,
    mut next: Offset,
    mut wanted: impl FnMut(&Header) -> bool,
) -> std::io::Result<Walked> {
    while let Some(header) = scanner.header()? {
        let header = match header {
            Ok(header) if header.base_offset == next => header,
            Ok(header) => return Ok(Err((next, format!("batch {} follows", header.base_offset)))),
            Err(error) => return Ok(Err((next, error.to_string()))),
        };
        if wanted(&header) {
            return Ok(Ok(Some((scanner.position(), header))));
        }
        next = header.next_offset();
        scanner.skip(&header);
    }
    Ok(Ok(None))
}

/// How many bytes at the front of `bytes` are whole batches that continue one another from `next` on and end at or
/// before `upto`, and the offset after them.
fn whole_batches(bytes: &[u8], mut next: Offset, upto: Offset) -> (usize, Offset) {
    let mut size = 0;
    while let Ok(header) = Header::parse(&bytes[size..]) {
        let fits = header.size <= bytes.len() - size && header.next_offset() <= upto;
        if !fits || header.base_offset != next {
            break;
        }
        size += header.size;
        next = header.next_offset();
    }
    (size, next)
}
