//! What members of the type `consumer` say of themselves, as far as a coordinator must read it: which topics they
//! subscribe to (`ConsumerProtocolSubscription`; every version begins with them).

use bytes::Buf;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// Whether a subscription names that topic. One that cannot be read names none.
pub(super) fn subscribes(mut metadata: &[u8], topic: &str) -> bool {
    let _version = metadata.try_get_i16();
    let Ok(count) = metadata.try_get_i32() else { return false };
    for _ in 0..count {
        let Ok(size) = metadata.try_get_u16() else { return false };
        let Some((name, rest)) = metadata.split_at_checked(usize::from(size)) else { return false };
        if name == topic.as_bytes() {
            return true;
        }
        metadata = rest;
    }
    false
}
