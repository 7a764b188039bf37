//! Answers of hostile bytes, as another broker or a client's broker may send them: what passes their layout must not harm
//! the protocol crate that decodes it.
#![no_main]

use broker::wire::{answers, guard};
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ResponseKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [at, body @ ..] = data else { return };
    let all = (0..100).flat_map(|key| (0..30).map(move |version| (key, version)));
    let spoken: Vec<(i16, i16)> = all.filter(|(key, version)| answers::layout(*key, *version).is_some()).collect();
    let (key, version) = spoken[usize::from(*at) % spoken.len()];
    let Ok(api) = ApiKey::try_from(key) else { return };
    let layout = answers::layout(key, version).expect("it was picked for having one");
    if guard::check(layout, version, body).is_ok() {
        let _ = ResponseKind::decode(api, &mut Bytes::copy_from_slice(body), version);
    }
});
