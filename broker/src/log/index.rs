//! The sparse indexes of a segment, as files of fixed-size entries in Kafka's formats, searched where they lie so that
//! a partition's memory does not grow with its data.
//!
//! Offset index: (last offset of a batch - segment base: u32, position of that batch: u32). Time index: (largest
//! timestamp of the segment so far: i64, last offset of the batch that first had it - segment base: u32).

use std::io;

use crate::env::File;

/// One entry of a fixed-size format. `key` is what entries are ordered by.
pub(super) trait Entry: Copy {
    /// Bytes in the file.
    const SIZE: usize;
    type Key: Ord + Copy;
    fn key(&self) -> Self::Key;
    fn encode(&self, out: &mut [u8]);
    fn decode(bytes: &[u8]) -> Self;
}

/// Of the offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    pub relative: u32,
    pub position: u32,
}

/// Of the time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    pub timestamp: i64,
    pub relative: u32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;
    type Key = u32;

    fn key(&self) -> u32 {
        self.relative
    }

    fn encode(&self, out: &mut [u8]) {
        out[..4].copy_from_slice(&self.relative.to_be_bytes());
        out[4..].copy_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { relative: u32::from_be_bytes(array(bytes, 0)), position: u32::from_be_bytes(array(bytes, 4)) }
    }
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;
    type Key = i64;

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn encode(&self, out: &mut [u8]) {
        out[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..].copy_from_slice(&self.relative.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self { timestamp: i64::from_be_bytes(array(bytes, 0)), relative: u32::from_be_bytes(array(bytes, 8)) }
    }
}

/// The largest entry size.
const MOST: usize = 12;

/// What is kept in memory of an index: how many entries its file has, and the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Index<E> {
    count: u64,
    last: Option<E>,
}

impl<E: Entry> Index<E> {
    pub const EMPTY: Index<E> = Index { count: 0, last: None };

    /// The index in `file`, or `None` if its size is not a whole number of entries.
    pub fn load(file: &impl File) -> io::Result<Option<Self>> {
        let size = file.size()?;
        if size % E::SIZE as u64 != 0 {
            return Ok(None);
        }
        let mut index = Self { count: size / E::SIZE as u64, last: None };
        index.last = index.count.checked_sub(1).map(|at| index.get(file, at)).transpose()?;
        Ok(Some(index))
    }

    pub fn last(&self) -> Option<E> {
        self.last
    }

    pub fn get(&self, file: &impl File, at: u64) -> io::Result<E> {
        let mut bytes = [0; MOST];
        let bytes = &mut bytes[..E::SIZE];
        if file.read_at(bytes, at * E::SIZE as u64)? < E::SIZE {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(E::decode(bytes))
    }

    /// Appends `entry` if it is beyond the last one.
    pub fn append(&mut self, file: &impl File, entry: E) -> io::Result<()> {
        if self.last.is_some_and(|last| last.key() >= entry.key()) {
            return Ok(());
        }
        let mut bytes = [0; MOST];
        let bytes = &mut bytes[..E::SIZE];
        entry.encode(bytes);
        let end = self.count * E::SIZE as u64;
        if let Err(error) = file.write_at(bytes, end) {
            // A part of an entry must not stay; if it cannot be cut off, the next entry overwrites it.
            let _ = file.truncate(end);
            return Err(error);
        }
        self.count += 1;
        self.last = Some(entry);
        Ok(())
    }

    /// Makes `entry` the last one, in the place of one with the same key if there is one.
    pub fn end_with(&mut self, file: &impl File, entry: E) -> io::Result<()> {
        if self.last.is_some_and(|last| last.key() == entry.key()) {
            self.count -= 1;
            self.last = self.count.checked_sub(1).map(|at| self.get(file, at)).transpose()?;
        }
        self.append(file, entry)
    }

    /// How many entries at the front satisfy `holds`, which no entry does after one that does not.
    fn prefix(&self, file: &impl File, mut holds: impl FnMut(&E) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(&self.get(file, middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The last entry whose key is at most `key`.
    pub fn floor(&self, file: &impl File, key: E::Key) -> io::Result<Option<E>> {
        match self.last {
            None => Ok(None),
            Some(last) if last.key() <= key => Ok(Some(last)),
            Some(_) => {
                let count = self.prefix(file, |entry| entry.key() <= key)?;
                count.checked_sub(1).map(|at| self.get(file, at)).transpose()
            }
        }
    }

    /// Keeps the entries at the front that satisfy `holds`.
    pub fn keep(&mut self, file: &impl File, holds: impl FnMut(&E) -> bool) -> io::Result<()> {
        self.count = self.prefix(file, holds)?;
        file.truncate(self.count * E::SIZE as u64)?;
        self.last = self.count.checked_sub(1).map(|at| self.get(file, at)).transpose()?;
        Ok(())
    }

    /// Drops every entry.
    pub fn clear(&mut self, file: &impl File) -> io::Result<()> {
        *self = Self::EMPTY;
        file.truncate(0)
    }
}

/// All entries of the index in `file`, for the auditor; `None` if its size is not a whole number of them.
pub(super) fn read_all<E: Entry>(file: &impl File) -> io::Result<Option<Vec<E>>> {
    let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
    if size % E::SIZE != 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; size];
    let got = file.read_at(&mut bytes, 0)?;
    Ok((got == size).then(|| bytes.chunks_exact(E::SIZE).map(E::decode).collect()))
}
