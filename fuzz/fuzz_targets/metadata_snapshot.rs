//! A snapshot of the cluster's metadata, as a leader sends it: damaged ones are refused, and what is believed is written as
//! it was read.
#![no_main]

use broker::controller::snapshot::{decode, encode};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((end, image)) = decode(Bytes::copy_from_slice(data)) {
        assert_eq!(decode(Bytes::from(encode(&image, end))), Ok((end, image)));
    }
});
