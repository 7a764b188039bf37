//! Opening a log: believing its files after a clean stop, scanning them from the recovery point on after any other.
//!
//! Above the recovery point nothing was promised: at the first batch that is torn, fails its CRC or does not continue
//! the log, the file is cut there and later segments are removed. Below it everything was promised: damage found there
//! is an error, and the files stay as they are.

use std::io;
use std::rc::Rc;

use super::files::{Dir, FilePool, Kind, STAGED};
use super::flush::FSYNC_FAILED;
use super::lookup::Hints;
use super::producers::Producers;
use super::recycle::{SPARE, Spares};
use super::scan::{HOP, Scanner, WHOLE};
use super::segment::Segment;
use super::{Epochs, Log, LogError, checkpoint, compact, epochs};
use crate::config::LogConfig;
use crate::env::{Disk, File};
use crate::fact::BatchMark;
use crate::ids::{Offset, TopicPartition};
use crate::planted::{Defect, planted};
use crate::record::{BatchError, Header};

/// What the node knows of a log before it opens it.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenHow {
    /// The last shutdown was clean ([`checkpoint::take_clean`]).
    pub clean: bool,
    /// As written down; 0 if it was not.
    pub recovery_point: Offset,
    /// As written down; 0 if it was not.
    pub log_start: Offset,
    /// List the batches found from the recovery point on, for [`crate::fact::Fact::Recovered`]. The list takes memory
    /// for every batch.
    pub list_tail: bool,
    /// The node's wall clock.
    pub now: i64,
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Nothing had to be scanned.
    pub clean: bool,
    /// From where batches were scanned.
    pub recovery_point: Offset,
    /// The batches from there on that are kept, if asked for.
    pub tail: Vec<BatchMark>,
    /// Bytes cut off; of a file that was written again, what it held before is among them.
    pub torn_bytes: u64,
    /// Segments whose indexes were rebuilt.
    pub reindexed: usize,
    /// The validated tail was written again, because an fsync had failed before the stop.
    pub rewritten: bool,
    /// A flush must have ended before anything is served.
    pub must_sync: bool,
}

struct Opening<'a, D: Disk> {
    dir: Dir<D>,
    config: &'a LogConfig,
    how: OpenHow,
    clean: bool,
    rewrite: bool,
    segments: Vec<Segment>,
    trimmed: Vec<Segment>,
    /// Segments that were being exchanged: their indexes may be of the other file.
    exchanged: Vec<(Offset, u64)>,
    epochs: Epochs,
    found: Recovery,
}

