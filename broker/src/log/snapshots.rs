//! The producers' state, written down where a segment begins and at a clean stop, so that an opening reads the batches
//! after that only: `<offset>.snapshot`, named as Kafka names it, holding what the batches before that offset come to.
//!
//! A convenience that is never trusted blindly: it has a CRC, and one that is damaged, or lies above what a recovery may
//! believe, is removed and an older one taken, or the whole log read. Only what retention has taken meanwhile is then
//! not known any more; hence the log's start is written down no sooner than a snapshot at or above it is durable
//! ([`Log::wants_flush_before_trim`]). Kafka keeps one batch of each producer in it; here all five are, so that a retry
//! after a restart is recognised as it was before.

use std::collections::VecDeque;
use std::io;

use super::files::{Dir, Kind};
use super::producers::{Producer, Producers, Stored, WINDOW};
use super::scan::Scanner;
use super::segment::Segment;
use super::{Log, LogError};
use crate::env::{Disk, File, Open};
use crate::ids::Offset;
use crate::record::Header;

const SUFFIX: &str = ".snapshot";
/// Kafka's own are 1 and 2; ours has another content.
const VERSION: i16 = 100;
/// Bytes before what the CRC covers: version and CRC.
const UNCOVERED: usize = 6;
/// Bytes read at a time when only headers are wanted, and most of what is between them is not.
const HOP: usize = 4 * 1024;

/// A snapshot file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    /// What is before that offset is in it.
    pub offset: Offset,
    /// The log's change counter when it was written.
    pub changed: u64,
    /// Whether it is durable.
    pub synced: bool,
}

/// The name of the snapshot at `offset`.
pub(super) fn name(offset: Offset) -> String {
    format!("{offset:020}{SUFFIX}")
}

/// The offset that a snapshot's name says.
pub(super) fn parse(name: &str) -> Option<Offset> {
    let stem = name.strip_suffix(SUFFIX)?;
    stem.parse().ok().filter(|&offset| offset >= 0 && stem.len() == 20)
}

/// A snapshot's content.
pub(super) fn encode(producers: &Producers) -> Vec<u8> {
    let mut out = VERSION.to_be_bytes().to_vec();
    out.extend([0; 4]);
    out.extend(producers.end().to_be_bytes());
    for (id, producer) in producers.iter() {
        out.extend(id.to_be_bytes());
        out.extend(producer.epoch.to_be_bytes());
        out.extend(producer.active.to_be_bytes());
        out.push(u8::try_from(producer.batches.len()).unwrap_or(0));
        for batch in &producer.batches {
            out.extend(batch.first.to_be_bytes());
            out.extend(batch.last.to_be_bytes());
            out.extend(batch.base.to_be_bytes());
            out.extend(batch.end.to_be_bytes());
            out.extend(batch.stamped.to_be_bytes());
        }
    }
    let crc = crc32c::crc32c(&out[UNCOVERED..]);
    out[2..UNCOVERED].copy_from_slice(&crc.to_be_bytes());
    out
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// Reads that; `None` if it is damaged.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Producers> {
    let (version, crc) = (i16::from_be_bytes(take(&mut bytes)?), u32::from_be_bytes(take(&mut bytes)?));
    if version != VERSION || crc32c::crc32c(bytes) != crc {
        return None;
    }
    let mut producers = Producers::at(i64::from_be_bytes(take(&mut bytes)?));
    while !bytes.is_empty() {
        let (id, epoch) = (i64::from_be_bytes(take(&mut bytes)?), i16::from_be_bytes(take(&mut bytes)?));
        let active = i64::from_be_bytes(take(&mut bytes)?);
        let [count] = take(&mut bytes)?;
        let mut batches = VecDeque::with_capacity(WINDOW);
        for _ in 0..count {
            batches.push_back(Stored {
                first: i32::from_be_bytes(take(&mut bytes)?),
                last: i32::from_be_bytes(take(&mut bytes)?),
                base: i64::from_be_bytes(take(&mut bytes)?),
                end: i64::from_be_bytes(take(&mut bytes)?),
                stamped: i64::from_be_bytes(take(&mut bytes)?),
            });
        }
        producers.restore(id, Producer { epoch, active, batches });
    }
    Some(producers)
}

