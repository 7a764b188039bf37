//! A disk in memory for the log's own tests: knows what is durable, and behaves as Linux does after a failed fsync.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use crate::env::{Disk, File, Open};

const SECTOR: usize = 512;

#[derive(Default)]
struct Inode {
    cached: RefCell<Vec<u8>>,
    durable: RefCell<Vec<u8>>,
    dirty: RefCell<BTreeSet<usize>>,
}

#[derive(Default)]
struct Inner {
    names: RefCell<BTreeMap<String, Rc<Inode>>>,
    durable_names: RefCell<BTreeMap<String, Rc<Inode>>>,
    dirs: RefCell<BTreeSet<String>>,
    /// The next so many syncs fail.
    failing_syncs: Cell<u32>,
    /// Bytes that can still be written before the disk is full.
    room: Cell<Option<usize>>,
    syncs: Cell<u32>,
}

#[derive(Clone, Default)]
pub(super) struct MemDisk(Rc<Inner>);

pub(super) struct MemFile(Rc<Inode>, Rc<Inner>);

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl MemDisk {
    pub fn fail_syncs(&self, count: u32) {
        self.0.failing_syncs.set(count);
    }

    pub fn leave_room(&self, bytes: Option<usize>) {
        self.0.room.set(bytes);
    }

    pub fn syncs(&self) -> u32 {
        self.0.syncs.get()
    }

    /// Loses what is not durable. `draw` decides for each unsynced sector whether it made it all the same.
    pub fn lose_power(&self, mut draw: impl FnMut() -> bool) {
        let mut names = self.0.names.borrow_mut();
        let mut durable = self.0.durable_names.borrow_mut();
        let all: BTreeSet<String> = names.keys().chain(durable.keys()).cloned().collect();
        for name in all {
            let (now, then) = (names.get(&name).cloned(), durable.get(&name).cloned());
            let same = now.as_ref().zip(then.as_ref()).is_some_and(|(a, b)| Rc::ptr_eq(a, b));
            let survivor = if same || draw() { now } else { then };
            match survivor {
                Some(inode) => durable.insert(name, inode),
                None => durable.remove(&name),
            };
        }
        for inode in durable.values() {
            inode.lose_power(&mut draw);
        }
        *names = durable.clone();
    }

    /// As [`MemDisk::lose_power`], with draws from `seed`: one of 2 to the power of `halvings` is kept.
    pub fn lose_power_by(&self, seed: u64, halvings: u32) {
        let mut state = seed | 1;
        self.lose_power(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> (64 - halvings) == 0
        });
    }

    /// Loses names that are not durable, but for those that `keep` says; what was written is all there.
    pub fn lose_names(&self, mut keep: impl FnMut(&str) -> bool) {
        let mut names = self.0.names.borrow_mut();
        let mut durable = self.0.durable_names.borrow_mut();
        let all: BTreeSet<String> = names.keys().chain(durable.keys()).cloned().collect();
        for name in all.into_iter().filter(|name| keep(name)) {
            match names.get(&name).cloned() {
                Some(inode) => durable.insert(name, inode),
                None => durable.remove(&name),
            };
        }
        *names = durable.clone();
    }

    pub fn flip(&self, path: &str, at: usize) {
        let names = self.0.names.borrow();
        names[path].cached.borrow_mut()[at] ^= 0x40;
    }
}

impl Inode {
    fn touch(&self, from: usize, to: usize) {
        self.dirty.borrow_mut().extend(from / SECTOR..to.div_ceil(SECTOR));
    }

    fn write_back(&self, sector: usize) {
        let cached = self.cached.borrow();
        let (from, to) = (sector * SECTOR, cached.len().min((sector + 1) * SECTOR));
        let mut durable = self.durable.borrow_mut();
        if from < to {
            let size = durable.len().max(to);
            durable.resize(size, 0);
            durable[from..to].copy_from_slice(&cached[from..to]);
        }
    }

    fn lose_power(&self, draw: &mut impl FnMut() -> bool) {
        for sector in std::mem::take(&mut *self.dirty.borrow_mut()) {
            if draw() {
                self.write_back(sector);
            }
        }
        let new_size = self.cached.borrow().len();
        if draw() {
            self.durable.borrow_mut().resize(new_size, 0);
        }
        *self.cached.borrow_mut() = self.durable.borrow().clone();
    }
}

impl Disk for MemDisk {
    type File = MemFile;

    fn open(&self, path: &str, how: Open) -> io::Result<Rc<MemFile>> {
        let mut names = self.0.names.borrow_mut();
        if how == Open::Create {
            names.entry(path.to_owned()).or_default();
        }
        let inode = names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Rc::new(MemFile(inode.clone(), self.0.clone())))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.0.dirs.borrow_mut().insert(path.to_owned());
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.0.dirs.borrow_mut().remove(path);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.0.names.borrow_mut();
        let inode = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.names.borrow_mut().remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let names = self.0.names.borrow();
        let inside = names.keys().filter(|name| parent(name) == path);
        Ok(inside.map(|name| name[path.len()..].trim_start_matches('/').to_owned()).collect())
    }

    fn exists(&self, path: &str) -> bool {
        self.0.names.borrow().contains_key(path) || self.0.dirs.borrow().contains(path)
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        let names = self.0.names.borrow();
        let mut durable = self.0.durable_names.borrow_mut();
        durable.retain(|name, _| parent(name) != path || names.contains_key(name));
        let inside = names.iter().filter(|(name, _)| parent(name) == path);
        durable.extend(inside.map(|(name, inode)| (name.clone(), inode.clone())));
        Ok(())
    }

    async fn settled(&self) {}
}

impl File for MemFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let cached = self.0.cached.borrow();
        let from = usize::try_from(position).unwrap().min(cached.len());
        let count = buf.len().min(cached.len() - from);
        buf[..count].copy_from_slice(&cached[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let fits = self.1.room.get().map_or(bytes.len(), |room| room.min(bytes.len()));
        let from = usize::try_from(position).unwrap();
        let mut cached = self.0.cached.borrow_mut();
        let size = cached.len().max(from + fits);
        cached.resize(size, 0);
        cached[from..from + fits].copy_from_slice(&bytes[..fits]);
        self.0.touch(from, from + fits);
        self.1.room.set(self.1.room.get().map(|room| room - fits));
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.cached.borrow().len() as u64)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.cached.borrow_mut().resize(usize::try_from(size).unwrap(), 0);
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        self.1.syncs.set(self.1.syncs.get() + 1);
        let dirty = std::mem::take(&mut *self.0.dirty.borrow_mut());
        if let Some(left) = self.1.failing_syncs.get().checked_sub(1) {
            // The pages are marked clean; the next sync will find nothing to do.
            self.1.failing_syncs.set(left);
            return Err(io::Error::other("EIO"));
        }
        let size = self.0.cached.borrow().len();
        self.0.durable.borrow_mut().resize(size, 0);
        dirty.into_iter().for_each(|sector| self.0.write_back(sector));
        Ok(())
    }
}
