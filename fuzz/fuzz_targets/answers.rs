//! Answers of hostile bytes, as another broker or a client's broker may send them: what passes their layout must not harm
//! the protocol crate that decodes it.
#![no_main]

use broker::wire::{answers, guard};
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ResponseKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [key, version, body @ ..] = data else { return };
    let known: Vec<i16> = (0..100).filter(|key| answers::layout(*key).is_some()).collect();
    let key = known[usize::from(*key) % known.len()];
    let Ok(api) = ApiKey::try_from(key) else { return };
    let versions = api.valid_versions();
    let version = versions.min + i16::from(*version) % (versions.max - versions.min + 1);
    let layout = answers::layout(key).expect("it was picked for having one");
    if guard::check(layout, version, body).is_ok() {
        let _ = ResponseKind::decode(api, &mut Bytes::copy_from_slice(body), version);
    }
});
