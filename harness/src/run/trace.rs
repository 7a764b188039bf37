//! The hash of a history: equal hashes for equal histories, on every machine of one build.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::history::Event;

/// Folds events into one number.
#[derive(Default)]
pub(crate) struct Trace(FxHasher);

impl Trace {
    pub(crate) fn see(&mut self, event: &Event) {
        event.hash(&mut self.0);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.finish()
    }
}
