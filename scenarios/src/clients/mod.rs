//! What clients do.

pub(crate) mod many_partitions;
pub(crate) mod replay_from_zero;
pub(crate) mod retry_storm;
pub(crate) mod steady;
pub(crate) mod timestamp_lookup;