impl<D: Disk> Log<D> {
    /// Opens the log in directory `dir` (created if it is missing) as `how` says.
    pub fn open(
        pool: &FilePool<D>,
        dir: &str,
        tp: TopicPartition,
        config: LogConfig,
        how: OpenHow,
    ) -> Result<(Self, Recovery), LogError> {
        let dir = Dir { pool: pool.clone(), path: dir.to_owned(), suffix: "" };
        let born = !dir.disk().exists(&dir.path);
        dir.disk().create_dir(&dir.path)?;
        let failed_before = dir.disk().exists(&dir.join(FSYNC_FAILED));
        let clean = how.clean && !failed_before;
        let found = Recovery { clean, recovery_point: how.recovery_point, must_sync: !clean, ..Recovery::default() };
        let (segments, trimmed, exchanged, epochs, rewrite) =
            (Vec::new(), Vec::new(), Vec::new(), Epochs::default(), failed_before);
        let mut opening =
            Opening { dir, config: &config, how, clean, rewrite, segments, trimmed, exchanged, epochs, found };
        let bases = opening.bases()?;
        let stored = opening.take_epochs()?;
        opening.open_all(&bases)?;
        if stored.is_none() {
            opening.rebuild_epochs()?;
        }
        let Opening { dir, mut segments, trimmed, exchanged, mut epochs, mut found, .. } = opening;
        let log_end = segments.last().map_or(how.log_start, |segment| segment.next);
        epochs.truncate_to(log_end);
        let mut flushed = if clean { log_end } else { how.recovery_point.max(how.log_start).min(log_end) };
        let unsynced = found.must_sync;
        if planted(Defect::StRecoverNoFlush) {
            flushed = log_end;
            found.must_sync = false;
            segments.iter_mut().for_each(|segment| segment.synced = segment.changed);
        }
        let epochs_stale = unsynced || stored.as_ref() != Some(&epochs);
        let mut log = Log {
            tp,
            dir,
            log_start: how.log_start,
            flushed,
            epochs,
            changes: 1,
            names_changed: u64::from(unsynced),
            names_synced: 0,
            epochs_changed: u64::from(epochs_stale),
            epochs_synced: 0,
            cuts: 0,
            born: born || unsynced,
            failed_before,
            offline: Rc::default(),
            hints: Hints::default(),
            trimmed,
            segments,
            config,
            producers: Producers::default(),
            snapshots: Vec::new(),
            dirty_from: 0,
            exchanged,
            spares: Spares::default(),
        };
        // What is below the log's start was durable before that was written down.
        let trusted = if clean { log_end } else { how.recovery_point.max(how.log_start) };
        log.load_producers(trusted, how.now)?;
        if !log.wants_flush_before_trim() {
            log.sweep(how.log_start)?;
        }
        Ok((log, found))
    }
}

