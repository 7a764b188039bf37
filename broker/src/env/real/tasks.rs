//! A live node's tasks and its chance.

#![expect(clippy::disallowed_methods, reason = "this is the door that the rest is told to use")]

use std::cell::Cell;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};

/// Starts tasks until the node halts; draws numbers from a generator seeded by the operating system.
pub(super) struct Tasks {
    closed: Cell<bool>,
    /// SplitMix64: for jitter and identifiers, not for secrets.
    drawn: Cell<u64>,
}

impl Tasks {
    pub(super) fn new() -> io::Result<Self> {
        let mut seed = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Self { closed: Cell::new(false), drawn: Cell::new(u64::from_le_bytes(seed)) })
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if !self.closed.get() {
            tokio::task::spawn_local(task);
        }
    }

    pub(super) fn draw(&self) -> u64 {
        let state = self.drawn.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.drawn.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// No task starts from now on. True the first time.
    pub(super) fn close(&self) -> bool {
        !self.closed.replace(true)
    }
}
