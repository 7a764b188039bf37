//! What compaction makes of a batch: the batch with some of its records, or with none at all.
//!
//! Offsets never change: base offset and last offset delta stay, and what is gone leaves a hole between the offsets of
//! those that stay, as in Kafka (`MemoryRecords.filterTo`).

use bytes::Bytes;

use super::batch::{DELETE_HORIZON, HEADER_SIZE, TRANSACTIONAL, renew_crc};
use super::{Batch, BatchError, Compression, Header, Unpacked, compress, varint};
use crate::ids::{LeaderEpoch, Offset, Timestamp};

/// Records of one batch are inflated to this many bytes at most; nobody is made to keep more in memory.
pub const INFLATE_LIMIT: usize = 64 << 20;

/// The batch, if all of its records can be read; `None` if nobody can read them. The error is a wrong CRC.
pub fn readable(batch: &Batch<'_>) -> Result<Option<Unpacked>, BatchError> {
    let unpacked = match Unpacked::take(&mut Bytes::copy_from_slice(batch.bytes()), INFLATE_LIMIT) {
        Err(error @ BatchError::Crc { .. }) => return Err(error),
        unpacked => unpacked.ok(),
    };
    Ok(unpacked.filter(|unpacked| unpacked.records().all(|record| record.is_ok())))
}

/// Checks that each record of a client's batch has a key, without which a compacted topic cannot keep the latest of it
/// (`LogValidator.validateKey`), and that the batch does not say by itself until when tombstones stay.
pub fn check_keyed(batch: &Batch<'_>) -> Result<(), BatchError> {
    if batch.header().delete_horizon().is_some() {
        return Err(BatchError::Record("a producer does not say until when tombstones stay"));
    }
    let unpacked = Unpacked::take(&mut Bytes::copy_from_slice(batch.bytes()), INFLATE_LIMIT)?;
    unpacked.records().try_for_each(|record| match record?.key {
        Some(_) => Ok(()),
        None => Err(BatchError::Keyless),
    })
}

/// The batch with those of its records that `kept` says, in its own codec. With `horizon` it says from then on until
/// when its tombstones stay.
pub fn with_some(batch: &Unpacked, kept: &[bool], horizon: Option<Timestamp>) -> Result<Bytes, BatchError> {
    let header = batch.header();
    let base_timestamp = horizon.unwrap_or(header.base_timestamp);
    let shift = header.base_timestamp.wrapping_sub(base_timestamp);
    let mut rest: &[u8] = batch.bytes();
    let (mut out, mut count, mut newest) = (vec![0; HEADER_SIZE], 0, Timestamp::MIN);
    for (record, &keep) in batch.records().zip(kept) {
        let record = record?;
        let (attributes, delta, tail) = split(&mut rest).ok_or(BatchError::Record("its length"))?;
        if keep {
            count += 1;
            newest = newest.max(record.timestamp);
            put(&mut out, attributes, delta.wrapping_add(shift), tail);
        }
    }
    let codec = header.compression()?;
    if codec != Compression::None {
        let mut packed = vec![0; HEADER_SIZE];
        compress(codec, &out[HEADER_SIZE..], &mut packed).map_err(|_| BatchError::Compressed)?;
        out = packed;
    }
    let made = Header {
        size: out.len(),
        attributes: header.attributes | if horizon.is_some() { DELETE_HORIZON } else { 0 },
        base_timestamp,
        max_timestamp: if header.is_log_append_time() { header.max_timestamp } else { newest },
        count,
        ..*header
    };
    seal(&mut out, &made);
    Ok(out.into())
}

/// A batch without records that covers the offsets from `base` to `last`. Of a producer's batch it keeps whose it was
/// and its sequence numbers; it has no timestamp.
pub fn without_records(base: Offset, last: Offset, epoch: LeaderEpoch, of: Option<&Header>) -> Bytes {
    let mut out = vec![0; HEADER_SIZE];
    let (id, producer_epoch, sequence) =
        of.map_or((-1, -1, -1), |of| (of.producer_id, of.producer_epoch, of.base_sequence));
    let header = Header {
        base_offset: base,
        size: HEADER_SIZE,
        leader_epoch: epoch,
        crc: 0,
        attributes: of.map_or(0, |of| of.attributes & TRANSACTIONAL),
        last_offset_delta: i32::try_from(last - base).unwrap_or(i32::MAX),
        base_timestamp: -1,
        max_timestamp: -1,
        producer_id: id,
        producer_epoch,
        base_sequence: sequence,
        count: 0,
    };
    seal(&mut out, &header);
    out.into()
}

