//! The snapshots beside the metadata log (KIP-630): written when enough was decided since the last, found at the start,
//! fetched from the leader. The log may begin where a snapshot ends.
//!
//! The last two are kept, and the log from the older one on: one that is found damaged at a start is replaced by the one
//! before it, and by the log. A file has its name only when all of it is durable.

use std::cell::{Cell, Ref, RefCell};
use std::io;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::log::View;
use crate::controller::image::Image;
use crate::controller::record::METADATA_TOPIC;
use crate::controller::snapshot::{decode, encode};
use crate::env::{Disk, Env, File, Open};
use crate::fact::Fact;
use crate::ids::Offset;
use crate::log::Log;
use crate::log::checkpoint::{self, RECOVERY_POINTS, replace};
use crate::node::Node;
use crate::node::partition::directory;
use crate::quorum::{Call, OffsetAndEpoch};

use super::log::metadata_partition;

/// Bytes of a snapshot given at a time (`KafkaRaftClient.MAX_FETCH_SIZE_BYTES`).
const MOST_BYTES: usize = 8 << 20;
/// How many are kept.
const KEPT: usize = 2;

/// A snapshot's file, as Kafka names it.
pub(super) fn path(id: OffsetAndEpoch) -> String {
    format!("{}/{}", directory(&metadata_partition()), name(id))
}

fn name(id: OffsetAndEpoch) -> String {
    format!("{:020}-{:010}.checkpoint", id.offset, id.epoch)
}

fn parse(file: &str) -> Option<OffsetAndEpoch> {
    let (offset, epoch) = file.strip_suffix(".checkpoint")?.split_once('-')?;
    let id = OffsetAndEpoch { offset: offset.parse().ok()?, epoch: epoch.parse().ok()? };
    (id.offset > 0 && id.epoch >= 0 && name(id) == file).then_some(id)
}

/// What this node has of snapshots.
#[derive(Default)]
pub(in crate::node) struct Snapshots {
    /// Those on the disk, oldest first.
    all: RefCell<Vec<OffsetAndEpoch>>,
    /// Where the log begins, and the epoch of the last record before.
    start: Cell<OffsetAndEpoch>,
    /// The image of a snapshot that has taken the log's place, until all see it.
    loaded: RefCell<Option<(OffsetAndEpoch, Image)>>,
    /// The image of a snapshot that was fetched and is not in force yet.
    pub(super) fetched: RefCell<Option<(OffsetAndEpoch, Image)>>,
    /// The fetch that may write.
    pub(super) fetching: Cell<Option<Call>>,
}

impl Snapshots {
    /// Where the log begins.
    pub(super) fn start(&self) -> OffsetAndEpoch {
        self.start.get()
    }

    /// The newest.
    pub(super) fn newest(&self) -> Option<OffsetAndEpoch> {
        self.all.borrow().last().copied()
    }

    /// Whether there is this one.
    pub(super) fn has(&self, id: OffsetAndEpoch) -> bool {
        self.all.borrow().contains(&id)
    }

    /// The image that stands for what the log no longer has, where that is news to whoever has all below `applied`.
    pub(in crate::node) fn loaded_after(&self, applied: Offset) -> Option<Ref<'_, (OffsetAndEpoch, Image)>> {
        Ref::filter_map(self.loaded.borrow(), |loaded| loaded.as_ref().filter(|(id, _)| id.offset > applied)).ok()
    }

    /// All see it.
    pub(in crate::node) fn forget_loaded(&self, applied: Offset) {
        self.loaded.borrow_mut().take_if(|(id, _)| id.offset <= applied);
    }

    /// A snapshot has taken the place of all before.
    pub(super) fn replaced_by(&self, id: OffsetAndEpoch, image: Image) {
        self.begin_at(id);
        *self.loaded.borrow_mut() = Some((id, image));
    }

    /// The log begins where the only snapshot ends.
    pub(super) fn begin_at(&self, id: OffsetAndEpoch) {
        *self.all.borrow_mut() = vec![id];
        self.start.set(id);
    }

    /// One more. Returns where the log is to begin, if it can begin later than it does.
    fn add(&self, id: OffsetAndEpoch) -> Option<OffsetAndEpoch> {
        let mut all = self.all.borrow_mut();
        all.push(id);
        all.sort_unstable();
        let gone = all.len().saturating_sub(KEPT);
        all.drain(..gone);
        all.first().copied().filter(|first| all.len() == KEPT && first.offset > self.start.get().offset)
    }
}

