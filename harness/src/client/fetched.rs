//! The records in a fetch's answer.

use broker::ids::Offset;
use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;

use super::record::Fetched;

/// Records, and where to read on.
pub struct Read {
    /// Those at or after the position asked for.
    pub records: Vec<Fetched>,
    /// One past the last batch.
    pub position: Offset,
}

/// A batch is damaged.
#[derive(Debug)]
pub struct Damaged;

/// The records of `batches` from `position` on. The batch that contains the position comes whole.
pub fn read(batches: &Bytes, position: Offset) -> Result<Read, Damaged> {
    let mut left = batches.clone();
    let mut read = Read { records: Vec::new(), position };
    if left.is_empty() {
        return Ok(read);
    }
    for set in RecordBatchDecoder::decode_all(&mut left).map_err(|_| Damaged)? {
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
    Ok(read)
}