impl<D: Disk> Opening<'_, D> {
    /// The base offsets of the segments to open. Removes what crashes leave behind: temporary files, indexes without a
    /// log, empty segments. Notes which segments were being exchanged for their compacted selves. Segments that end at or
    /// before the log's start are set aside: what they say of producers may be needed once more.
    fn bases(&mut self) -> Result<Vec<Offset>, LogError> {
        let names = self.dir.disk().list(&self.dir.path)?;
        let logs = names.iter().filter_map(|name| Kind::parse(name)).filter(|(kind, _)| *kind == Kind::Log);
        let all: Vec<Offset> = logs.map(|(_, base)| base).collect();
        let mut segments = Vec::with_capacity(all.len());
        for base in all {
            let mut segment = Segment::reopen(&self.dir, base);
            segment.size = segment.file(&self.dir, Kind::Log)?.size()?;
            segment.close(&self.dir);
            if segment.size == 0 {
                segment.remove(&self.dir)?;
            } else {
                segments.push(segment);
            }
        }
        // An empty one says nothing of where the one before it ends: it may be from before a clean stop, removed at the
        // next start, and brought back by a power loss.
        let nexts: Vec<Option<Offset>> = segments.iter().skip(1).map(|next| Some(next.base)).chain([None]).collect();
        let mut kept = Vec::with_capacity(segments.len());
        for (mut segment, next) in segments.into_iter().zip(nexts) {
            match next.filter(|&next| next <= self.how.log_start) {
                Some(next) => {
                    segment.next = next;
                    self.trimmed.push(segment);
                }
                None => kept.push(segment.base),
            }
        }
        for name in &names {
            let known = |base| kept.contains(&base) || self.trimmed.iter().any(|segment| segment.base == base);
            if let Some(base) = compact::parse_marker(name) {
                self.exchanged.push((base, 0));
            }
            let orphan = Kind::parse(name).is_some_and(|(kind, base)| kind != Kind::Log && !known(base));
            if orphan || name.ends_with(STAGED) || name.ends_with(SPARE) {
                self.dir.remove_if_there(name)?;
            }
        }
        Ok(kept)
    }

    fn open_all(&mut self, bases: &[Offset]) -> Result<(), LogError> {
        let mut end = None;
        for (at, &base) in bases.iter().enumerate() {
            let expected = end.unwrap_or(base.min(self.how.log_start));
            if base != expected {
                self.refuse_below(expected, base, "records are missing before this segment")?;
                return self.drop_from(&bases[at..], expected);
            }
            // Strictly below: a recovery point at a segment's very end may be from before it was closed, when its
            // indexes were not synced yet.
            let believed = self.clean || bases.get(at + 1).is_some_and(|&next| next < self.how.recovery_point);
            let (mut segment, whole) = if believed { (self.believe(base)?, true) } else { self.scan(base)? };
            end = Some(segment.next);
            if !believed && at + 1 < bases.len() {
                segment.finish_indexes(&self.dir)?;
            }
            if segment.size == 0 {
                segment.remove(&self.dir)?;
            } else {
                self.segments.push(segment);
            }
            if !whole {
                return self.drop_from(&bases[at + 1..], end.unwrap_or(base));
            }
        }
        self.finish(end.unwrap_or(0))
    }

    /// Refuses to go on if what ends at `end` was promised to reach further. Nothing is promised below the log's start:
    /// of the segments removed there, a power loss may bring back any.
    fn refuse_below(&self, end: Offset, segment: Offset, what: &str) -> Result<(), LogError> {
        let promised = if self.clean { Offset::MAX } else { self.how.recovery_point };
        if end.max(self.how.log_start) >= promised {
            return Ok(());
        }
        Err(LogError::Corrupt { segment, offset: end, what: what.into() })
    }

    /// Removes the segments after a cut.
    fn drop_from(&mut self, bases: &[Offset], end: Offset) -> Result<(), LogError> {
        for &base in bases {
            let segment = Segment::reopen(&self.dir, base);
            self.found.torn_bytes += segment.file(&self.dir, Kind::Log)?.size()?;
            segment.remove(&self.dir)?;
        }
        self.finish(end)
    }

    /// Checks that the log ends where it was promised to, or later, and gives it a segment if it has none.
    fn finish(&mut self, end: Offset) -> Result<(), LogError> {
        let end = end.max(self.how.log_start);
        if end < self.how.recovery_point {
            let what = "the log ends below its recovery point".into();
            return Err(LogError::Corrupt { segment: end, offset: end, what });
        }
        // A log that was trimmed to beyond its last whole batch goes on from its start.
        let last_end = self.segments.last().map(|segment| segment.next);
        if last_end.is_none_or(|last| last < self.how.log_start) {
            for segment in std::mem::take(&mut self.segments) {
                segment.remove(&self.dir)?;
            }
            self.found.tail.clear();
            let mut fresh = Segment::create(&self.dir, end, self.how.now, &mut Spares::default())?;
            fresh.changed = 1;
            self.found.must_sync = true;
            self.segments.push(fresh);
        }
        Ok(())
    }

    /// A segment whose content is durable: indexes are believed if they look sane, and rebuilt if not.
    fn believe(&mut self, base: Offset) -> Result<Segment, LogError> {
        if !self.exchanged.contains(&(base, 0))
            && let Some(segment) = Segment::load(&self.dir, base, self.how.now)?
        {
            return Ok(segment);
        }
        let mut segment = Segment::reindex(&self.dir, base, self.how.now)?;
        let file = segment.file(&self.dir, Kind::Log)?;
        let mut scanner = Scanner::new(&*file, 0, file.size()?, HOP);
        while let Some(header) = scanner.header()? {
            let header = header.map_err(|error| segment.corrupt(segment.next, error))?;
            if header.base_offset != segment.next {
                return Err(segment.corrupt(segment.next, format!("batch {} follows", header.base_offset)));
            }
            segment.note_indexed(&self.dir, &header, self.config.index_interval_bytes)?;
            scanner.skip(&header);
        }
        segment.finish_indexes(&self.dir)?;
        segment.changed = 1;
        self.found.reindexed += 1;
        Ok(segment)
    }

    /// A segment of which the recovery point or what is above it is a part: walked up to there, checked byte for byte
    /// from there on, indexed anew. Returns whether it was whole.
    fn scan(&mut self, base: Offset) -> Result<(Segment, bool), LogError> {
        let mut segment = Segment::reindex(&self.dir, base, self.how.now)?;
        segment.changed = 1;
        self.found.reindexed += 1;
        let file = segment.file(&self.dir, Kind::Log)?;
        let size = file.size()?;
        let mut scanner = Scanner::new(&*file, 0, size, HOP);
        let mut checking = false;
        let bad = loop {
            if !checking && segment.next >= self.how.recovery_point {
                checking = true;
                scanner = Scanner::new(&*file, scanner.position(), size, WHOLE);
            }
            let header = match scanner.header()? {
                None => break None,
                Some(Err(error)) => break Some(error.to_string()),
                Some(Ok(header)) if planted(Defect::StRecycledRemains) && header.base_offset < segment.next => {
                    Header { base_offset: segment.next, ..header }
                }
                Some(Ok(header)) => header,
            };
            if header.base_offset != segment.next {
                break Some(format!("batch {} follows", header.base_offset));
            }
            if checking && let Err(error) = self.check(&mut scanner, &header, &*file)? {
                break Some(error.to_string());
            }
            segment.note_indexed(&self.dir, &header, self.config.index_interval_bytes)?;
            self.epochs.assign(header.leader_epoch, header.base_offset);
            scanner.skip(&header);
        };
        if let Some(what) = &bad {
            self.refuse_below(segment.next, base, what)?;
            file.truncate(segment.size)?;
            self.found.torn_bytes += size - segment.size;
        }
        Ok((segment, bad.is_none()))
    }

    /// Checks the CRC of the batch under the scanner, and writes it again where it lies if an fsync had failed.
    fn check(
        &mut self,
        scanner: &mut Scanner<'_, D::File>,
        header: &Header,
        file: &D::File,
    ) -> io::Result<Result<(), BatchError>> {
        let position = scanner.position();
        let batch = match scanner.batch(header)? {
            Ok(batch) => batch,
            Err(error) => return Ok(Err(error)),
        };
        if !planted(Defect::StTornBatchAccepted)
            && let Err(error) = batch.check_crc()
        {
            return Ok(Err(error));
        }
        if self.rewrite {
            file.write_at(batch.bytes(), position)?;
            self.found.rewritten = true;
        }
        if self.how.list_tail {
            self.found.tail.push(header.mark());
        }
        Ok(Ok(()))
    }

    /// The leader-epoch file; `None` if it is missing or damaged.
    fn read_epochs(&self) -> Result<Option<Epochs>, LogError> {
        match checkpoint::read_text(self.dir.disk(), &self.dir.join(epochs::FILE)) {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(error.into()),
            Err(_) => Ok(None),
            Ok(text) => Ok(text.and_then(|text| Epochs::decode(&text))),
        }
    }

    /// Begins with the epochs that were written down, which it returns.
    fn take_epochs(&mut self) -> Result<Option<Epochs>, LogError> {
        let stored = self.read_epochs()?;
        self.epochs = stored.clone().unwrap_or_default();
        if !self.clean {
            // What begins above the recovery point is read off the batches.
            self.epochs.truncate_to(self.how.recovery_point);
        }
        Ok(stored)
    }

    /// Reads the epochs off the batches themselves.
    fn rebuild_epochs(&mut self) -> Result<(), LogError> {
        self.epochs = Epochs::default();
        for segment in &self.segments {
            let file = segment.file(&self.dir, Kind::Log)?;
            let mut scanner = Scanner::new(&*file, 0, segment.size, HOP);
            while let Some(Ok(header)) = scanner.header()? {
                self.epochs.assign(header.leader_epoch, header.base_offset);
                scanner.skip(&header);
            }
        }
        self.epochs.trim_to(self.how.log_start);
        Ok(())
    }
}
