//! [`SimDisk`]: one host's disk. It survives its processes; it lies, tears, fills and fails as disks do.

mod device;
mod inode;
mod tree;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use broker::env::{Disk, File, Open};

use self::device::Device;
use self::inode::Inode;
use self::tree::{Node, Tree};
use super::episodes::Episodes;
use super::state::{DEAD, OUTSIDE};
use super::timer::Time;
use super::{DiskOp, Failing, Unsynced};
use crate::seed::{Draw, Seed};

/// No file grows beyond this, so that a wild position is an error and not the end of the machine's memory.
const FILE_LIMIT: u64 = 1 << 30;

/// Linux's `EBADF`: the handle is of a process that is gone, or was opened for reading only.
const EBADF: i32 = 9;
/// Linux's `EFBIG`.
const EFBIG: i32 = 27;
/// Linux's `ENOSPC`.
const ENOSPC: i32 = 28;

/// One host's disk, as one of its processes sees it. A clone is the same disk.
#[derive(Clone)]
pub struct SimDisk {
    inner: Rc<Inner>,
    life: u32,
}

struct Inner {
    tree: Tree,
    device: Device,
    /// Bytes left by each fault that fills it.
    room: RefCell<Episodes<u64>>,
    /// Files without a name that are still open: they take room until the last handle is gone.
    nameless: RefCell<Vec<Rc<Inode>>>,
    /// The process that may use the disk.
    life: Cell<u32>,
    draw: RefCell<Draw>,
    /// How much of a write that fails has reached the file.
    partial: RefCell<Draw>,
}

/// An open file of a [`SimDisk`]. It stands for the file, not for its name.
pub struct SimFile {
    disk: Rc<Inner>,
    inode: Rc<Inode>,
    /// Given back when the handle is closed.
    held: Option<Rc<()>>,
    life: u32,
    writable: bool,
}

impl SimDisk {
    /// An empty disk whose chances come from `seed`; `tick` is the grain of world time in nanoseconds.
    pub(crate) fn new(seed: Seed, time: Rc<Time>, tick: u64) -> Self {
        let device = Device::new(seed.split("device", 0), time, tick);
        let draw = RefCell::new(seed.split("fate", 0).draw());
        let inner = Inner {
            tree: Tree::default(),
            device,
            room: RefCell::default(),
            nameless: RefCell::default(),
            life: Cell::new(DEAD),
            draw,
            partial: RefCell::new(seed.split("partial", 0).draw()),
        };
        Self { inner: Rc::new(inner), life: OUTSIDE }
    }

    /// The disk as the process `life` sees it.
    pub(crate) fn in_life(&self, life: u32) -> Self {
        Self { inner: self.inner.clone(), life }
    }

    /// From now on only handles of `life` are good (and those from outside any process).
    pub(crate) fn set_life(&self, life: u32) {
        self.inner.life.set(life);
    }

    /// What becomes of everything when the process ends.
    pub(crate) fn lose_process(&self) {
        for (_, inode) in self.inner.tree.files() {
            inode.lose_process();
        }
        let nameless = std::mem::take(&mut *self.inner.nameless.borrow_mut());
        self.inner.free(nameless.iter().map(|inode| inode.len() as u64).sum());
        self.inner.device.reset();
    }

    /// What becomes of everything when the power goes.
    pub(crate) fn lose_power(&self, how: Unsynced) {
        let mut draw = self.inner.draw.borrow_mut();
        let nameless = std::mem::take(&mut *self.inner.nameless.borrow_mut());
        let before = self.inner.used() + nameless.iter().map(|inode| inode.len() as u64).sum::<u64>();
        // The contents first: a file whose name comes back has lost what it had not synced all the same.
        let mut inodes = self.inner.tree.files();
        self.inner.tree.lose_power(how, &mut draw);
        for (path, inode) in self.inner.tree.files() {
            if !inodes.iter().any(|(_, i)| Rc::ptr_eq(i, &inode)) {
                inodes.push((path, inode));
            }
        }
        for (_, inode) in &inodes {
            inode.lose_power(how, &mut draw);
        }
        let used = self.inner.used();
        self.inner.room.borrow_mut().retain(|room| {
            *room = (*room + before).saturating_sub(used);
            true
        });
        self.inner.device.reset();
    }

    /// See [`super::World::wipe`].
    pub(crate) fn wipe(&self) {
        self.lose_power(Unsynced::Lost);
        let used = self.inner.used();
        // A voter that forgets its vote and its metadata is outside what any quorum bears: that disk is another one.
        self.inner.tree.wipe(|name| name.starts_with("__"));
        self.inner.free(used - self.inner.used());
    }

