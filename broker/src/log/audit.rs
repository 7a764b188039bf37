//! The auditor: reads a stopped log's files byte for byte and believes nothing.

use std::io;

use super::epochs::FILE as EPOCHS;
use super::files::Kind;
use super::index::{OffsetEntry, TimeEntry, read_all};
use super::scan::{Scanner, WHOLE};
use crate::env::{Disk, File, Open};
use crate::fact::{BatchMark, Fact};
use crate::ids::{Offset, Timestamp, TopicPartition};

/// A batch as a linear scan finds it.
struct Seen {
    mark: BatchMark,
    position: u64,
    /// The largest timestamp of the segment up to and with this batch.
    running_max: Timestamp,
    /// Whether it is the first to have it.
    attains: bool,
}

#[derive(Default)]
struct Audit {
    log_start: Offset,
    recycles: bool,
    batches: Vec<BatchMark>,
    bad_crc: Vec<Offset>,
    torn_bytes: u64,
    bad_lookups: Vec<String>,
}

/// Verifies everything in the partition directory `dir`: the CRC of every batch from `log_start` on, that offsets
/// continue, that no bytes are left over, and that every look-up in the offset and time indexes gives what a linear scan
/// gives. `log_start` is as written down; segments that end before it are garbage and not looked at. Opens files
/// read-only.
///
/// If the log `recycles`, the last segment ends with the last batch that continues it: behind that may lie what its file held
/// before it was written again.
pub fn audit<D: Disk>(disk: &D, dir: &str, tp: TopicPartition, log_start: Offset, recycles: bool) -> io::Result<Fact> {
    let names = disk.list(dir)?;
    let logs = names.iter().filter_map(|name| Kind::parse(name)).filter(|(kind, _)| *kind == Kind::Log);
    let bases: Vec<Offset> = logs.map(|(_, base)| base).collect();
    let mut audit = Audit { log_start, recycles, ..Audit::default() };
    let mut end: Option<Offset> = None;
    let mut first = None;
    for (at, &base) in bases.iter().enumerate() {
        if bases.get(at + 1).is_some_and(|&next| next <= log_start) {
            continue;
        }
        first.get_or_insert(base);
        if let Some(end) = end.filter(|&end| end != base) {
            audit.bad_lookups.push(format!("segment {base}: the one before ends at {end}"));
        }
        let active = at + 1 == bases.len();
        end = Some(audit.segment(disk, dir, base, active)?);
    }
    let log_start = log_start.max(first.unwrap_or(0));
    let log_end = end.unwrap_or(log_start).max(log_start);
    audit.epochs(disk, dir, log_end)?;
    let Audit { batches, bad_crc, torn_bytes, bad_lookups, .. } = audit;
    Ok(Fact::Audited { tp, log_start, log_end, batches, bad_crc, torn_bytes, bad_lookups })
}

impl Audit {
    /// One segment; returns the offset after its last whole batch.
    fn segment<D: Disk>(&mut self, disk: &D, dir: &str, base: Offset, active: bool) -> io::Result<Offset> {
        let path = |kind: Kind| format!("{dir}/{}", kind.name(base));
        let log = disk.open(&path(Kind::Log), Open::Read)?;
        let seen = self.scan(&*log, base, active && self.recycles)?;
        let end = seen.last().map_or(base, |batch| batch.mark.last + 1);
        match disk.open(&path(Kind::Offsets), Open::Read) {
            Ok(file) => self.offsets(read_all(&*file)?, base, &seen),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.bad(base, "no offset index"),
            Err(error) => return Err(error),
        }
        match disk.open(&path(Kind::Times), Open::Read) {
            Ok(file) => self.times(read_all(&*file)?, base, &seen, active),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.bad(base, "no time index"),
            Err(error) => return Err(error),
        }
        Ok(end)
    }

    fn bad(&mut self, base: Offset, what: impl std::fmt::Display) {
        self.bad_lookups.push(format!("segment {base}: {what}"));
    }

