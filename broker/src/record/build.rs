//! Builds batches, as a producer does.

use bytes::{Bytes, BytesMut};

use super::batch::{HEADER_SIZE, renew_crc};
use super::{Compression, compress, varint};
use crate::ids::Timestamp;

/// Collects records into one batch. Buffers are reused by [`BatchBuilder::finish_into`].
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// A header's worth of room, then the records.
    buffer: Vec<u8>,
    count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    producer: (i64, i16, i32),
    transactional: bool,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self {
            buffer: vec![0; HEADER_SIZE],
            count: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            producer: (-1, -1, -1),
            transactional: false,
        }
    }
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks it as an idempotent producer's: id, epoch, and sequence number of the first record (KIP-98).
    pub fn producer(&mut self, id: i64, epoch: i16, sequence: i32) {
        self.producer = (id, epoch, sequence);
    }

    /// Marks it as part of a transaction.
    pub fn transactional(&mut self, yes: bool) {
        self.transactional = yes;
    }

    /// Records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, uncompressed, header included.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a record.
    ///
    /// # Panics
    /// When a batch would hold 2^31 records; its bytes run out of `batch.size` long before.
    pub fn append<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (K, Option<V>), IntoIter: Clone>,
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        // A delta that overflows wraps, and wraps back in the reader, as in Java.
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = i64::from(self.count);
        let headers = headers.into_iter();
        let (header_count, header_bytes) = headers.clone().fold((0usize, 0usize), |(count, bytes), (key, value)| {
            (count + 1, bytes + blob_size(Some(key.as_ref())) + blob_size(value.as_ref().map(AsRef::as_ref)))
        });
        let size = 1
            + varint::size(timestamp_delta)
            + varint::size(offset_delta)
            + blob_size(key)
            + blob_size(value)
            + varint::size(length(header_count))
            + header_bytes;
        let out = &mut self.buffer;
        out.reserve(size + 5);
        varint::put(out, length(size));
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, offset_delta);
        put_blob(out, key);
        put_blob(out, value);
        varint::put(out, length(header_count));
        for (key, value) in headers {
            put_blob(out, Some(key.as_ref()));
            put_blob(out, value.as_ref().map(AsRef::as_ref));
        }
        self.count = self.count.checked_add(1).expect("a batch holds fewer than 2^31 records");
    }

    /// The batch, with base offset 0 and leader epoch -1. Without compression nothing is copied.
    ///
    /// # Panics
    /// When it is 2 GiB or larger.
    pub fn finish(mut self, compression: Compression) -> Bytes {
        self.pack(compression);
        Bytes::from(self.buffer)
    }

    /// Appends the batch to `out` and begins a new one of the same producer fields, keeping the buffer.
    pub fn finish_into(&mut self, compression: Compression, out: &mut BytesMut) {
        self.pack(compression);
        out.extend_from_slice(&self.buffer);
        self.buffer.truncate(HEADER_SIZE);
        self.count = 0;
    }

    fn pack(&mut self, compression: Compression) {
        if compression != Compression::None {
            let mut packed = Vec::with_capacity(HEADER_SIZE + self.buffer.len() / 2);
            packed.resize(HEADER_SIZE, 0);
            compress(compression, &self.buffer[HEADER_SIZE..], &mut packed).expect("writing to memory cannot fail");
            self.buffer = packed;
        }
        let counted = i32::try_from(self.buffer.len() - 12).expect("a batch is smaller than 2 GiB");
        let attributes = i16::from(compression.id()) | (i16::from(self.transactional) << 4);
        let (producer_id, producer_epoch, sequence) = self.producer;
        let h = &mut self.buffer[..HEADER_SIZE];
        h[0..8].copy_from_slice(&0i64.to_be_bytes());
        h[8..12].copy_from_slice(&counted.to_be_bytes());
        h[12..16].copy_from_slice(&(-1i32).to_be_bytes());
        h[16] = 2;
        h[21..23].copy_from_slice(&attributes.to_be_bytes());
        h[23..27].copy_from_slice(&(self.count - 1).to_be_bytes());
        h[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        h[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        h[43..51].copy_from_slice(&producer_id.to_be_bytes());
        h[51..53].copy_from_slice(&producer_epoch.to_be_bytes());
        h[53..57].copy_from_slice(&sequence.to_be_bytes());
        h[57..61].copy_from_slice(&self.count.to_be_bytes());
        renew_crc(&mut self.buffer);
    }
}

fn length(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn blob_size(blob: Option<&[u8]>) -> usize {
    blob.map_or(1, |bytes| varint::size(length(bytes.len())) + bytes.len())
}

fn put_blob(out: &mut Vec<u8>, blob: Option<&[u8]>) {
    match blob {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, length(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}
