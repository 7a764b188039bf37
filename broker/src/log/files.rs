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
    open: Vec<Slot<F>>,
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
        let slots = Slots { open: Vec::new(), hand: 0, max: max.max(8) };
        Self(Rc::new(Pool { disk, slots: RefCell::new(slots), next_id: Cell::new(0) }))
    }

    /// The disk beneath.
    pub fn disk(&self) -> &D {
        &self.0.disk
    }

    /// Files open now.
    pub fn open_files(&self) -> usize {
        self.0.slots.borrow().open.len()
    }

    pub(super) fn handle(&self) -> Handle {
        let id = self.0.next_id.get();
        self.0.next_id.set(id + 1);
        Handle { id, slot: Cell::new(0) }
    }

    fn get(&self, handle: &Handle, how: Open, path: impl FnOnce() -> String) -> io::Result<Rc<D::File>> {
        let mut slots = self.0.slots.borrow_mut();
        if let Some(slot) = slots.open.get_mut(handle.slot.get())
            && slot.id == handle.id
        {
            slot.used = true;
            return Ok(slot.file.clone());
        }
        let file = self.0.disk.open(&path(), how)?;
        let slot = Slot { id: handle.id, used: true, file: file.clone() };
        let at = if slots.open.len() < slots.max {
            slots.open.push(slot);
            slots.open.len() - 1
        } else {
            let at = slots.victim();
            slots.open[at] = slot;
            at
        };
        handle.slot.set(at);
        Ok(file)
    }

    /// Closes the file if it is open.
    pub(super) fn close(&self, handle: &Handle) {
        let mut slots = self.0.slots.borrow_mut();
        let at = handle.slot.get();
        if slots.open.get(at).is_some_and(|slot| slot.id == handle.id) {
            // Another file moves into its place and is found again only by being reopened: rare, and harmless.
            slots.open.swap_remove(at);
        }
    }
}

impl<F> Slots<F> {
    /// The next slot not used since the hand last passed.
    fn victim(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.open.len();
            let slot = &mut self.open[self.hand];
            if !std::mem::take(&mut slot.used) {
                return self.hand;
            }
        }
    }
}

/// A partition's directory and the pool its files are opened from.
pub(super) struct Dir<D: Disk> {
    pub pool: FilePool<D>,
    pub path: String,
}

impl<D: Disk> Dir<D> {
    pub fn disk(&self) -> &D {
        self.pool.disk()
    }

    /// The path of a file in it.
    pub fn join(&self, name: &str) -> String {
        let mut path = String::with_capacity(self.path.len() + 1 + name.len());
        let _ = write!(path, "{}/{name}", self.path);
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
}
