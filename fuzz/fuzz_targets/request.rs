//! Requests of hostile bytes: bounded along their layout, then decoded by the protocol crate, which aborts the process
//! on any count that got through. What the bounds let through must decode, but for text that is no UTF-8.
#![no_main]

use broker::api::understands;
use broker::env::real::RealEnv;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = understands::<RealEnv>(BytesMut::from(data));
    // The same with an API key and version that are served more often than not.
    let [key, version, rest @ ..] = data else { return };
    const KEYS: [u8; 14] = [0, 1, 2, 3, 18, 19, 20, 21, 23, 32, 35, 37, 44, 60];
    let mut frame = vec![0, KEYS[usize::from(*key) % KEYS.len()], 0, version % 20, 0, 0, 0, 1, 0xff, 0xff];
    frame.extend_from_slice(rest);
    let _ = understands::<RealEnv>(BytesMut::from(&frame[..]));
});
