//! Every codec over hostile bytes, with a limit that must hold.
#![no_main]

use broker::record::{Compression, inflate};
use libfuzzer_sys::fuzz_target;

/// What one input may inflate to here.
const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let codec = Compression::ALL[usize::from(*first) % Compression::ALL.len()];
    let mut out = Vec::new();
    if inflate(codec, rest, LIMIT, &mut out).is_ok() {
        assert!(out.len() <= LIMIT, "{codec:?} inflated to {}", out.len());
    }
});
