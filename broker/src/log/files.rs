//! Segment files, opened on demand and never more than a fixed number at once, over all partitions of a node.
//!
//! Closing a file with unsynced pages loses nothing: `fdatasync` on a new handle writes the same inode's pages, and
//! Linux (since 4.16) still reports a write-back error that no handle has seen.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

use crate::env::{Disk, Open};
use crate::ids::Offset;

/// The files of a segment, by their suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Offsets,
    Times,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Log, Kind::Offsets, Kind::Times];

    pub fn suffix(self) -> &'static str {
        match self {
            Kind::Log => ".log",
            Kind::Offsets => ".index",
            Kind::Times => ".timeindex",
        }
    }

    /// The kind and base offset a file's name stands for.
    pub fn parse(name: &str) -> Option<(Kind, Offset)> {
        let (stem, _) = name.split_once('.')?;
        let kind = Kind::ALL.into_iter().find(|kind| name[stem.len()..] == *kind.suffix())?;
        let base = stem.parse().ok().filter(|&base| base >= 0 && stem.len() == 20)?;
        Some((kind, base))
    }

    /// The file's name: twenty digits of the base offset and the suffix.
    pub fn name(self, base: Offset) -> String {
        format!("{base:020}{}", self.suffix())
    }
}

struct Slot<F> {
    id: u64,
    used: bool,
    file: Rc<F>,
}

struct Slots<F> {
    /// A file never moves to another slot: its handle would not find it, and nobody would close it.
    open: Vec<Option<Slot<F>>>,
    /// Slots of files that were closed.
    free: Vec<usize>,
    hand: usize,
    max: usize,
}

struct Pool<D: Disk> {
    disk: D,
    slots: RefCell<Slots<D::File>>,
    next_id: Cell<u64>,
}

/// The open files of a node: at most `max`, the least recently used (second chance) closed first.
pub struct FilePool<D: Disk>(Rc<Pool<D>>);

impl<D: Disk> Clone for FilePool<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// One file's place in the pool.
#[derive(Debug)]
pub(super) struct Handle {
    id: u64,
    slot: Cell<usize>,
}

impl<D: Disk> FilePool<D> {
    /// A pool of at most `max` open files (8 at least) of `disk`.
    pub fn new(disk: D, max: usize) -> Self {
        let slots = Slots { open: Vec::new(), free: Vec::new(), hand: 0, max: max.max(8) };
        Self(Rc::new(Pool { disk, slots: RefCell::new(slots), next_id: Cell::new(0) }))
    }

    /// The disk beneath.
    pub fn disk(&self) -> &D {
        &self.0.disk
    }

    /// Files open now.
    pub fn open_files(&self) -> usize {
        let slots = self.0.slots.borrow();
        slots.open.len() - slots.free.len()
    }

    pub(super) fn handle(&self) -> Handle {
        let id = self.0.next_id.get();
        self.0.next_id.set(id + 1);
        Handle { id, slot: Cell::new(0) }
    }

    fn get(&self, handle: &Handle, how: Open, path: impl FnOnce() -> String) -> io::Result<Rc<D::File>> {
        let mut slots = self.0.slots.borrow_mut();
        if let Some(slot) = slots.of(handle) {
            slot.used = true;
            return Ok(slot.file.clone());
        }
        let file = self.0.disk.open(&path(), how)?;
        let at = slots.put(Slot { id: handle.id, used: true, file: file.clone() });
        handle.slot.set(at);
        Ok(file)
    }

    /// Closes the file if it is open.
    pub(super) fn close(&self, handle: &Handle) {
        let mut slots = self.0.slots.borrow_mut();
        if slots.of(handle).is_some() {
            let at = handle.slot.get();
            slots.open[at] = None;
            slots.free.push(at);
        }
    }
}

impl<F> Slots<F> {
    fn of(&mut self, handle: &Handle) -> Option<&mut Slot<F>> {
        self.open.get_mut(handle.slot.get())?.as_mut().filter(|slot| slot.id == handle.id)
    }

