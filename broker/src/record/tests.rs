//! Round trips, hostile bytes, and the protocol crate as an oracle.

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::records::RecordBatchDecoder;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::batch::{HEADER_SIZE, place, renew_crc, stamp};
use super::*;

type Blob = Option<Vec<u8>>;
type Row = (i64, Blob, Blob, Vec<(String, Blob)>);

const LIMIT: usize = 1 << 20;

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let blob = || option::of(vec(any::<u8>(), 0..60));
    vec((0i64..1 << 45, blob(), blob(), vec(("[a-z]{0,6}", blob()), 0..3)), 1..20)
}

fn codecs() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL)
}

fn build(rows: &[Row], codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (timestamp, key, value, headers) in rows {
        builder.append(*timestamp, key.as_deref(), value.as_deref(), headers.iter().map(|(k, v)| (k, v.as_ref())));
    }
    builder.finish(codec)
}

fn owned(record: &Record<'_>) -> Row {
    let headers = record.headers.map(|(k, v)| (String::from_utf8_lossy(k).into_owned(), v.map(<[u8]>::to_vec)));
    (record.timestamp, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), headers.collect())
}

fn read(bytes: &Bytes) -> Result<Vec<Row>, BatchError> {
    let unpacked = Unpacked::take(&mut bytes.clone(), LIMIT)?;
    unpacked.records().map(|record| Ok(owned(&record?))).collect()
}

fn one(codec: Compression, value: &[u8]) -> Vec<u8> {
    build(&[(1, None, Some(value.to_vec()), Vec::new())], codec).to_vec()
}

proptest! {
    #[test]
    fn what_is_built_is_read(rows in rows(), codec in codecs()) {
        let bytes = build(&rows, codec);
        let (batch, rest) = Batch::split(&bytes).unwrap();
        prop_assert!(rest.is_empty());
        batch.check_crc().unwrap();
        batch.header().check_from_client(u32::MAX).unwrap();
        prop_assert_eq!(batch.header().max_timestamp, rows.iter().map(|row| row.0).max().unwrap());
        prop_assert_eq!(read(&bytes).unwrap(), rows);
    }

    #[test]
    fn the_protocol_crate_reads_the_same(mut rows in rows(), base in 0i64..1 << 50) {
        for row in &mut rows {
            // It keeps one header of each key only.
            row.3.dedup_by(|a, b| a.0 == b.0);
            row.3.truncate(1);
        }
        let mut bytes = build(&rows, Compression::None).to_vec();
        place(&mut bytes, base, 7);
        let theirs = RecordBatchDecoder::decode(&mut Bytes::from(bytes)).unwrap().records;
        prop_assert_eq!(theirs.len(), rows.len());
        for (i, (record, row)) in theirs.iter().zip(&rows).enumerate() {
            prop_assert_eq!(record.offset, base + i64::try_from(i).unwrap());
            prop_assert_eq!(record.partition_leader_epoch, 7);
            prop_assert_eq!(record.timestamp, row.0);
            prop_assert_eq!(record.key.as_deref(), row.1.as_deref());
            prop_assert_eq!(record.value.as_deref(), row.2.as_deref());
            prop_assert_eq!(record.headers.len(), row.3.len());
        }
    }

    #[test]
    fn flipped_bytes_are_found(rows in rows(), codec in codecs(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = build(&rows, codec).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        let outside_crc = at < 8 || (12..16).contains(&at);
        match Batch::split(&bytes) {
            Ok((batch, _)) if !outside_crc => prop_assert!(batch.check_crc().is_err()),
            Ok(_) => prop_assert!(outside_crc),
            Err(_) => {}
        }
    }

    #[test]
    fn forged_bytes_never_panic(
        rows in rows(), codec in codecs(), edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in 0usize..40,
    ) {
        let mut bytes = build(&rows, codec).to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len() - 1));
        if bytes.len() >= HEADER_SIZE {
            renew_crc(&mut bytes);
        }
        let bytes = Bytes::from(bytes);
        for batch in Batches::new(&bytes) {
            let _ = batch.map(|batch| batch.header().check_from_client(1 << 20));
        }
        let _ = read(&bytes);
    }

    #[test]
    fn noise_never_panics(bytes in vec(any::<u8>(), 0..400), codec in codecs()) {
        let mut out = Vec::new();
        let _ = inflate(codec, &bytes, 1 << 16, &mut out);
        prop_assert!(out.len() <= (1 << 16) + 1);
        let _ = read(&Bytes::from(bytes));
    }

    #[test]
    fn codecs_return_what_they_were_given(input in vec(0u8..4, 0..100_000), codec in codecs()) {
        let mut packed = Vec::new();
        compress(codec, &input, &mut packed).unwrap();
        let mut out = Vec::new();
        inflate(codec, &packed, input.len(), &mut out).unwrap();
        prop_assert_eq!(&out, &input);
        if !input.is_empty() {
            let short = inflate(codec, &packed, input.len() - 1, &mut Vec::new());
            prop_assert_eq!(short, Err(BatchError::Inflates { limit: input.len() - 1 }));
        }
    }
}

