//! Instructions of the hot paths: counts that come again within 0.2 %, so that 2 % more is a change and not a bad day.
//!
//! `ci/instructions.sh REVISION` holds them to another revision's, built by the same compiler: counts of one compiler say
//! nothing about those of another.

#[path = "../../broker/benches/inputs/logs.rs"]
mod logs;
#[path = "../../broker/benches/inputs/requests.rs"]
mod requests;

use std::hint::black_box;

use broker::api::understands;
use broker::env::real::{RealDisk, RealEnv};
use broker::ids::Offset;
use broker::log::Log;
use broker::record::{Compression, Unpacked};
use broker::wire::frame::FrameBuffer;
use bytes::{BufMut, Bytes, BytesMut};
use gungraun::prelude::*;
use tempfile::TempDir;

fn received(size: usize) -> (FrameBuffer, BytesMut) {
    let mut stream = BytesMut::new();
    stream.put_i32(i32::try_from(size).expect("a frame"));
    stream.put_bytes(1, size);
    (FrameBuffer::new(2 << 20), stream)
}

#[library_benchmark(setup = received)]
#[bench::of_1_kib(args = (1 << 10))]
#[bench::of_64_kib(args = (64 << 10))]
fn cut_frame((mut buffer, stream): (FrameBuffer, BytesMut)) -> Option<BytesMut> {
    for piece in stream.chunks(16 << 10) {
        buffer.room().extend_from_slice(piece);
    }
    buffer.take().expect("well-formed")
}

fn owned(frame: Bytes) -> BytesMut {
    BytesMut::from(&frame[..])
}

#[library_benchmark(setup = owned)]
#[bench::produce(args = (requests::produce(16 << 10)))]
#[bench::fetch_of_1_partition(args = (requests::fetch(1)))]
#[bench::fetch_of_100_partitions(args = (requests::fetch(100)))]
fn bound_and_decode(frame: BytesMut) -> bool {
    understands::<RealEnv>(black_box(frame))
}

/// A log that has taken such a batch once, and has read it (what is allocated with the first one is nobody's path), and
/// another for it. Its directory goes last.
fn opened(records: usize, size: usize) -> (Log<RealDisk>, Vec<u8>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = logs::open(&RealDisk::new(dir.path().to_owned()).unwrap());
    let bytes = logs::batch(records, size, Compression::None);
    log.append_leader(&mut bytes.clone(), 0, 0).unwrap();
    log.read(0, bytes.len(), Offset::MAX, true).unwrap();
    (log, bytes, dir)
}

#[library_benchmark(setup = opened)]
#[bench::of_1_record(args = (1, 100))]
#[bench::of_640_small_records(args = (640, 100))]
#[bench::of_64_records_of_1_kib(args = (64, 1024))]
fn append((mut log, mut bytes, dir): (Log<RealDisk>, Vec<u8>, TempDir)) -> (Log<RealDisk>, TempDir) {
    log.append_leader(black_box(&mut bytes), 0, 0).unwrap();
    (log, dir)
}

#[library_benchmark(setup = opened)]
#[bench::of_1_record(args = (1, 100))]
#[bench::of_64_records_of_1_kib(args = (64, 1024))]
fn read((mut log, bytes, dir): (Log<RealDisk>, Vec<u8>, TempDir)) -> (Log<RealDisk>, TempDir) {
    black_box(log.read(0, bytes.len(), Offset::MAX, true).unwrap());
    (log, dir)
}

#[library_benchmark]
#[bench::of_1000_records(args = (Compression::None))]
#[bench::of_1000_records_in_lz4(args = (Compression::Lz4))]
fn build_batch(compression: Compression) -> Vec<u8> {
    logs::batch(1000, 100, black_box(compression))
}

fn packed(compression: Compression) -> Bytes {
    logs::batch(1000, 100, compression).into()
}

#[library_benchmark(setup = packed)]
#[bench::of_1000_records(args = (Compression::None))]
#[bench::of_1000_records_in_lz4(args = (Compression::Lz4))]
fn unpack_batch(mut bytes: Bytes) -> usize {
    let unpacked = Unpacked::take(&mut bytes, 4 << 20).expect("a batch");
    unpacked.records().map(|record| record.expect("a record").value.map_or(0, <[u8]>::len)).sum()
}

library_benchmark_group!(name = wire, benchmarks = [cut_frame, bound_and_decode]);
library_benchmark_group!(name = log, benchmarks = [append, read]);
library_benchmark_group!(name = record, benchmarks = [build_batch, unpack_batch]);
main!(library_benchmark_groups = [wire, log, record]);