    /// Puts the file into a slot that is free, or else into that of the file least recently used, which is closed.
    fn put(&mut self, slot: Slot<F>) -> usize {
        let at = match self.free.pop() {
            Some(at) => at,
            None if self.open.len() < self.max => {
                self.open.push(None);
                self.open.len() - 1
            }
            None => self.victim(),
        };
        self.open[at] = Some(slot);
        at
    }

    /// The next slot not used since the hand last passed.
    fn victim(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.open.len();
            if !self.open[self.hand].as_mut().is_some_and(|slot| std::mem::take(&mut slot.used)) {
                return self.hand;
            }
        }
    }
}

/// A partition's directory and the pool its files are opened from.
pub(super) struct Dir<D: Disk> {
    pub pool: FilePool<D>,
    pub path: String,
    /// Follows every name: empty, or [`STAGED`].
    pub suffix: &'static str,
}

/// Follows the names of files that are not complete yet; an opening removes what has such a name.
pub(super) const STAGED: &str = ".tmp";

impl<D: Disk> Dir<D> {
    pub fn disk(&self) -> &D {
        self.pool.disk()
    }

    /// The same directory, for files that are to take the places of those of the same name.
    pub fn staging(&self) -> Self {
        Self { pool: self.pool.clone(), path: self.path.clone(), suffix: STAGED }
    }

    /// The path of a file in it.
    pub fn join(&self, name: &str) -> String {
        let mut path = String::with_capacity(self.path.len() + 1 + name.len() + self.suffix.len());
        let _ = write!(path, "{}/{name}{}", self.path, self.suffix);
        path
    }

    /// The directory above it; empty for the disk's root.
    pub fn parent(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    pub fn open(&self, handle: &Handle, base: Offset, kind: Kind, how: Open) -> io::Result<Rc<D::File>> {
        self.pool.get(handle, how, || self.join(&kind.name(base)))
    }

    pub fn remove_if_there(&self, name: &str) -> io::Result<()> {
        match self.disk().remove(&self.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemDisk;
    use super::*;

    #[test]
    fn names_are_kafkas() {
        assert_eq!(Kind::Log.name(42), "00000000000000000042.log");
        assert_eq!(Kind::parse("00000000000000000042.timeindex"), Some((Kind::Times, 42)));
        for strange in
            ["42.log", "00000000000000000042.log.deleted", "leader-epoch-checkpoint", "-0000000000000000042.log"]
        {
            assert_eq!(Kind::parse(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_closed_file_is_not_held_open_whatever_else_is_closed() {
        let disk = MemDisk::default();
        let pool = FilePool::new(disk.clone(), 16);
        let handles: Vec<Handle> = (0..12).map(|_| pool.handle()).collect();
        let open = |at: usize| pool.get(&handles[at], Open::Create, || format!("f{at}")).unwrap();
        let files: Vec<_> = (0..12).map(|at| Rc::downgrade(&open(at))).collect();
        for at in [0, 5, 3, 11] {
            pool.close(&handles[at]);
        }
        // Those that are left are found where they were, and a new one takes a free slot.
        (0..12)
            .filter(|at| ![0, 5, 3, 11].contains(at))
            .for_each(|at| assert!(Rc::ptr_eq(&open(at), &files[at].upgrade().unwrap())));
        open(5);
        assert_eq!(pool.open_files(), 9);
        handles.iter().for_each(|handle| pool.close(handle));
        assert_eq!(pool.open_files(), 0);
        assert!(files.iter().all(|file| file.upgrade().is_none()), "held by nobody");
    }

    #[test]
    fn the_pool_stays_within_its_bound() {
        let pool = FilePool::new(MemDisk::default(), 8);
        let handles: Vec<Handle> = (0..30).map(|_| pool.handle()).collect();
        for round in 0..3 {
            for (at, handle) in handles.iter().enumerate() {
                pool.get(handle, Open::Create, || format!("f{at}")).unwrap();
                assert!(pool.open_files() <= 8);
                if (at + round) % 7 == 0 {
                    pool.close(handle);
                }
            }
        }
    }
}