#[test]
fn batches_follow_one_another_up_to_a_torn_tail() {
    let first = one(Compression::None, b"a");
    let mut bytes = [first.clone(), one(Compression::Lz4, b"b")].concat();
    assert_eq!(Batches::new(&bytes).filter_map(Result::ok).count(), 2);
    bytes.pop();
    let mut batches = Batches::new(&bytes);
    assert_eq!(batches.next().unwrap().unwrap().bytes(), first);
    assert!(matches!(batches.next(), Some(Err(BatchError::Truncated { .. }))));
    assert!(batches.next().is_none());
}

#[test]
fn offset_and_epoch_are_set_without_touching_the_crc() {
    let mut bytes = one(Compression::None, b"a");
    place(&mut bytes, 1 << 40, 9);
    let (batch, _) = Batch::split(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert_eq!((batch.header().base_offset, batch.header().leader_epoch), (1 << 40, 9));
    assert_eq!(batch.header().next_offset(), (1 << 40) + 1);
}

#[test]
fn stamping_changes_every_timestamp_and_renews_the_crc() {
    let mut bytes = one(Compression::Zstd, b"a");
    stamp(&mut bytes, 777);
    assert_eq!(read(&Bytes::from(bytes)).unwrap()[0].0, 777);
}

#[test]
fn a_client_may_not_send_these() {
    let good = one(Compression::None, b"a");
    let check = |at: usize, new: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        let checked = Header::parse(&bytes).and_then(|header| header.check_from_client(1000));
        checked.map_err(|error| error.response())
    };
    assert_eq!(check(0, &[]), Ok(()));
    assert_eq!(check(21, &5i16.to_be_bytes()), Err(ResponseError::UnsupportedCompressionType));
    assert_eq!(check(21, &(1i16 << 5).to_be_bytes()), Err(ResponseError::InvalidRecord));
    assert_eq!(check(57, &i32::MAX.to_be_bytes()), Err(ResponseError::InvalidRecord));
    assert_eq!(check(57, &0i32.to_be_bytes()), Err(ResponseError::InvalidRecord));
    assert_eq!(check(23, &(-1i32).to_be_bytes()), Err(ResponseError::CorruptMessage));
    assert_eq!(check(0, &i64::MAX.to_be_bytes()), Err(ResponseError::CorruptMessage));
    assert_eq!(check(8, &48i32.to_be_bytes()), Err(ResponseError::CorruptMessage));
    assert_eq!(check(8, &989i32.to_be_bytes()), Err(ResponseError::MessageTooLarge));
    assert_eq!(check(16, &[1]), Err(ResponseError::InvalidRecord));
    assert_eq!(check(43, &7i64.to_be_bytes()), Err(ResponseError::InvalidRecord));
}

#[test]
fn a_count_without_records_costs_nothing() {
    let mut bytes = one(Compression::None, b"a");
    bytes.truncate(HEADER_SIZE);
    bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
    bytes[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    renew_crc(&mut bytes);
    assert!(matches!(read(&Bytes::from(bytes)), Err(BatchError::Record(_))));
}

#[test]
fn bombs_are_not_inflated() {
    let zeros = vec![0; 64 << 20];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut packed = Vec::new();
        compress(codec, &zeros, &mut packed).unwrap();
        let mut out = Vec::new();
        assert_eq!(inflate(codec, &packed, LIMIT, &mut out), Err(BatchError::Inflates { limit: LIMIT }));
        assert!(out.capacity() <= 4 * LIMIT, "{codec:?} took {} bytes", out.capacity());
    }
}

#[test]
fn snappy_is_read_raw_as_librdkafka_writes_it() {
    let raw = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
    let mut out = Vec::new();
    inflate(Compression::Snappy, &raw, LIMIT, &mut out).unwrap();
    assert_eq!(out, b"hello hello hello");
}

#[test]
fn a_builder_is_reused() {
    let mut builder = BatchBuilder::new();
    builder.producer(5, 1, 40);
    let mut out = BytesMut::new();
    for value in [b"a", b"b"] {
        builder.append(3, None, Some(value), std::iter::empty::<(&str, Option<&[u8]>)>());
        builder.finish_into(Compression::None, &mut out);
        assert!(builder.is_empty());
    }
    let headers: Vec<_> = Batches::new(&out).map(|batch| *batch.unwrap().header()).collect();
    assert_eq!(headers.len(), 2);
    assert!(headers.iter().all(|header| header.count == 1 && header.producer_id == 5));
}

proptest! {
    /// Checksums are computed in different ways for different lengths: each agrees with another implementation.
    #[test]
    fn a_checksum_of_any_length_is_crc_32c(body in vec(any::<u8>(), 0..9000)) {
        let mut bytes = vec![0; HEADER_SIZE];
        bytes.extend(&body);
        renew_crc(&mut bytes);
        let stored = u32::from_be_bytes(bytes[17..21].try_into().unwrap());
        prop_assert_eq!(stored, crc32c::crc32c(&bytes[21..]));
    }
}
