//! What a partition's replicas agree on: how far the log is committed, and who may be told so.

pub mod fetch_session;
pub mod follower;
pub mod in_sync;
pub mod leader;
mod leader_io;

#[cfg(test)]
mod tests;