/// The snapshot in file `path` if it is whole and of that offset.
pub(super) fn read<D: Disk>(disk: &D, path: &str, offset: Offset) -> io::Result<Option<Producers>> {
    let file = match disk.open(path, Open::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
    let got = file.read_at(&mut bytes, 0)?;
    Ok(decode(&bytes[..got]).filter(|producers| producers.end() == offset))
}

impl<D: Disk> Log<D> {
    /// The idempotent producers, as the batches up to the log's end make them.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets the producers that have been idle for `after` (`producer.id.expiration.ms`).
    pub fn expire_producers(&mut self, now: i64, after: std::time::Duration) -> usize {
        self.producers.expire(now, after)
    }

    /// Whether a flush must come first before the log's start is written down: without it a power loss could leave
    /// neither the trimmed batches nor what they said of their producers.
    pub fn wants_flush_before_trim(&self) -> bool {
        let floor = self.segments[0].base;
        let durable = self.snapshots.iter().any(|snapshot| snapshot.synced && snapshot.offset >= floor);
        let pending = self.snapshots.iter().any(|snapshot| !snapshot.synced && snapshot.offset >= floor);
        !self.trimmed.is_empty() && !durable && pending
    }

    /// Writes a snapshot at the log's end unless there is one. One that cannot be written costs a longer walk at the
    /// next opening; recovery removes a torn one.
    pub(super) fn take_snapshot(&mut self) {
        let offset = self.producers.end();
        if self.snapshots.last().is_some_and(|newest| newest.offset == offset) {
            return;
        }
        let path = self.dir.join(&name(offset));
        let content = encode(&self.producers);
        let written = self.dir.disk().open(&path, Open::Create).and_then(|file| {
            file.truncate(0)?;
            file.write_at(&content, 0)
        });
        let changed = self.changed();
        self.names_changed = changed;
        match written {
            Ok(()) => self.snapshots.push(Snapshot { offset, changed, synced: false }),
            Err(_) => drop(self.dir.remove_if_there(&name(offset))),
        }
    }

    /// Makes the producers' state anew: from the newest snapshot up to `trusted` that is whole, and the batches after
    /// it. Removes every other one that is above `trusted`, damaged, or not of a segment that is there.
    pub(super) fn load_producers(&mut self, trusted: Offset, now: i64) -> Result<(), LogError> {
        let (floor, end) = (self.whole_from(), self.log_end());
        let names = self.dir.disk().list(&self.dir.path)?;
        let mut offsets: Vec<Offset> = names.iter().filter_map(|name| parse(name)).collect();
        offsets.sort_unstable();
        let mut found = None;
        let mut kept = Vec::new();
        for offset in offsets.into_iter().rev() {
            let usable = (floor..=trusted.min(end)).contains(&offset);
            let is_base = self.segments.binary_search_by_key(&offset, |segment| segment.base).is_ok();
            let path = self.dir.join(&name(offset));
            if found.is_none() && usable {
                found = read(self.dir.disk(), &path, offset)?;
                if found.is_some() {
                    kept.push(offset);
                    continue;
                }
            } else if usable && is_base {
                kept.push(offset);
                continue;
            }
            self.dir.remove_if_there(&name(offset))?;
            self.names_changed = self.changed();
        }
        kept.reverse();
        // One that this log has written and not synced yet stays so. What an opening finds is durable, but the newest,
        // after a crash, perhaps in the page cache only.
        let (before, newest) = (std::mem::take(&mut self.snapshots), kept.last().copied());
        let known = |offset| before.iter().find(|snapshot| snapshot.offset == offset).copied();
        let sure = |offset| self.names_changed == 0 || Some(offset) != newest;
        let made = |offset| known(offset).unwrap_or(Snapshot { offset, changed: 0, synced: sure(offset) });
        self.snapshots = kept.into_iter().map(made).collect();
        self.producers = found.unwrap_or_else(|| Producers::at(floor));
        self.note_batches(now)?;
        self.producers.reach(end);
        Ok(())
    }

    /// From where on the files hold every batch, trimmed ones among them.
    fn whole_from(&self) -> Offset {
        let first = self.segments[0].base;
        self.trimmed.iter().rev().fold(first, |from, segment| if segment.next == from { segment.base } else { from })
    }

    /// Takes in the batches after those that the producers' state already has, and writes the snapshots that are missing
    /// where segments begin.
    fn note_batches(&mut self, now: i64) -> Result<(), LogError> {
        let from = self.producers.end();
        for at in 0..self.trimmed.len() {
            let (base, next) = (self.trimmed[at].base, self.trimmed[at].next);
            if next <= from || base < self.whole_from() {
                continue;
            }
            let segment = &self.trimmed[at];
            walk(&self.dir, segment, 0, |header| note_after(&mut self.producers, from, header, now))?;
            if self.producers.end() != next {
                // It was torn before it was trimmed: better nothing is known of a producer than something stale.
                self.producers = Producers::at(next);
            }
        }
        for at in self.segment_of(from)..self.segments.len() {
            let segment = &self.segments[at];
            if segment.base > from {
                self.producers.reach(segment.base);
                self.take_snapshot();
            }
            let segment = &self.segments[at];
            if segment.next <= from {
                continue;
            }
            let position = match self.locate(at, from.max(segment.base)) {
                Err(LogError::Io(error)) => return Err(error.into()),
                found => found.ok().flatten().map_or(0, |(position, _)| position),
            };
            walk(&self.dir, segment, position, |header| note_after(&mut self.producers, from, header, now))?;
        }
        Ok(())
    }

    /// Removes the snapshots of segments whose files are gone. The log's start may be written down only as far as it was
    /// in a trimmed one: what was trimmed before it, its snapshot alone still knows.
    pub(super) fn prune_snapshots(&mut self) -> io::Result<()> {
        let floor = self.trimmed.iter().chain(&self.segments).next().map_or(0, |segment| segment.base);
        while self.snapshots.first().is_some_and(|oldest| oldest.offset < floor) {
            self.dir.remove_if_there(&name(self.snapshots.remove(0).offset))?;
        }
        Ok(())
    }
}

fn note_after(producers: &mut Producers, from: Offset, header: &Header, now: i64) {
    if header.base_offset >= from {
        producers.note(header, now);
    }
}

/// The headers of a segment from `position` on. Damage ends the walk: it is for who reads there to find; so does a batch that
/// does not follow the one before, which a file that was written again may hold.
fn walk<D: Disk>(dir: &Dir<D>, segment: &Segment, position: u64, mut see: impl FnMut(&Header)) -> io::Result<()> {
    let file = segment.file(dir, Kind::Log)?;
    let mut scanner = Scanner::new(&*file, position, segment.size, HOP);
    let mut next = (position == 0).then_some(segment.base);
    while let Some(Ok(header)) = scanner.header()? {
        if next.replace(header.next_offset()).is_some_and(|next| next != header.base_offset) {
            break;
        }
        see(&header);
        scanner.skip(&header);
    }
    Ok(())
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
