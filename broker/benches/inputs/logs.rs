//! Batches, and logs on real files that take them, for benches.

use broker::config::LogConfig;
use broker::env::real::RealDisk;
use broker::ids::TopicPartition;
use broker::log::{FilePool, Log, OpenHow};
use broker::record::{BatchBuilder, Compression};

/// So many `records` of `size` bytes each.
pub fn batch(records: usize, size: usize, compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    let value = vec![b'x'; size];
    for _ in 0..records {
        builder.append(1, None, Some(&value), std::iter::empty::<(&str, Option<&str>)>());
    }
    builder.finish(compression).to_vec()
}

/// The log of `bench-0` on `disk`, as it is there.
pub fn open(disk: &RealDisk) -> Log<RealDisk> {
    let config = LogConfig { max_message_bytes: 4 << 20, ..LogConfig::default() };
    let pool = FilePool::new(disk.clone(), 64);
    Log::open(&pool, "bench-0", TopicPartition::new("bench", 0), config, OpenHow::default()).unwrap().0
}