/// What a start finds, before the log is opened.
pub(super) struct Listed {
    /// By name, good or not, oldest first.
    all: Vec<OffsetAndEpoch>,
    /// Where the log is to begin: after the older of the two snapshots that are kept, or where a fetched one ends.
    pub(super) start: OffsetAndEpoch,
}

/// The newest snapshot that can be read.
pub(super) struct Found {
    /// What to keep account of.
    pub(super) snapshots: Snapshots,
    /// Where it ends; offset 0 if there is none, and the log has everything.
    pub(super) end: OffsetAndEpoch,
    /// The image up to there.
    pub(super) image: Image,
}

/// Lists the snapshots. What the directory of the metadata log holds says where that log begins: it may be on a disk of its
/// own, and outlive what is written down of other logs.
pub(super) fn list<D: Disk>(disk: &D) -> io::Result<Listed> {
    let dir = directory(&metadata_partition());
    if !disk.exists(&dir) {
        return Ok(Listed { all: Vec::new(), start: OffsetAndEpoch::default() });
    }
    let names = disk.list(&dir)?;
    let mut all: Vec<OffsetAndEpoch> = names.iter().filter_map(|name| parse(name)).collect();
    all.sort_unstable();
    let mut first: Option<Offset> = None;
    for name in &names {
        let base = name.strip_suffix(".log").and_then(|base| base.parse().ok());
        if let Some(base) = base
            && disk.open(&format!("{dir}/{name}"), Open::Read)?.size()? > 0
        {
            first = Some(first.map_or(base, |first| first.min(base)));
        }
    }
    let older = all.len().saturating_sub(KEPT);
    let start = match first {
        Some(0) if all.len() < KEPT => Some(OffsetAndEpoch::default()),
        Some(0) | None => all.get(older).copied().or(Some(OffsetAndEpoch::default())),
        Some(first) => all.iter().find(|id| id.offset >= first).copied(),
    };
    match start {
        Some(start) => Ok(Listed { all, start }),
        None => Err(lost(first.unwrap_or(0), "there is no snapshot of it")),
    }
}

