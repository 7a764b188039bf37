//! Small files of a node's data directory, replaced as a whole: `recovery-point-offset-checkpoint`,
//! `log-start-offset-checkpoint`, and the marker `.kafka_cleanshutdown`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use crate::env::{Disk, File, Open};
use crate::ids::{BrokerEpoch, Offset, TopicPartition};

/// Up to where each partition's log is durable: recovery scans from here.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// The first offset each partition keeps. Written before trimmed segments are removed, and before a client is told of
/// a trim: the start of a log then never goes back.
pub const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// The high watermark each partition was known to have: where a replica begins to show records after a restart.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// There after a clean shutdown only.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// Offsets by partition, as a checkpoint file holds them.
pub type Offsets = BTreeMap<TopicPartition, Offset>;

/// Replaces the file `name` of `dir` (empty: the disk's root) by `content`, durably and as a whole: after a crash it
/// holds the old content or the new.
pub async fn replace<D: Disk>(disk: &D, dir: &str, name: &str, content: &[u8]) -> io::Result<()> {
    let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    let temporary = format!("{path}.tmp");
    let file = disk.open(&temporary, Open::Create)?;
    file.truncate(0)?;
    file.write_at(content, 0)?;
    file.sync().await?;
    disk.rename(&temporary, &path)?;
    disk.sync_dir(dir).await
}

/// A small file's text. `None` if there is no such file; `InvalidData` if it is no text.
pub fn read_text<D: Disk>(disk: &D, path: &str) -> io::Result<Option<String>> {
    let file = match disk.open(path, Open::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    String::from_utf8(bytes).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a checkpoint file: version 0, the number of entries, one `topic partition offset` a line.
pub async fn write<D: Disk>(disk: &D, name: &str, offsets: &Offsets) -> io::Result<()> {
    let mut text = format!("0\n{}\n", offsets.len());
    for (tp, offset) in offsets {
        let _ = writeln!(text, "{} {} {offset}", tp.topic, tp.partition);
    }
    replace(disk, "", name, text.as_bytes()).await
}

/// Reads a checkpoint file; empty if there is none. `InvalidData` if it is damaged: a recovery point must not be
/// guessed, but 0 is always a safe one.
pub fn read<D: Disk>(disk: &D, name: &str) -> io::Result<Offsets> {
    let Some(text) = read_text(disk, name)? else { return Ok(Offsets::new()) };
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{name} is damaged")))
}

fn parse(text: &str) -> Option<Offsets> {
    let mut lines = text.lines();
    let (version, count) = (lines.next()?, lines.next()?);
    if version != "0" {
        return None;
    }
    let count: usize = count.parse().ok()?;
    let mut offsets = Offsets::new();
    for line in lines {
        let mut words = line.split(' ');
        let (topic, partition, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        if words.next().is_some() || offset < 0 {
            return None;
        }
        offsets.insert(TopicPartition::new(topic, partition), offset);
    }
    (offsets.len() == count).then_some(offsets)
}

/// What the marker says.
#[derive(serde::Serialize, serde::Deserialize)]
struct Clean {
    version: i32,
    #[serde(rename = "brokerEpoch", default = "unknown")]
    broker_epoch: BrokerEpoch,
}

fn unknown() -> BrokerEpoch {
    -1
}

/// States a clean shutdown: every log is closed, flushed, and its recovery point written down. `broker_epoch` is the
/// registration's that ends with it (KIP-966).
pub async fn mark_clean<D: Disk>(disk: &D, broker_epoch: BrokerEpoch) -> io::Result<()> {
    let text = serde_json::to_vec(&Clean { version: 0, broker_epoch }).map_err(io::Error::other)?;
    replace(disk, "", CLEAN_SHUTDOWN, &text).await
}

/// If the last shutdown was clean, the broker epoch of then; -1 if that is not known. The marker is durably gone when this returns, so that a crash from now on is
/// seen as one.
pub async fn take_clean<D: Disk>(disk: &D) -> io::Result<Option<BrokerEpoch>> {
    if !disk.exists(CLEAN_SHUTDOWN) {
        return Ok(None);
    }
    // That it is there says enough; what it says is only good to know.
    let text = read_text(disk, CLEAN_SHUTDOWN).ok().flatten().unwrap_or_default();
    disk.remove(CLEAN_SHUTDOWN)?;
    disk.sync_dir("").await?;
    Ok(Some(serde_json::from_str(&text).map_or(-1, |clean: Clean| clean.broker_epoch)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::real::RealDisk;

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_written_is_read_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path().to_owned()).unwrap();
        assert_eq!(read(&disk, RECOVERY_POINTS).unwrap(), Offsets::new());
        let offsets = Offsets::from([(TopicPartition::new("a", 0), 7), (TopicPartition::new("b.c", 12), 1 << 50)]);
        write(&disk, RECOVERY_POINTS, &offsets).await.unwrap();
        assert_eq!(read(&disk, RECOVERY_POINTS).unwrap(), offsets);
        let file = disk.open(RECOVERY_POINTS, Open::Write).unwrap();
        file.truncate(file.size().unwrap() - 25).unwrap();
        assert_eq!(read(&disk, RECOVERY_POINTS).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_marker_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path().to_owned()).unwrap();
        assert_eq!(take_clean(&disk).await.unwrap(), None);
        mark_clean(&disk, 7).await.unwrap();
        assert_eq!(take_clean(&disk).await.unwrap(), Some(7));
        assert_eq!(take_clean(&disk).await.unwrap(), None);
    }
}
