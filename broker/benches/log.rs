//! Append, fetch and recovery of a log on real files.

#[path = "inputs/logs.rs"]
mod logs;

use std::hint::black_box;

use broker::env::real::RealDisk;
use broker::ids::Offset;
use broker::record::Compression;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use logs::{batch, open};

fn log(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path().to_owned()).unwrap();
    for (name, records) in [("1KiB", 1), ("64KiB", 64), ("1MiB", 1000)] {
        let bytes = batch(records, 1024, Compression::None);
        let mut group = c.benchmark_group(format!("log/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
        group.bench_function("append", |b| {
            let mut log = open(&disk);
            b.iter_batched_ref(
                || bytes.clone(),
                |bytes| {
                    if log.size() > 256 << 20 {
                        log.truncate_to(0).unwrap();
                    }
                    log.append_leader(bytes, 0, 0).unwrap()
                },
                BatchSize::SmallInput,
            );
            log.delete().unwrap();
        });
        group.bench_function("fetch", |b| {
            let mut log = open(&disk);
            while log.size() < 64 << 20 {
                log.append_leader(&mut bytes.clone(), 0, 0).unwrap();
            }
            let mut at = 0;
            b.iter(|| {
                let slice = log.read(at, bytes.len(), Offset::MAX, true).unwrap();
                at = if slice.next == log.log_end() { 0 } else { slice.next };
                black_box(slice)
            });
            log.delete().unwrap();
        });
        group.finish();
    }
    let mut log = open(&disk);
    while log.size() < 128 << 20 {
        log.append_leader(&mut batch(1000, 1024, Compression::None), 0, 0).unwrap();
    }
    let mut group = c.benchmark_group("log/recover");
    group.throughput(Throughput::Bytes(log.size())).sample_size(10);
    group.bench_function("unclean", |b| b.iter(|| open(&disk).log_end()));
    group.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