    fn scan(&mut self, log: &impl File, base: Offset, has_remains: bool) -> io::Result<Vec<Seen>> {
        let size = log.size()?;
        let mut scanner = Scanner::new(log, 0, size, WHOLE);
        let mut seen: Vec<Seen> = Vec::new();
        let mut next = base;
        while let Some(Ok(header)) = scanner.header()? {
            if has_remains && header.base_offset != next {
                break;
            }
            let Ok(batch) = scanner.batch(&header)? else { break };
            // What was trimmed before it was synced may have been torn since; it is never served.
            if header.next_offset() > self.log_start && batch.check_crc().is_err() {
                self.bad_crc.push(header.base_offset);
            }
            if header.base_offset != next {
                self.bad(base, format!("batch {} where {next} should follow", header.base_offset));
            }
            next = header.next_offset();
            let before = seen.last().map(|batch| batch.running_max);
            let attains = before.is_none_or(|before| header.max_timestamp > before);
            let running_max = before.unwrap_or(Timestamp::MIN).max(header.max_timestamp);
            seen.push(Seen { mark: header.mark(), position: scanner.position(), running_max, attains });
            self.batches.push(header.mark());
            scanner.skip(&header);
        }
        if !has_remains {
            self.torn_bytes += size - scanner.position();
        }
        Ok(seen)
    }

    /// Looks up every batch's first and last offset.
    fn offsets(&mut self, entries: Option<Vec<OffsetEntry>>, base: Offset, seen: &[Seen]) {
        let Some(entries) = entries else { return self.bad(base, "the offset index has a torn entry") };
        if !entries.is_sorted_by(|a, b| a.relative < b.relative) {
            self.bad(base, "the offset index is out of order");
        }
        let end = seen.last().map_or(base, |batch| batch.mark.last + 1);
        for entry in entries.iter().filter(|entry| base + Offset::from(entry.relative) >= end) {
            self.bad(
                base,
                format!("the offset index names offset {}, which is gone", base + Offset::from(entry.relative)),
            );
        }
        for batch in seen {
            for offset in [batch.mark.base, batch.mark.last] {
                let through = entries.partition_point(|entry| base + Offset::from(entry.relative) <= offset);
                let Some(entry) = through.checked_sub(1).map(|at| entries[at]) else { continue };
                let there = seen.binary_search_by_key(&u64::from(entry.position), |batch| batch.position);
                let right = there.is_ok_and(|at| seen[at].mark.last == base + Offset::from(entry.relative));
                if !right {
                    let (got, want) = (entry.position, batch.position);
                    self.bad(base, format!("a look-up of offset {offset} begins at {got}; a scan finds it at {want}"));
                }
            }
        }
    }

    /// Looks up every timestamp at which the answer changes.
    fn times(&mut self, entries: Option<Vec<TimeEntry>>, base: Offset, seen: &[Seen], active: bool) {
        let Some(entries) = entries else { return self.bad(base, "the time index has a torn entry") };
        if !entries.is_sorted_by(|a, b| a.timestamp < b.timestamp && a.relative < b.relative) {
            self.bad(base, "the time index is out of order");
        }
        for batch in seen.iter().filter(|batch| batch.attains) {
            // The first batch to reach a timestamp is what a scan for it finds.
            let timestamp = batch.running_max;
            let through = entries.partition_point(|entry| entry.timestamp <= timestamp);
            let from = through.checked_sub(1).map_or(base, |at| base + Offset::from(entries[at].relative));
            if from > batch.mark.last {
                self.bad(
                    base,
                    format!(
                        "a look-up of timestamp {timestamp} begins at offset {from}; a scan finds {}",
                        batch.mark.last
                    ),
                );
            }
        }
        for entry in &entries {
            let offset = base + Offset::from(entry.relative);
            let there = seen.binary_search_by_key(&offset, |batch| batch.mark.last);
            let right = there.is_ok_and(|at| seen[at].attains && seen[at].running_max == entry.timestamp);
            if !right {
                self.bad(base, format!("the time index says {} at offset {offset}; a scan does not", entry.timestamp));
            }
        }
        let peak = seen.last().map(|batch| batch.running_max);
        if !active && entries.last().map(|entry| entry.timestamp) != peak {
            self.bad(base, "the time index of a closed segment does not end with its largest timestamp");
        }
    }

    fn epochs<D: Disk>(&mut self, disk: &D, dir: &str, log_end: Offset) -> io::Result<()> {
        let path = format!("{dir}/{EPOCHS}");
        let Some(text) = super::checkpoint::read_text(disk, &path)? else { return Ok(()) };
        match super::Epochs::decode(&text) {
            None => self.bad_lookups.push("the leader-epoch file is damaged".into()),
            Some(epochs) if epochs.entries().last().is_some_and(|&(_, start)| start > log_end) => {
                self.bad_lookups.push("the leader-epoch file names offsets that are gone".into());
            }
            Some(_) => {}
        }
        Ok(())
    }
}
