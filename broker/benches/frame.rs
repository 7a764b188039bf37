//! What a request costs before it reaches the log: framing, bounds, decoding.

#[path = "inputs/requests.rs"]
mod requests;

use std::hint::black_box;

use broker::api::understands;
use broker::env::real::RealEnv;
use broker::wire::frame::FrameBuffer;
use broker::wire::guard;
use broker::wire::layout;
use bytes::{BufMut, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use requests::{fetch, produce};

fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for size in [100usize, 16 << 10, 1 << 20] {
        let mut stream = BytesMut::new();
        stream.put_i32(i32::try_from(size).expect("a frame"));
        stream.put_bytes(1, size);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(format!("cut {size} bytes from 16 KiB reads"), |b| {
            b.iter(|| {
                let mut buffer = FrameBuffer::new(2 << 20);
                for piece in stream.chunks(16 << 10) {
                    buffer.room().extend_from_slice(piece);
                    black_box(buffer.take()).expect("well-formed");
                }
            });
        });
    }
    group.finish();
}

fn bounds(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    for (name, bytes, layout, version) in [
        ("produce 1 partition", produce(16 << 10), &layout::PRODUCE, 9),
        ("fetch 1 partition", fetch(1), &layout::FETCH, 12),
        ("fetch 1000 partitions", fetch(1000), &layout::FETCH, 12),
    ] {
        group.bench_function(format!("bound {name}"), |b| {
            b.iter(|| {
                let body = guard::body_at(layout, version, black_box(&bytes)).expect("a header");
                guard::check(layout, version, &bytes[body..]).expect("well-formed");
            });
        });
        group.bench_function(format!("bound and decode {name}"), |b| {
            let fresh = || BytesMut::from(&bytes[..]);
            b.iter_batched(fresh, |frame| assert!(understands::<RealEnv>(frame)), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, framing, bounds);
criterion_main!(benches);
