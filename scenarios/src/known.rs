//! Seeds that once showed a bug, with its cause. The gate runs them first, for ever.

/// A seed worth keeping.
#[derive(Clone, Copy, Debug)]
pub struct KnownSeed {
    /// The scenario.
    pub scenario: &'static str,
    /// The seed.
    pub seed: u64,
    /// What was wrong, and where it was mended.
    pub cause: &'static str,
}

/// Every seed that once showed a bug.
pub const ALL: &[KnownSeed] = &[];
