//! The records in a fetch's answer.

use broker::ids::Offset;
use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;

use super::record::Fetched;

/// What an answer holds.
pub struct Read {
    /// The records at or after the position asked for, up to the first damaged batch.
    pub records: Vec<Fetched>,
    /// One past the last batch read.
    pub position: Offset,
    /// Whether a damaged batch follows.
    pub damaged: bool,
}

/// The records of `batches` from `position` on. The batch that contains the position comes whole; of the last, only a
/// part may have come.
pub fn read(batches: &Bytes, position: Offset) -> Read {
    let mut left = batches.clone();
    let mut read = Read { records: Vec::new(), position, damaged: false };
    while !left.is_empty() {
        let Ok(set) = RecordBatchDecoder::decode(&mut left) else {
            read.damaged = true;
            break;
        };
        for record in set.records.into_iter().filter(|r| r.offset >= position) {
            read.position = record.offset + 1;
            read.records.push(Fetched {
                offset: record.offset,
                epoch: record.partition_leader_epoch,
                timestamp: record.timestamp,
                key: record.key,
                value: record.value,
                headers: record.headers.into_iter().map(|(k, v)| (k.into_bytes(), v)).collect(),
            });
        }
    }
    read
}
