//! Requests of hostile bytes: bounded along their layout, then decoded by the protocol crate, which aborts the process
//! on any count that got through. What the bounds let through must decode, but for text that is no UTF-8.
#![no_main]

use broker::api::{table, understands};
use broker::env::real::RealEnv;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = understands::<RealEnv>(BytesMut::from(data));
    // The same with an API key and version that are served.
    let [key, version, rest @ ..] = data else { return };
    let rows = table::<RealEnv>();
    let api = &rows[usize::from(*key) % rows.len()];
    let versions = api.versions.max - api.versions.min + 1;
    let version = api.versions.min + i16::from(*version) % versions;
    let mut frame = BytesMut::from(&api.key.to_be_bytes()[..]);
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
    frame.extend_from_slice(rest);
    let _ = understands::<RealEnv>(frame);
});
