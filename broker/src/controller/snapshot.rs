//! The cluster's metadata as one file: what all records up to an offset have made of it (KIP-630).
//!
//! As in Kafka it is a run of record batches: one that says what this is, those whose records make an empty image the
//! one that is meant, and one that says that this was all. Every bit of it is covered by a checksum or compared.

use bytes::Bytes;

use super::image::Image;
use super::record::MetadataRecord;
use crate::quorum::OffsetAndEpoch;
use crate::record::batch::place;
use crate::record::{BatchBuilder, Compression, Unpacked};

/// The version of this format.
const VERSION: i32 = 0;
/// Bytes of records in one batch, about.
const BATCH: usize = 1 << 20;

/// The first and the last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Frame {
    SnapshotHeader { version: i32, end: OffsetAndEpoch },
    SnapshotFooter { records: usize },
}

/// A snapshot that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: {0}")]
pub struct BadSnapshot(String);

fn bad(why: impl ToString) -> BadSnapshot {
    BadSnapshot(why.to_string())
}

/// The bytes of a snapshot of `image`, which is what the log makes of it up to `end`.
///
/// # Panics
/// Never: a frame is JSON.
pub fn encode(image: &Image, end: OffsetAndEpoch) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), batch: BatchBuilder::new(), next: 0, epoch: end.epoch };
    let frame = |frame| serde_json::to_vec(&frame).expect("a frame is JSON");
    writer.add(&frame(Frame::SnapshotHeader { version: VERSION, end }));
    writer.finish();
    let records = image.to_records();
    for record in &records {
        writer.add(&record.to_bytes());
    }
    writer.finish();
    writer.add(&frame(Frame::SnapshotFooter { records: records.len() }));
    writer.finish();
    writer.out
}

struct Writer {
    out: Vec<u8>,
    batch: BatchBuilder,
    next: i64,
    epoch: i32,
}

impl Writer {
    fn add(&mut self, value: &[u8]) {
        self.batch.append(0, None, Some(value), std::iter::empty::<(&[u8], Option<&[u8]>)>());
        if self.batch.size() >= BATCH {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        let count = i64::from(batch.count());
        let mut bytes = Vec::from(batch.finish(Compression::None));
        place(&mut bytes, self.next, self.epoch);
        self.next += count;
        self.out.extend_from_slice(&bytes);
    }
}

/// The end and the image that a snapshot's bytes hold.
pub fn decode(mut bytes: Bytes) -> Result<(OffsetAndEpoch, Image), BadSnapshot> {
    let mut reader = Reader::default();
    while !bytes.is_empty() {
        let batch = Unpacked::take(&mut bytes, 0).map_err(bad)?;
        let header = batch.header();
        if header.base_offset != reader.next || *reader.epoch.get_or_insert(header.leader_epoch) != header.leader_epoch
        {
            return Err(bad("a batch is out of place"));
        }
        for record in batch.records() {
            reader.take(record.map_err(bad)?.value.unwrap_or_default())?;
        }
    }
    match reader.end {
        Some(end) if reader.whole && reader.epoch == Some(end.epoch) => Ok((end, reader.image)),
        _ => Err(bad("it has no header or no footer")),
    }
}

#[derive(Default)]
struct Reader {
    next: i64,
    epoch: Option<i32>,
    end: Option<OffsetAndEpoch>,
    records: usize,
    whole: bool,
    image: Image,
}

impl Reader {
    fn take(&mut self, value: &[u8]) -> Result<(), BadSnapshot> {
        self.next += 1;
        if self.whole {
            return Err(bad("something follows its footer"));
        }
        match (self.end, serde_json::from_slice(value)) {
            (None, Ok(Frame::SnapshotHeader { version: VERSION, end })) => self.end = Some(end),
            (Some(_), Ok(Frame::SnapshotFooter { records })) if records == self.records => self.whole = true,
            (Some(_), Err(_)) => {
                self.image.apply(&MetadataRecord::from_bytes(value).map_err(bad)?);
                self.records += 1;
            }
            _ => return Err(bad("a frame is out of place")),
        }
        Ok(())
    }
}
