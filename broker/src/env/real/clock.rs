//! Real clocks.

#![expect(clippy::disallowed_methods, reason = "this is the door that the rest is told to use")]

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::env::Mono;

/// The monotonic clock of one node, from when its world began.
pub(super) struct Clocks {
    start: Instant,
}

impl Clocks {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn mono(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Milliseconds since the Unix epoch; before it, negative.
pub(super) fn wall() -> i64 {
    let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

pub(super) fn sleep(d: Duration) -> impl Future<Output = ()> {
    tokio::time::sleep(d)
}
