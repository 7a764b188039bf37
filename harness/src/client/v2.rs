//! Record batches through the `kafka-protocol` crate's codec, uncompressed.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
pub use kafka_protocol::records::Compression;
use kafka_protocol::records::{Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

/// Collects the records of a batch.
#[derive(Default)]
pub struct BatchBuilder(Vec<Record>);

impl BatchBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record.
    pub fn append<'a>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) {
        let at = i32::try_from(self.0.len()).expect("bounded by the batch's bytes");
        let bytes = |b: &[u8]| Bytes::copy_from_slice(b);
        self.0.push(Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: at.into(),
            sequence: at - 1,
            timestamp,
            key: key.map(bytes),
            value: value.map(bytes),
            headers: headers.map(|(k, v)| (StrBytes::from_utf8(bytes(k)).unwrap_or_default(), v.map(bytes))).collect(),
        });
    }

    /// The batch.
    pub fn finish(self, compression: Compression) -> Bytes {
        let mut out = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression };
        RecordBatchEncoder::encode(&mut out, &self.0, &options).expect("nothing in it is out of range");
        out.freeze()
    }
}
