//! Reads the records of a batch, as a consumer does: borrowed from the batch, or from what it inflated to.

use bytes::Bytes;

use super::{Batch, BatchError, Compression, Header, inflate, varint};
use crate::ids::{Offset, Timestamp};

/// One record, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: Offset,
    /// Its timestamp; the broker's for a batch with LogAppendTime.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, not yet looked at.
    pub headers: Headers<'a>,
}

/// A batch whose records can be read: compressed ones inflated, others as they lie.
#[derive(Clone, Debug)]
pub struct Unpacked {
    header: Header,
    records: Bytes,
}

impl Unpacked {
    /// Takes the batch off the front of `bytes`, checks its CRC and inflates it, to `limit` bytes at most. Without
    /// compression nothing is copied.
    pub fn take(bytes: &mut Bytes, limit: usize) -> Result<Self, BatchError> {
        let (batch, _) = Batch::split(bytes)?;
        batch.check_crc()?;
        let header = *batch.header();
        let records = match header.compression()? {
            Compression::None => bytes.slice_ref(batch.payload()),
            codec => {
                let mut out = Vec::new();
                inflate(codec, batch.payload(), limit, &mut out)?;
                Bytes::from(out)
            }
        };
        let _ = bytes.split_to(header.size);
        Ok(Self { header, records })
    }

    /// The batch's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the records are borrowed from: `bytes().slice_ref(value)` makes one live on without a copy.
    pub fn bytes(&self) -> &Bytes {
        &self.records
    }

    /// Its records in order.
    pub fn records(&self) -> Records<'_> {
        Records { header: self.header, left: self.header.count, rest: &self.records }
    }
}

/// The records of one batch in order. Ends after the first error; bytes after the last record are an error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: Header,
    left: i32,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    fn next_record(&mut self) -> Result<Record<'a>, BatchError> {
        let size = varint::take_i32(&mut self.rest).ok_or(BatchError::Record("its length"))?;
        let size = usize::try_from(size).map_err(|_| BatchError::Record("a negative length"))?;
        let (mut body, rest) = self.rest.split_at_checked(size).ok_or(BatchError::Record("longer than its batch"))?;
        self.rest = rest;
        let (_attributes, after) = body.split_first().ok_or(BatchError::Record("empty"))?;
        body = after;
        let timestamp_delta = varint::take(&mut body).ok_or(BatchError::Record("its timestamp"))?;
        let offset_delta = varint::take_i32(&mut body).ok_or(BatchError::Record("its offset"))?;
        if !(0..=self.header.last_offset_delta).contains(&offset_delta) {
            return Err(BatchError::Record("an offset outside its batch"));
        }
        let timestamp = if self.header.is_log_append_time() {
            self.header.max_timestamp
        } else {
            self.header.base_timestamp.wrapping_add(timestamp_delta)
        };
        let key = take_blob(&mut body).ok_or(BatchError::Record("its key"))?;
        let value = take_blob(&mut body).ok_or(BatchError::Record("its value"))?;
        let count = varint::take_i32(&mut body).ok_or(BatchError::Record("its headers"))?;
        let count = usize::try_from(count).map_err(|_| BatchError::Record("a negative header count"))?;
        let headers = Headers { left: count, rest: body };
        headers.check()?;
        Ok(Record { offset: self.header.base_offset + i64::from(offset_delta), timestamp, key, value, headers })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            let rest = std::mem::take(&mut self.rest);
            return (!rest.is_empty()).then_some(Err(BatchError::Record("bytes after the last one")));
        }
        self.left -= 1;
        let record = self.next_record();
        if record.is_err() {
            self.left = 0;
            self.rest = &[];
        }
        Some(record)
    }
}

/// A record's headers in order: key and value. Duplicate keys are legal and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    left: usize,
    rest: &'a [u8],
}

impl Headers<'_> {
    /// Walks them once, so that reading them later cannot fail.
    fn check(mut self) -> Result<(), BatchError> {
        if self.left > self.rest.len() / 2 {
            return Err(BatchError::Record("more headers than bytes"));
        }
        let count = self.left;
        let well_formed = self.by_ref().count() == count;
        if well_formed && self.rest.is_empty() { Ok(()) } else { Err(BatchError::Record("a header")) }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = take_blob(&mut self.rest)??;
        let value = take_blob(&mut self.rest)?;
        Some((key, value))
    }
}

/// A length and that many bytes; length -1 is null. `None` if malformed.
fn take_blob<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let size = varint::take_i32(bytes)?;
    if size == -1 {
        return Some(None);
    }
    let (blob, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
    *bytes = rest;
    Some(Some(blob))
}
