//! How fast it is: measurements beside the machine's own limits, taken in the same run.

pub mod cluster;
pub mod log;
mod plain;
pub mod rebalance;