    /// See [`super::World::copy_disk`].
    pub(crate) fn copy_from(&self, other: &SimDisk) -> io::Result<()> {
        self.inner.tree.copy_from(&other.inner.tree)
    }

    /// Writes, their bytes, and syncs that were asked of the device since the run began.
    pub(crate) fn asked(&self) -> (u64, u64, u64) {
        self.inner.device.asked()
    }

    /// See [`super::World::disk_stall`].
    pub(crate) fn stall(&self, on: bool) {
        self.inner.device.stall(on);
    }

    /// See [`super::World::disk_slow`].
    pub(crate) fn slow(&self, extra: Duration) -> u64 {
        self.inner.device.slow(extra)
    }

    /// See [`super::World::disk_hasten`].
    pub(crate) fn hasten(&self, number: u64) {
        self.inner.device.hasten(number);
    }

    /// See [`super::World::disk_fail`].
    pub(crate) fn fail(&self, op: DiskOp, failing: Failing) -> u64 {
        self.inner.device.fail(op, failing)
    }

    /// See [`super::World::disk_mend`].
    pub(crate) fn mend(&self, op: DiskOp, number: u64) {
        self.inner.device.mend(op, number);
    }

    /// See [`super::World::disk_room`].
    pub(crate) fn room(&self, free: u64) -> u64 {
        self.inner.room.borrow_mut().begin(free)
    }

    /// See [`super::World::disk_grow`].
    pub(crate) fn grow_again(&self, number: u64) {
        self.inner.room.borrow_mut().end(number);
    }

    /// See [`super::World::disk_flip`].
    pub(crate) fn flip(&self, suffix: &str, salt: u64) -> Option<String> {
        let mut files = self.inner.tree.files();
        // One node's metadata log has no second copy to be mended from: it is left alone until there are replicas.
        files.retain(|(path, inode)| path.ends_with(suffix) && !path.starts_with("__") && inode.durable_len() > 0);
        let mut draw = Seed::new(salt).split("flip", 0).draw();
        // A byte is drawn, not a file: a large file is hit more often than a small one.
        let mut at = draw.below(files.iter().map(|(_, i)| i.durable_len() as u64).sum());
        let (path, inode) = files.iter().find(|(_, inode)| {
            let len = inode.durable_len() as u64;
            let here = at < len;
            at -= if here { 0 } else { len };
            here
        })?;
        let bit = u8::try_from(draw.below(8)).unwrap_or(0);
        inode.flip(usize::try_from(at).unwrap_or(0), bit);
        Some(format!("{path}: byte {at}, bit {bit}"))
    }
}

impl Inner {
    fn check(&self, life: u32) -> io::Result<()> {
        if life == OUTSIDE || life == self.life.get() { Ok(()) } else { Err(io::Error::from_raw_os_error(EBADF)) }
    }

    fn used(&self) -> u64 {
        self.tree.files().iter().map(|(_, i)| i.len() as u64).sum()
    }

    /// Takes room for `growth` more bytes; hands back how many of them there is room for.
    fn grow(&self, growth: u64) -> u64 {
        let mut room = self.room.borrow_mut();
        let granted = room.each().fold(growth, u64::min);
        room.retain(|left| {
            *left -= granted;
            true
        });
        granted
    }

    fn free(&self, bytes: u64) {
        self.room.borrow_mut().retain(|left| {
            *left = left.saturating_add(bytes);
            true
        });
    }
}

impl Inner {
    /// The fate of an operation that makes a new name: a directory grows, and the disk may be full.
    fn may_name(&self, path: &str) -> io::Result<()> {
        self.device.check(DiskOp::Write)?;
        let full = self.tree.find(path).is_err() && self.room.borrow().each().any(|left| left == 0);
        if full { Err(io::Error::from_raw_os_error(ENOSPC)) } else { Ok(()) }
    }

    /// A file has lost its name: its room is free, unless it is still open.
    fn unnamed(&self, inode: Rc<Inode>) {
        if inode.is_held() {
            self.nameless.borrow_mut().push(inode);
        } else {
            self.free(inode.len() as u64);
        }
    }

