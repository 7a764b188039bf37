//! A segment written anew beside its files, without what compaction takes from it.

use std::io;

use bytes::Bytes;

use super::compact::{Cleaning, Fate, marker};
use super::files::{Dir, Kind};
use super::recycle::Spares;
use super::scan::{Scanner, WHOLE};
use super::segment::Segment;
use super::{Log, LogError};
use crate::env::{Disk, File};
use crate::ids::{LeaderEpoch, Offset};
use crate::record::sift::without_records;
use crate::record::{Batch, Header};

/// A segment's copy under way.
pub(super) struct Copying<D: Disk> {
    /// The base offset, of the segment and of the copy.
    pub base: Offset,
    /// The copy; its files have other names as yet.
    pub staged: Segment,
    /// Where those are.
    pub staging: Dir<D>,
    /// Records left out so far.
    pub records: u64,
    /// Up to where the segment is read.
    position: u64,
    /// Offsets that nothing is left of, and their epoch: one batch is to cover them.
    hole: Option<(Offset, Offset, LeaderEpoch)>,
    /// What is not written yet, and where it belongs.
    pending: Vec<u8>,
    written: u64,
}

impl<D: Disk> Copying<D> {
    /// Begins with empty files.
    pub fn begin(dir: &Dir<D>, segment: &Segment, now: i64) -> io::Result<Self> {
        let staging = dir.staging();
        let staged = Segment::create(&staging, segment.base, now, &mut Spares::default())?;
        Ok(Self {
            base: segment.base,
            staged,
            staging,
            records: 0,
            position: 0,
            hole: None,
            pending: Vec::new(),
            written: 0,
        })
    }

    /// Removes its files and its marker; what cannot be removed, the next opening removes.
    pub fn discard(&self, dir: &Dir<D>) {
        let _ = self.staged.remove(&self.staging);
        let _ = dir.remove_if_there(&marker(self.base));
    }

    fn add(&mut self, batch: &Batch<'_>, fate: Fate, interval: u32) -> io::Result<()> {
        let header = batch.header();
        match fate {
            Fate::Stays => self.put(batch.bytes(), interval)?,
            Fate::Becomes(bytes, gone) => {
                self.records += gone;
                self.put(&bytes, interval)?;
            }
            Fate::Emptied(gone) => {
                self.records += gone;
                let (base, last, epoch) = (header.base_offset, header.last_offset(), header.leader_epoch);
                self.put(&without_records(base, last, epoch, Some(header)), interval)?;
            }
            Fate::Gone(gone) => {
                self.records += gone;
                let (base, last, epoch) = (header.base_offset, header.last_offset(), header.leader_epoch);
                match &mut self.hole {
                    // An epoch begins with a batch of its own, so that it can be read off the log.
                    Some((_, end, of)) if *of == epoch => *end = last,
                    _ => {
                        self.close_hole(interval)?;
                        self.hole = Some((base, last, epoch));
                    }
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8], interval: u32) -> io::Result<()> {
        self.close_hole(interval)?;
        self.push(bytes, interval)
    }

    fn close_hole(&mut self, interval: u32) -> io::Result<()> {
        let Some((base, last, epoch)) = self.hole.take() else { return Ok(()) };
        let bytes: Bytes = without_records(base, last, epoch, None);
        self.push(&bytes, interval)
    }

    fn push(&mut self, bytes: &[u8], interval: u32) -> io::Result<()> {
        let header = Header::parse(bytes).map_err(io::Error::other)?;
        self.pending.extend_from_slice(bytes);
        self.staged.note_indexed(&self.staging, &header, interval)
    }

    fn write(&mut self) -> io::Result<()> {
        let file = self.staged.file(&self.staging, Kind::Log)?;
        file.write_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

impl<D: Disk> Log<D> {
    /// Copies what stays of about `budget` bytes. Returns whether that was the last of the segment.
    pub(super) fn copy_some(
        &self,
        pass: &Cleaning<D>,
        segment: &Segment,
        copying: &mut Copying<D>,
        budget: usize,
    ) -> Result<bool, LogError> {
        let interval = self.config.index_interval_bytes;
        let file = segment.file(&self.dir, Kind::Log)?;
        let (from, mut next) = (copying.position, segment.base);
        let mut scanner = Scanner::new(&*file, from, segment.size, WHOLE.min(budget));
        while let Some(header) = scanner.header()? {
            let header = header.map_err(|error| segment.corrupt(next, error))?;
            next = header.base_offset;
            let batch = scanner.batch(&header)?.map_err(|error| segment.corrupt(next, error))?;
            let fate = self.fate(pass, &batch).map_err(|error| segment.corrupt(next, error))?;
            copying.add(&batch, fate, interval)?;
            scanner.skip(&header);
            copying.position = scanner.position();
            if copying.position - from >= budget as u64 && copying.position < segment.size {
                copying.write()?;
                return Ok(false);
            }
        }
        copying.close_hole(interval)?;
        copying.write()?;
        if copying.staged.next != segment.next {
            return Err(segment.corrupt(copying.staged.next, "its copy does not end where it does"));
        }
        copying.staged.finish_indexes(&copying.staging)?;
        Ok(true)
    }
}
