//! The record reader over hostile batches whose CRC is right: counts, varints, headers, bombs.
#![no_main]

use broker::record::batch::{HEADER_SIZE, renew_crc};
use broker::record::Unpacked;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// What one batch may inflate to here.
const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    if data.len() < HEADER_SIZE {
        return;
    }
    let mut batch = data.to_vec();
    let length = i32::try_from(batch.len() - 12).unwrap_or(i32::MAX);
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    renew_crc(&mut batch);
    let mut bytes = Bytes::from(batch);
    let Ok(unpacked) = Unpacked::take(&mut bytes, LIMIT) else { return };
    for record in unpacked.records() {
        let Ok(record) = record else { break };
        let _ = (record.offset, record.timestamp, record.key, record.value);
    }
});
