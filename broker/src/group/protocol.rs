//! What members of the type `consumer` say of themselves, as far as a coordinator must read it: which topics they
//! subscribe to (`ConsumerProtocolSubscription`; every version begins with them).

use bytes::Buf;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// Whether a subscription names that topic. Of one that cannot be read it is not known: it may.
pub(super) fn subscribes(metadata: &[u8], topic: &str) -> bool {
    names(metadata, topic).unwrap_or(true)
}

fn names(mut metadata: &[u8], topic: &str) -> Option<bool> {
    metadata.try_get_i16().ok()?;
    for _ in 0..metadata.try_get_i32().ok()? {
        let size = metadata.try_get_u16().ok()?;
        let (name, rest) = metadata.split_at_checked(usize::from(size))?;
        if name == topic.as_bytes() {
            return Some(true);
        }
        metadata = rest;
    }
    Some(false)
}
