//! Files of trimmed segments, written again as new ones: their blocks and pages are there already, so that writing them takes
//! neither new pages nor a journal commit for a file that grows (measured: CHANGELOG, Performance).
//!
//! A file that is written again holds what it held before behind what was written since. Nothing of that is taken for the log's: it
//! is from before the log's start, so that no batch of it is the one that comes next, and recovery ends at the first that is not.
//! Where old batches do not begin, an old value's bytes might read like one: a header's length of zeros goes behind all that is
//! appended ([`GUARD`]). Only a power loss that keeps an unsynced batch and not the zeros behind it leaves a value that its
//! producer made for that; such a log had promised nothing there. What could not be told apart is never recycled: an opening
//! removes the files that it finds trimmed or set aside, and a log that begins anew elsewhere ([`Log::restart_at`]) removes its
//! own. A segment gets its true length when it takes no more batches.

use std::io;

use super::files::{Dir, Kind};
use super::segment::Segment;
use super::{Log, LogError};
use crate::env::Disk;
use crate::ids::Offset;
use crate::record::batch::HEADER_SIZE;

/// Goes behind what is appended to a file that holds remains, before it: no header reads like that, so that recovery does not look for
/// a batch in the midst of an old one, where a value may hold what its producer likes.
pub(super) const GUARD: &[u8] = &[0; HEADER_SIZE];

/// Follows the name of a log file that was set aside; an opening removes what has such a name.
pub(super) const SPARE: &str = ".spare";

/// What the file of the segment at `base` is called once it is set aside.
pub(super) fn name(base: Offset) -> String {
    Kind::Log.name(base) + SPARE
}

/// The files that are set aside, by the offset at which they began.
#[derive(Debug, Default)]
pub(super) struct Spares(Vec<Offset>);

impl Spares {
    /// Makes one of them, if there is one, the log file of the segment at `base`. Returns whether it is.
    pub fn take<D: Disk>(&mut self, dir: &Dir<D>, base: Offset) -> bool {
        let Some(spare) = self.0.pop() else { return false };
        let renamed = dir.disk().rename(&dir.join(&name(spare)), &dir.join(&Kind::Log.name(base)));
        if renamed.is_err() {
            // A new file does as well; if this one cannot be removed, the next opening does it.
            let _ = dir.remove_if_there(&name(spare));
        }
        renamed.is_ok()
    }

    /// Removes all but `most` of them.
    pub fn keep<D: Disk>(&mut self, dir: &Dir<D>, most: usize) -> io::Result<()> {
        while self.0.len() > most {
            let spare = self.0.remove(0);
            dir.remove_if_there(&name(spare))?;
        }
        Ok(())
    }
}

