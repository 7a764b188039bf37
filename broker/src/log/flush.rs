//! Making appends durable: what to sync is collected synchronously, awaited without the log being borrowed, and then
//! accounted for, so that many appends share one fsync.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;

use super::files::Kind;
use super::{Log, LogError, checkpoint, compact, epochs, snapshots};
use crate::env::{Disk, File, Open};
use crate::ids::Offset;
use crate::planted::{Defect, planted};

/// There after a failed fsync. The kernel then marks pages clean that never reached the device, and a later fsync
/// "succeeds" without writing them. It need not survive a power loss, which drops those pages anyhow.
pub(super) const FSYNC_FAILED: &str = "fsync-failed";

/// A flush under way. Dropping it unfinished loses nothing but the effort: only [`Log::end_flush`] believes it.
#[must_use = "nothing is durable before it was synced and ended"]
pub struct Flush<D: Disk> {
    disk: D,
    dir: String,
    parent: Option<String>,
    names: bool,
    epochs: Option<String>,
    /// The segment that is written to.
    active: Option<Rc<D::File>>,
    /// Paths of others, opened one by one: there may be many of them.
    others: Vec<String>,
    /// Those of the others that were not there any more.
    gone: RefCell<Vec<String>>,
    upto: Offset,
    changes: u64,
    cuts: u64,
    offline: Rc<Cell<bool>>,
}

impl<D: Disk> Flush<D> {
    /// One past the last offset it makes durable.
    pub fn upto(&self) -> Offset {
        self.upto
    }

    /// Whether there is nothing to sync.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && self.others.is_empty() && !self.names && self.parent.is_none() && self.epochs.is_none()
    }

    /// Waits for the device. An error takes the log off line for good, and is never followed by a second try: the node
    /// has to halt and recover.
    pub async fn sync(&self) -> Result<(), LogError> {
        if self.offline.get() {
            return Err(LogError::Offline);
        }
        let done = self.sync_all().await;
        if done.is_err() {
            self.offline.set(true);
            // If even this fails, the device takes nothing any more and recovery cannot trust it either way.
            let _ = self.disk.open(&format!("{}/{FSYNC_FAILED}", self.dir), Open::Create);
        }
        Ok(done?)
    }

    async fn sync_all(&self) -> io::Result<()> {
        if let Some(text) = &self.epochs {
            once(|| checkpoint::replace(&self.disk, &self.dir, epochs::FILE, text.as_bytes())).await?;
        }
        for path in &self.others {
            match self.disk.open(path, Open::Write) {
                Ok(file) => once(|| file.sync()).await?,
                // Trimmed or cut off meanwhile, or else the log will say so when it is told.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.gone.borrow_mut().push(path.clone()),
                Err(error) => return Err(error),
            }
        }
        if let Some(file) = &self.active {
            once(|| file.sync()).await?;
        }
        if self.names {
            once(|| self.disk.sync_dir(&self.dir)).await?;
        }
        if let Some(parent) = &self.parent {
            once(|| self.disk.sync_dir(parent)).await?;
        }
        Ok(())
    }
}

async fn once<F: Future<Output = io::Result<()>>>(sync: impl Fn() -> F) -> io::Result<()> {
    let first = sync().await;
    if planted(Defect::SpExtraSync) && first.is_ok() {
        return sync().await;
    }
    if first.is_err() && planted(Defect::StFsyncErrorRetry) {
        return sync().await;
    }
    first
}

impl<D: Disk> Log<D> {
    /// Collects what has to be synced for everything appended so far to be durable: data, directory entries of new
    /// segments, the indexes of closed ones, the leader-epoch file, the producers' snapshots.
    pub fn begin_flush(&self) -> Result<Flush<D>, LogError> {
        self.collect(false)
    }

    pub(super) fn collect(&self, closing: bool) -> Result<Flush<D>, LogError> {
        self.check_online()?;
        let (mut open, mut others) = (None, Vec::new());
        let active = self.segments.len() - 1;
        for (at, segment) in self.segments.iter().enumerate().rev() {
            if segment.changed > segment.synced {
                let kinds = if at < active || closing { &Kind::ALL[..] } else { &[] };
                if at == active && !closing {
                    open = Some(segment.file(&self.dir, Kind::Log)?);
                }
                others.extend(kinds.iter().map(|kind| self.dir.join(&kind.name(segment.base))));
            }
        }
        // Until the log's start is written down, a recovery begins with these, and would end with them were they torn.
        for segment in self.trimmed.iter().filter(|segment| segment.changed > segment.synced) {
            others.extend(Kind::ALL.iter().map(|kind| self.dir.join(&kind.name(segment.base))));
        }
        let snapshots = self.snapshots.iter().filter(|snapshot| !snapshot.synced);
        others.extend(snapshots.map(|snapshot| self.dir.join(&snapshots::name(snapshot.offset))));
        Ok(Flush {
            disk: self.dir.disk().clone(),
            dir: self.dir.path.clone(),
            parent: self.born.then(|| self.dir.parent().to_owned()),
            names: self.names_changed > self.names_synced,
            epochs: (self.epochs_changed > self.epochs_synced).then(|| self.epochs.encode()),
            active: open,
            others,
            gone: RefCell::default(),
            upto: self.log_end(),
            changes: self.changes,
            cuts: self.cuts,
            offline: self.offline.clone(),
        })
    }

    /// Accounts for a flush whose [`Flush::sync`] returned success. Returns whether [`Log::flushed`] moved.
    pub fn end_flush(&mut self, flush: Flush<D>) -> Result<bool, LogError> {
        self.check_online()?;
        self.check_there(&flush.gone.borrow())?;
        for segment in &mut self.segments {
            segment.synced = segment.synced.max(flush.changes);
        }
        for segment in &mut self.trimmed {
            segment.synced = segment.synced.max(flush.changes);
        }
        for snapshot in &mut self.snapshots {
            snapshot.synced |= snapshot.changed <= flush.changes;
        }
        self.names_synced = self.names_synced.max(if flush.names { flush.changes } else { 0 });
        self.epochs_synced = self.epochs_synced.max(if flush.epochs.is_some() { flush.changes } else { 0 });
        self.born &= flush.parent.is_none();
        // Their indexes fit and are durable now. Not synced: one that comes back costs that once more.
        for (base, _) in self.exchanged.extract_if(.., |(_, changed)| *changed <= flush.changes) {
            self.dir.remove_if_there(&compact::marker(base))?;
        }
        if std::mem::take(&mut self.failed_before) {
            // Not synced: if a power loss brings it back, the tail is rewritten once more.
            self.dir.remove_if_there(FSYNC_FAILED)?;
        }
        // What was cut off since and appended anew is not what was synced.
        let moved = flush.cuts == self.cuts && flush.upto > self.flushed;
        if moved {
            self.flushed = flush.upto;
        }
        Ok(moved)
    }

    /// Whether none of the files that a flush has missed is a segment's that is still kept.
    fn check_there(&self, gone: &[String]) -> io::Result<()> {
        let kept = |path: &&String| self.segments.iter().any(|of| self.dir.join(&Kind::Log.name(of.base)) == **path);
        match gone.iter().find(kept) {
            Some(path) => Err(io::Error::new(io::ErrorKind::NotFound, format!("{path} is gone, and was not synced"))),
            None => Ok(()),
        }
    }
}