impl Listed {
    /// The newest that can be read. Damaged ones that the log makes up for are removed. An error if it does not: what was
    /// decided before would be forgotten.
    pub(super) fn newest<D: Disk>(mut self, disk: &D) -> io::Result<Found> {
        let mut why = "there is no snapshot of it".to_owned();
        while let Some(id) = self.all.last().copied().filter(|id| id.offset >= self.start.offset) {
            match read(disk, id) {
                Ok(image) => {
                    let (start, all) = (Cell::new(self.start), RefCell::new(self.all));
                    let snapshots = Snapshots { start, all, ..Snapshots::default() };
                    return Ok(Found { snapshots, end: id, image });
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    why = format!("{}: {error}", name(id));
                    self.all.pop();
                    if self.start.offset < id.offset {
                        disk.remove(&path(id))?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if self.start.offset > 0 {
            return Err(lost(self.start.offset, &why));
        }
        Ok(Found { snapshots: Snapshots::default(), end: OffsetAndEpoch::default(), image: Image::default() })
    }
}

fn lost(log_start: Offset, why: &str) -> io::Error {
    let what = format!("{METADATA_TOPIC} begins at {log_start}, and what was decided before cannot be read: {why}");
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The image that a snapshot's file holds. `InvalidData` if it is damaged.
pub(super) fn read<D: Disk>(disk: &D, id: OffsetAndEpoch) -> io::Result<Image> {
    read_file(disk, &path(id), id)
}

/// As [`read`], from a file of another name.
pub(super) fn read_file<D: Disk>(disk: &D, path: &str, id: OffsetAndEpoch) -> io::Result<Image> {
    let file = disk.open(path, Open::Read)?;
    let mut bytes = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    match decode(Bytes::from(bytes)) {
        Ok((end, image)) if end == id => Ok(image),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is another")),
        Err(bad) => Err(io::Error::new(io::ErrorKind::InvalidData, bad.to_string())),
    }
}

/// Whether a log holds the record that a snapshot ends with, or begins right after it as one that was cut there does. If
/// not, all of it is older than the snapshot, or was never committed.
pub(super) fn agrees<D: Disk>(log: &Log<D>, id: OffsetAndEpoch) -> bool {
    // What is written down of epochs may still speak of what was before the log's start.
    let entries = log.epochs().entries();
    let same = match entries.iter().take_while(|(_, begins)| *begins < id.offset).last() {
        Some((epoch, _)) => *epoch == id.epoch,
        None => id.offset <= log.log_start() && entries.first().is_none_or(|(first, _)| *first >= id.epoch),
    };
    same && log.log_end() >= id.offset
}

impl<E: Env> Node<E> {
    /// Writes a snapshot of the image, and lets go of what the log holds of the time before the one before. Does nothing
    /// while what the image shows may not be durable here.
    pub(in crate::node) async fn take_snapshot(&self) -> io::Result<bool> {
        let (offset, snapshots) = (self.applied(), &self.raft.snapshots);
        let id = self
            .raft
            .log()
            .as_ref()
            .filter(|log| log.flushed() >= offset)
            .map(|log| View { log, snapshots }.before(offset));
        let Some(id) = id.filter(|id| id.offset > snapshots.newest().unwrap_or_default().offset) else {
            return Ok(false);
        };
        let bytes = encode(&self.image(), id);
        replace(self.env.disk(), &directory(&metadata_partition()), &name(id), &bytes).await?;
        if id.offset <= snapshots.start().offset {
            // A newer one has come from the leader meanwhile.
            return Ok(true);
        }
        let start = snapshots.add(id);
        self.tell(|| Fact::Snapshot { end: id.offset, fetched: false });
        let wall = self.env.wall();
        let trimmed = self.raft.with_log(|log| {
            // So that the next snapshot but one can let go of whole segments.
            log.roll(wall)?;
            start.map(|start| log.trim_to(start.offset)).transpose()
        })?;
        if let (Some(start), Some(_)) = (start, trimmed) {
            snapshots.start.set(start);
            clear_before(self.env.disk(), start).await?;
            // A file that cannot be removed now is garbage at the next start.
            let _ = self.raft.with_log(|log| log.sweep(start.offset));
        }
        Ok(true)
    }

    /// How long a snapshot is, and up to `most` bytes of it from `position` on.
    pub(crate) fn snapshot_piece(
        &self,
        id: OffsetAndEpoch,
        position: i64,
        most: i32,
    ) -> Result<(i64, Bytes), ResponseError> {
        if !self.raft.snapshots.has(id) {
            return Err(ResponseError::SnapshotNotFound);
        }
        let unreadable = |_| ResponseError::UnknownServerError;
        let file = self.env.disk().open(&path(id), Open::Read).map_err(unreadable)?;
        let size = file.size().map_err(unreadable)?;
        let Some(at) = u64::try_from(position).ok().filter(|at| *at < size) else {
            return Err(ResponseError::PositionOutOfRange);
        };
        let most = usize::try_from(most).unwrap_or(0).clamp(1, MOST_BYTES);
        let mut bytes = vec![0; most.min(usize::try_from(size - at).unwrap_or(usize::MAX))];
        let got = file.read_at(&mut bytes, at).map_err(unreadable)?;
        bytes.truncate(got);
        Ok((i64::try_from(size).unwrap_or(i64::MAX), Bytes::from(bytes)))
    }
}

/// Removes the snapshots that end before this one does, durably: from then on the log begins where it ends.
pub(super) async fn clear_before<D: Disk>(disk: &D, id: OffsetAndEpoch) -> io::Result<()> {
    let dir = directory(&metadata_partition());
    for name in disk.list(&dir)? {
        if parse(&name).is_some_and(|other| other.offset < id.offset) {
            disk.remove(&format!("{dir}/{name}"))?;
        }
    }
    disk.sync_dir(&dir).await
}

/// Puts a snapshot in the place of a log that is no part of it, durably: that nothing is believed of the log is written
/// down before. Only at a start.
pub(super) async fn supersede<D: Disk>(disk: &D, log: &mut Log<D>, id: OffsetAndEpoch, now: i64) -> io::Result<()> {
    let mut points = checkpoint::read(disk, RECOVERY_POINTS).unwrap_or_default();
    points.remove(&metadata_partition());
    checkpoint::write(disk, RECOVERY_POINTS, &points).await?;
    log.restart_at(id.offset, now).map_err(io::Error::other)?;
    clear_before(disk, id).await
}