/// Takes one record off the front of `rest`: its attributes, its timestamp delta, and all after that.
fn split<'a>(rest: &mut &'a [u8]) -> Option<(u8, i64, &'a [u8])> {
    let size = usize::try_from(varint::take_i32(rest)?).ok()?;
    let (body, after) = rest.split_at_checked(size)?;
    *rest = after;
    let (&attributes, mut tail) = body.split_first()?;
    let delta = varint::take(&mut tail)?;
    Some((attributes, delta, tail))
}

fn put(out: &mut Vec<u8>, attributes: u8, delta: i64, tail: &[u8]) {
    varint::put(out, i64::try_from(1 + varint::size(delta) + tail.len()).unwrap_or(i64::MAX));
    out.push(attributes);
    varint::put(out, delta);
    out.extend_from_slice(tail);
}

/// Writes the header of the one batch in `out`, with its CRC.
fn seal(out: &mut [u8], header: &Header) {
    header.write(out);
    renew_crc(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Record};

    const NONE: [(&str, Option<&str>); 0] = [];

    fn batch(codec: Compression) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder.producer(7, 1, 40);
        builder.append(1000, Some(b"a"), Some(b"one"), [("h", Some("x")), ("h", None)]);
        builder.append(500, Some(b"b"), None, NONE);
        builder.append(1_000_000, Some(b"c"), Some(&[9; 300]), NONE);
        let mut bytes = builder.finish(codec).to_vec();
        crate::record::batch::place(&mut bytes, 70, 3);
        bytes.into()
    }

    fn read(bytes: &Bytes) -> Unpacked {
        Unpacked::take(&mut bytes.clone(), INFLATE_LIMIT).unwrap()
    }

    #[test]
    fn what_is_kept_stays_as_it_was_in_every_codec() {
        for &codec in Compression::ALL {
            for horizon in [None, Some(5_000_000_000)] {
                let (before, flags) = (read(&batch(codec)), [true, true, false]);
                let after = read(&with_some(&before, &flags, horizon).unwrap());
                let header = after.header();
                assert_eq!((header.base_offset, header.last_offset(), header.count), (70, 72, 2));
                assert_eq!((header.max_timestamp, header.leader_epoch, header.base_sequence), (1000, 3, 40));
                assert_eq!((header.compression().unwrap(), header.delete_horizon()), (codec, horizon));
                let records = |of: &Unpacked| of.records().map(|r| format!("{:?}", Plain::of(r.unwrap()))).collect();
                let (old, new): (Vec<String>, Vec<String>) = (records(&before), records(&after));
                assert_eq!(old[..2], new, "{codec:?}");
            }
        }
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "compared as text")]
    struct Plain(Offset, Timestamp, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

    impl Plain {
        fn of(r: Record<'_>) -> Self {
            let headers = r.headers.map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec))).collect();
            Self(r.offset, r.timestamp, r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec), headers)
        }
    }

    #[test]
    fn a_batch_without_records_covers_its_offsets() {
        let before = read(&batch(Compression::None));
        let after = read(&without_records(70, 72, 3, Some(before.header())));
        assert_eq!((after.header().base_offset, after.header().next_offset(), after.header().count), (70, 73, 0));
        assert_eq!((after.header().producer_id, after.header().base_sequence), (7, 40));
        assert_eq!(after.records().count(), 0);
        let filler = read(&without_records(10, 5000, 2, None));
        assert_eq!((filler.header().producer_id, filler.header().last_offset()), (-1, 5000));
    }

    #[test]
    fn a_record_without_a_key_is_seen() {
        let keyed = batch(Compression::Lz4);
        assert_eq!(check_keyed(&Batch::split(&keyed).unwrap().0), Ok(()));
        let mut builder = BatchBuilder::new();
        builder.append(0, Some(b"a"), None, NONE);
        builder.append(0, None, Some(b"v"), NONE);
        let mixed = builder.finish(Compression::Zstd);
        assert_eq!(check_keyed(&Batch::split(&mixed).unwrap().0), Err(BatchError::Keyless));
        let dated = with_some(&read(&keyed), &[true; 3], Some(1)).unwrap();
        assert!(check_keyed(&Batch::split(&dated).unwrap().0).is_err());
    }

    #[test]
    fn what_nobody_can_read_is_not_taken_apart() {
        let good = batch(Compression::None);
        let mut bad = good.to_vec();
        bad[60] = 9;
        assert!(matches!(readable(&Batch::split(&bad).unwrap().0), Err(BatchError::Crc { .. })));
        renew_crc(&mut bad);
        assert!(readable(&Batch::split(&bad).unwrap().0).unwrap().is_none(), "nine records are not there");
        assert!(readable(&Batch::split(&good).unwrap().0).unwrap().is_some());
    }
}
