//! Real time, for what a person waits for. No run depends on it.

use std::time::{Duration, Instant};

/// When something began.
#[derive(Clone, Copy, Debug)]
pub struct Wall(Instant);

impl Wall {
    /// Begins now.
    #[expect(clippy::disallowed_methods, reason = "measures what a person waits for; no run depends on it")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