impl<D: Disk> Log<D> {
    /// Parts with a trimmed segment whose end is durably below the log's start: its log file is set aside, if so many are
    /// kept and no other segment may be meant by its name, and the rest removed.
    pub(super) fn part_with(&mut self, segment: &Segment) -> Result<(), LogError> {
        let wanted = self.config.recycle_segments as usize;
        if segment.is_reusable && !self.config.cleanup.compacts() && self.spares.0.len() < wanted {
            segment.close(&self.dir);
            let from = self.dir.join(&Kind::Log.name(segment.base));
            self.dir.disk().rename(&from, &self.dir.join(&name(segment.base)))?;
            self.spares.0.push(segment.base);
        }
        Ok(segment.remove(&self.dir)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemDisk;
    use super::super::tests::{DIR, append, batch, close, flush, offsets, open_with, small};
    use super::super::{Log, OpenHow};
    use super::*;
    use crate::config::LogConfig;
    use crate::env::{File, Open};
    use crate::record::{BatchBuilder, Compression};

    fn config() -> LogConfig {
        LogConfig { recycle_segments: 1, ..small() }
    }

    fn files(disk: &MemDisk, ending: &str) -> Vec<String> {
        disk.list(DIR).unwrap().into_iter().filter(|name| name.ends_with(ending)).collect()
    }

    fn size(disk: &MemDisk, base: Offset) -> usize {
        let mut bytes = vec![0; 10_000];
        let file = disk.open(&format!("{DIR}/{}", Kind::Log.name(base)), Open::Read).unwrap();
        file.read_at(&mut bytes, 0).unwrap()
    }

    /// A log of three segments of five batches, two of which are trimmed, all of it durable; then `more` batches.
    fn lived(disk: &MemDisk, more: usize) -> (Log<MemDisk>, Offset) {
        let (mut log, _) = open_with(disk, config(), OpenHow::default()).unwrap();
        for at in 0..15 {
            if at % 5 == 0 {
                log.roll(0).unwrap();
            }
            append(&mut log, &[1]);
        }
        flush(&mut log);
        log.trim_to(10).unwrap();
        assert_eq!(log.sweep(10).unwrap(), 2);
        assert_eq!(files(disk, SPARE), [name(0)], "one is kept, the other goes");
        let base = log.roll(0).unwrap();
        assert_eq!((base, files(disk, SPARE).len()), (15, 0));
        for _ in 0..more {
            append(&mut log, &[2]);
        }
        (log, base)
    }

    /// Such a log, begun at 15 with one batch, with a file set aside.
    fn saves(disk: &MemDisk) -> Log<MemDisk> {
        let (mut log, base) = lived(disk, 1);
        flush(&mut log);
        log.trim_to(base).unwrap();
        log.sweep(base).unwrap();
        assert_eq!(files(disk, SPARE).len(), 1);
        log
    }

    #[test]
    fn a_file_is_written_again_and_gets_its_true_length_when_it_is_closed() {
        let disk = MemDisk::default();
        let (mut log, base) = lived(&disk, 2);
        let old = size(&disk, base);
        assert!(old as u64 > log.size() / 2, "it holds what it held: {old}");
        assert_eq!(offsets(&log.read(15, 10_000, Offset::MAX, true).unwrap().records), [(15, 15), (16, 16)]);
        log.roll(0).unwrap();
        assert_eq!(size(&disk, base), old * 2 / 5);
        close(&mut log);
    }

    #[test]
    fn nothing_that_it_held_comes_back() {
        for durable in 0..3 {
            let disk = MemDisk::default();
            let (mut log, _) = lived(&disk, durable);
            flush(&mut log);
            append(&mut log, &[3]);
            drop(log);
            disk.lose_power(|| false);
            let (log, recovery) = open_with(&disk, config(), OpenHow { log_start: 10, ..OpenHow::default() }).unwrap();
            assert_eq!(log.log_end(), 15 + Offset::try_from(durable).unwrap());
            assert!(recovery.torn_bytes > 0);
        }
    }

    /// A batch with a value that holds a whole batch, `inner`, so that it lies at `position`.
    fn forged(position: usize, inner: &[u8]) -> Vec<u8> {
        let with = |padding: usize| {
            let mut builder = BatchBuilder::new();
            let value = [&vec![7; padding], inner, &[7; 400]].concat();
            builder.append(1, None, Some(&value), std::iter::empty::<(&str, Option<&str>)>());
            builder.finish(Compression::None).to_vec()
        };
        (0..position).map(with).find(|forged| forged[position..].starts_with(inner)).expect("one fits")
    }

    #[test]
    fn a_value_that_reads_like_the_next_batch_is_none() {
        let disk = MemDisk::default();
        let (mut log, _) = open_with(&disk, config(), OpenHow::default()).unwrap();
        let (position, mut inner) = (batch(&[2], 100).len(), batch(&[1], 20));
        inner[..8].copy_from_slice(&3i64.to_be_bytes());
        log.append_leader(&mut forged(position, &inner), 3, 0).unwrap();
        log.roll(0).unwrap();
        append(&mut log, &[1]);
        flush(&mut log);
        log.trim_to(1).unwrap();
        log.sweep(1).unwrap();
        assert_eq!(log.roll(0).unwrap(), 2);
        let (file, mut there) = (format!("{DIR}/{}", Kind::Log.name(2)), vec![0; inner.len()]);
        disk.open(&file, Open::Read).unwrap().read_at(&mut there, position as u64).unwrap();
        assert_eq!(there, inner, "offset 3 lies where it would follow");
        append(&mut log, &[2]);
        drop(log);
        let (log, _) = open_with(&disk, config(), OpenHow { log_start: 1, ..OpenHow::default() }).unwrap();
        assert_eq!(log.log_end(), 3);
    }

    #[test]
    fn what_recovery_could_not_tell_is_not_written_again() {
        let disk = MemDisk::default();
        let mut log = saves(&disk);
        log.restart_at(3, 0).unwrap();
        assert_eq!((files(&disk, SPARE).len(), size(&disk, 3)), (0, 0), "offsets come again");
        drop(log);

        let disk = MemDisk::default();
        drop(saves(&disk));
        let how = OpenHow { log_start: 15, ..OpenHow::default() };
        let (log, _) = open_with(&disk, config(), how).unwrap();
        assert_eq!((files(&disk, SPARE).len(), log.log_end()), (0, 16));
    }

    #[test]
    fn a_log_that_is_to_recycle_less_removes_what_it_has() {
        let disk = MemDisk::default();
        let mut log = saves(&disk);
        log.configure(small());
        log.sweep(15).unwrap();
        assert_eq!(files(&disk, SPARE), Vec::<String>::new());
    }

    #[test]
    #[cfg(feature = "planted")]
    fn planted_remains_are_taken_for_batches() {
        use crate::planted::{Defect, activate};
        let disk = MemDisk::default();
        let (mut log, _) = lived(&disk, 0);
        flush(&mut log);
        drop(log);
        activate(Some(Defect::StRecycledRemains));
        let how = OpenHow { log_start: 10, ..OpenHow::default() };
        let (log, _) = open_with(&disk, config(), how).unwrap();
        activate(None);
        assert_eq!(log.log_end(), 20);
    }
}