    /// A handle of `inode` was closed.
    fn closed(&self, inode: &Rc<Inode>) {
        if inode.is_held() {
            return;
        }
        let mut nameless = self.nameless.borrow_mut();
        if let Some(at) = nameless.iter().position(|other| Rc::ptr_eq(other, inode)) {
            nameless.swap_remove(at);
            self.free(inode.len() as u64);
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.held = None;
        self.disk.closed(&self.inode);
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn open(&self, path: &str, how: Open) -> io::Result<Rc<SimFile>> {
        self.inner.check(self.life)?;
        let inode = match (self.inner.tree.find(path), how) {
            (Ok(Node::File(inode)), _) => {
                self.inner.device.check(DiskOp::Read)?;
                inode
            }
            (Ok(Node::Dir(_)), _) => return Err(io::Error::new(io::ErrorKind::IsADirectory, path.to_string())),
            (Err(e), Open::Create) if e.kind() == io::ErrorKind::NotFound => {
                self.inner.may_name(path)?;
                self.inner.tree.create(path)?
            }
            (Err(e), _) => return Err(e),
        };
        let (held, writable) = (Some(inode.hold()), how != Open::Read);
        Ok(Rc::new(SimFile { disk: self.inner.clone(), inode, held, life: self.life, writable }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.inner.check(self.life)?;
        self.inner.may_name(path)?;
        self.inner.tree.create_dir(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.inner.check(self.life)?;
        self.inner.device.check(DiskOp::Write)?;
        self.inner.tree.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.check(self.life)?;
        self.inner.may_name(to)?;
        if let Some(over) = self.inner.tree.rename(from, to)? {
            self.inner.unnamed(over);
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inner.check(self.life)?;
        self.inner.device.check(DiskOp::Write)?;
        let inode = self.inner.tree.remove(path)?;
        self.inner.unnamed(inode);
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.inner.check(self.life)?;
        self.inner.device.check(DiskOp::Read)?;
        self.inner.tree.list(path)
    }

    fn exists(&self, path: &str) -> bool {
        self.inner.check(self.life).is_ok() && self.inner.tree.find(path).is_ok()
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.inner.check(self.life)?;
        let dir = self.inner.tree.dir(path)?;
        let covered = self.inner.tree.mark();
        self.inner.device.sync_latency(self.life).await;
        self.inner.check(self.life)?;
        self.inner.device.check(DiskOp::Sync)?;
        self.inner.tree.commit(&dir, covered);
        Ok(())
    }

    async fn settled(&self) {
        self.inner.device.settled(self.life).await;
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.disk.check(self.life)?;
        self.disk.device.check(DiskOp::Read)?;
        self.disk.device.charge();
        Ok(self.inode.read(buf, position))
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.writable()?;
        if position.saturating_add(bytes.len() as u64) > FILE_LIMIT {
            return Err(io::Error::from_raw_os_error(EFBIG));
        }
        self.disk.device.charge();
        self.disk.device.count_write(bytes.len());
        match self.disk.device.check(DiskOp::Write) {
            Ok(()) => self.put(bytes, position),
            Err(e) => {
                // Some of it may have reached the file before the device failed.
                let mut partial = self.disk.partial.borrow_mut();
                let some = if partial.chance(500) { partial.below(bytes.len() as u64) } else { 0 };
                self.put(&bytes[..usize::try_from(some).unwrap_or(0)], position)?;
                Err(e)
            }
        }
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.check(self.life)?;
        Ok(self.inode.len() as u64)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.writable()?;
        self.disk.device.check(DiskOp::Write)?;
        self.disk.device.charge();
        if size > FILE_LIMIT {
            return Err(io::Error::from_raw_os_error(EFBIG));
        }
        let len = self.inode.len() as u64;
        let growth = size.saturating_sub(len);
        let granted = self.disk.grow(growth);
        if granted < growth {
            self.disk.free(granted);
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        self.disk.free(len.saturating_sub(size));
        self.inode.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        self.disk.check(self.life)?;
        let mark = self.inode.begin_sync();
        self.disk.device.sync_latency(self.life).await;
        self.disk.check(self.life)?;
        if let Err(e) = self.disk.device.check(DiskOp::Sync) {
            self.inode.fail_sync();
            return Err(e);
        }
        self.inode.end_sync(mark);
        Ok(())
    }
}

impl SimFile {
    fn writable(&self) -> io::Result<()> {
        self.disk.check(self.life)?;
        if self.writable { Ok(()) } else { Err(io::Error::from_raw_os_error(EBADF)) }
    }

    /// Writes, as far as there is room.
    fn put(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let end = position.saturating_add(bytes.len() as u64);
        let len = self.inode.len() as u64;
        let growth = end.saturating_sub(len);
        let granted = if growth == 0 || bytes.is_empty() { growth } else { self.disk.grow(growth) };
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        if granted == growth {
            self.inode.write(bytes, at);
            return Ok(());
        }
        // As many bytes as there is room for were written, as write(2) does before it says ENOSPC.
        let fits = usize::try_from((len + granted).saturating_sub(position)).unwrap_or(0);
        if fits == 0 {
            self.disk.free(granted);
        } else {
            self.inode.write(&bytes[..fits], at);
        }
        Err(io::Error::from_raw_os_error(ENOSPC))
    }
}
