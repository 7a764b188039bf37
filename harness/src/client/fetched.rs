//! The records in a fetch's answer, borrowed from it without a copy.

use broker::ids::{LeaderEpoch, Offset};
use broker::record::{BatchError, Record, Unpacked};
use bytes::Bytes;

use super::record::Fetched;

/// A batch may inflate to so many bytes; a larger one counts as damaged.
const MAX_INFLATED: usize = 256 << 20;

/// What an answer holds.
pub struct Read {
    /// The records at or after the position asked for, up to the first damaged batch.
    pub records: Vec<Fetched>,
    /// One past the last batch read.
    pub position: Offset,
    /// The leader epoch of the last batch read.
    pub epoch: Option<LeaderEpoch>,
    /// Whether a damaged batch follows.
    pub damaged: bool,
}

/// The records of `batches` from `position` on. The batch that contains the position comes whole; the last may be cut
/// short, which is no damage unless it is the first too.
pub fn read(batches: &Bytes, position: Offset) -> Read {
    let mut left = batches.clone();
    let mut read = Read { records: Vec::new(), position, epoch: None, damaged: false };
    let mut first = true;
    while !left.is_empty() && !read.damaged {
        match Unpacked::take(&mut left, MAX_INFLATED) {
            Ok(batch) => read.damaged = !read.take(&batch),
            Err(BatchError::Truncated { .. }) if !first => break,
            Err(_) => read.damaged = true,
        }
        first = false;
    }
    read
}

impl Read {
    /// Takes the records of one batch. False if one of them is malformed: then none is taken.
    fn take(&mut self, batch: &Unpacked) -> bool {
        let (header, before) = (batch.header(), self.records.len());
        if !header.is_control() {
            for record in batch.records() {
                let Ok(record) = record else {
                    self.records.truncate(before);
                    return false;
                };
                if record.offset >= self.position {
                    self.records.push(owned(batch.bytes(), &record, header.leader_epoch));
                }
            }
        }
        self.position = self.position.max(header.next_offset());
        self.epoch = Some(header.leader_epoch);
        true
    }
}

fn owned(bytes: &Bytes, record: &Record<'_>, epoch: i32) -> Fetched {
    let own = |part: &[u8]| bytes.slice_ref(part);
    Fetched {
        offset: record.offset,
        epoch,
        timestamp: record.timestamp,
        key: record.key.map(own),
        value: record.value.map(own),
        headers: record.headers.map(|(key, value)| (own(key), value.map(own))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use broker::record::{BatchBuilder, Compression};
    use bytes::BytesMut;

    use super::*;

    fn batch(base: i64, values: &[&[u8]], compression: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for value in values {
            builder.append(7, None, Some(value), [(&b"h"[..], None::<&[u8]>), (&b"h"[..], Some(value))]);
        }
        let mut bytes = BytesMut::from(builder.finish(compression));
        broker::record::batch::place(&mut bytes, base, 3);
        bytes.to_vec()
    }

    fn offsets(read: &Read) -> Vec<i64> {
        read.records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn every_codec_reads_back_with_headers_of_the_same_name() {
        for codec in Compression::ALL {
            let read = read(&batch(10, &[b"a", b"b"], *codec).into(), 11);
            assert_eq!((offsets(&read), read.position, read.damaged), (vec![11], 12, false), "{codec:?}");
            let record = &read.records[0];
            assert_eq!((record.epoch, record.timestamp, record.value.as_deref()), (3, 7, Some(&b"b"[..])));
            assert_eq!(record.headers, [(Bytes::from("h"), None), (Bytes::from("h"), Some(Bytes::from("b")))]);
        }
    }

    #[test]
    fn a_cut_tail_is_left_for_the_next_fetch() {
        let mut bytes = batch(0, &[b"a"], Compression::None);
        let whole = bytes.len();
        bytes.extend(batch(1, &[b"b"], Compression::None));
        for cut in whole + 1..bytes.len() {
            let read = read(&Bytes::copy_from_slice(&bytes[..cut]), 0);
            assert_eq!((offsets(&read), read.position, read.damaged), (vec![0], 1, false));
        }
        for cut in 1..whole {
            assert!(read(&Bytes::copy_from_slice(&bytes[..cut]), 0).damaged);
        }
    }

    #[test]
    fn no_flipped_bit_is_ever_handed_out() {
        let good = batch(0, &[b"hello", b"world"], Compression::None);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = read(&bytes.into(), 0);
            // Base offset and leader epoch lie outside the CRC: the broker sets them in place.
            if !matches!(bit / 8, 0..8 | 12..16) {
                assert!(read.damaged && read.records.is_empty(), "bit {bit}");
            }
        }
    }
}
