//! The metadata log on disk: an ordinary log, and the file of votes beside it.

use std::io;

use bytes::Bytes;

use super::snapshots::{self, Snapshots};
use super::{Opened, voters};
use crate::config::LogConfig;
use crate::controller::record::{METADATA_TOPIC, MetadataRecord};
use crate::env::Disk;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::checkpoint::{read_text, replace};
use crate::log::{FilePool, Log, LogError, OpenHow};
use crate::node::partition::directory;
use crate::quorum::{ElectionState, OffsetAndEpoch, Tail};
use crate::record::{BatchBuilder, Compression, Unpacked};

/// Epoch and vote, in the log's directory as Kafka has it.
const STATE: &str = "quorum-state";

/// Bytes of the log looked through at a time.
const CHUNK: usize = 4 << 20;

/// The partition that is the metadata log.
pub(in crate::node) fn metadata_partition() -> TopicPartition {
    TopicPartition::new(METADATA_TOPIC, 0)
}

/// Opens it. What was recovered is durable when this returns. A damaged file of votes is an error: whom this node voted
/// for must not be guessed.
pub(in crate::node) async fn open<D: Disk>(disk: &D, pool: &FilePool<D>, how: OpenHow) -> io::Result<Opened<D>> {
    let tp = metadata_partition();
    let dir = directory(&tp);
    let config = LogConfig { retention_ms: None, max_message_bytes: i32::MAX.cast_unsigned(), ..LogConfig::default() };
    let listed = snapshots::list(disk)?;
    let log_start = listed.start.offset;
    let opened = Log::open(pool, &dir, tp, config, OpenHow { list_tail: false, log_start, ..how });
    let (mut log, recovery) = opened.map_err(io::Error::other)?;
    if recovery.must_sync {
        sync(&mut log).await.map_err(io::Error::other)?;
    }
    let found = listed.newest(disk)?;
    if found.end.offset > 0 && !snapshots::agrees(&log, found.end) {
        snapshots::supersede(disk, &mut log, found.end, how.now).await?;
        found.snapshots.begin_at(found.end);
    }
    let (snapshots, image, applied) = (found.snapshots, found.image, found.end.offset);
    // A record that cannot be read now must not be met only when this node already answers for what it decided.
    let (mut from, end, mut later) = (log.log_start(), log.log_end(), voters::Records::new());
    while from < end {
        let seen = records(&mut log, from, end, CHUNK, |offset, record| voters::note(&mut later, offset, record));
        from = seen.map_err(io::Error::other)?.0;
    }
    // What the snapshot says of voters is older than what the log says after it.
    later.retain(|(offset, _)| *offset >= applied);
    let mut voters = voters::Records::new();
    if !image.voters().is_empty() {
        voters.push((snapshots.start().offset.saturating_sub(1), image.voters().to_vec()));
    }
    voters.append(&mut later);
    let state = match read_text(disk, &format!("{dir}/{STATE}"))? {
        Some(text) => Some(serde_json::from_str(&text).map_err(io::Error::other)?),
        None => None,
    };
    Ok(Opened { log, state, snapshots, image, applied, voters })
}

/// Makes epoch and vote durable.
pub(super) async fn persist<D: Disk>(disk: &D, state: &ElectionState) -> io::Result<()> {
    let text = serde_json::to_vec(state).map_err(io::Error::other)?;
    replace(disk, &directory(&metadata_partition()), STATE, &text).await
}

/// Flushes a log.
pub(in crate::node) async fn sync<D: Disk>(log: &mut Log<D>) -> Result<(), LogError> {
    let flush = log.begin_flush()?;
    flush.sync().await?;
    log.end_flush(flush)?;
    Ok(())
}

/// Appends records as one batch: all of them are committed, or none.
pub(super) fn append<D: Disk>(
    log: &mut Log<D>,
    records: &[MetadataRecord],
    epoch: LeaderEpoch,
    now: i64,
) -> Result<(), LogError> {
    let mut batch = BatchBuilder::new();
    for record in records {
        batch.append(now, None, Some(&record.to_bytes()), std::iter::empty::<(&[u8], Option<&[u8]>)>());
    }
    let mut bytes = Vec::from(batch.finish(Compression::None));
    log.append_leader(&mut bytes, epoch, now)?;
    Ok(())
}

/// Gives the records of whole batches from `from` on, below `upto` and of some `bytes`, to `each`. Returns the offset
/// after them, and the bytes they took. A record that is not understood is an error: what it decided must not be forgotten.
pub(in crate::node) fn records<D: Disk>(
    log: &mut Log<D>,
    from: Offset,
    upto: Offset,
    bytes: usize,
    each: impl FnMut(Offset, MetadataRecord),
) -> Result<(Offset, usize), LogError> {
    let slice = log.read(from, bytes, upto, true)?;
    let size = slice.records.len();
    each_record(slice.records, each)?;
    Ok((slice.next, size))
}

/// Gives the records of whole batches to `each`, with their offsets.
pub(super) fn each_record(mut bytes: Bytes, mut each: impl FnMut(Offset, MetadataRecord)) -> Result<(), LogError> {
    let unreadable = |error: &dyn std::fmt::Display| LogError::Io(io::Error::other(error.to_string()));
    while !bytes.is_empty() {
        let batch = Unpacked::take(&mut bytes, 0).map_err(|error| unreadable(&error))?;
        for record in batch.records() {
            let record = record.map_err(|error| unreadable(&error))?;
            let decided = MetadataRecord::from_bytes(record.value.unwrap_or_default());
            each(record.offset, decided.map_err(|error| unreadable(&error))?);
        }
    }
    Ok(())
}

/// The metadata log as the quorum sees it.
pub(super) struct View<'a, D: Disk> {
    pub(super) log: &'a Log<D>,
    pub(super) snapshots: &'a Snapshots,
}

impl<D: Disk> View<'_, D> {
    /// What lies below `offset`.
    pub(super) fn before(&self, offset: Offset) -> OffsetAndEpoch {
        let earlier = self.log.epochs().entries().iter().take_while(|(_, begins)| *begins < offset);
        let epoch = earlier.last().map_or(self.start().epoch, |(epoch, _)| *epoch);
        OffsetAndEpoch { offset, epoch: epoch.max(self.start().epoch) }
    }
}

impl<D: Disk> Tail for View<'_, D> {
    fn start(&self) -> OffsetAndEpoch {
        self.snapshots.start()
    }

    fn end(&self) -> OffsetAndEpoch {
        self.before(self.log.log_end())
    }

    fn flushed(&self) -> Offset {
        self.log.flushed()
    }

    fn end_of_epoch(&self, epoch: LeaderEpoch) -> OffsetAndEpoch {
        let end = self.end();
        if epoch >= end.epoch {
            return end;
        }
        match self.log.epochs().entries().iter().find(|(later, _)| *later > epoch) {
            Some((_, begins)) => self.before((*begins).max(self.start().offset)),
            None => self.start(),
        }
    }

    fn snapshot(&self) -> Option<OffsetAndEpoch> {
        self.snapshots.newest()
    }
}
