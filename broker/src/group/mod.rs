//! The group coordinator: who is a member of which consumer group, which generation it is in, and how far it has come
//! (the classic protocol: KIP-62, KIP-134, KIP-345, KIP-394; the newer one, [`consumer`]: KIP-848).
//!
//! A group belongs to one partition of the internal topic `__consumer_offsets`; the leader of that partition coordinates
//! it. All of a partition's groups are one [`Shard`], a plain state machine: requests and the time go in, answers and
//! records come out. What is to outlive the coordinator is a record, and is believed, and answered for, once it is below
//! the partition's high watermark. Whoever leads next folds the same records.

mod classic;
pub mod consumer;
mod join;
mod leave;
pub mod member;
mod offsets;
mod protocol;
mod rebalance;
pub mod record;
pub mod request;
pub mod shard;
mod sync;

#[cfg(test)]
mod tests;

pub use request::{Answer, Asked, Effect, GroupMeasured, Input, Rebalances, Ticket};
pub use shard::Shard;

/// The internal topic.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The partition of the internal topic that a group belongs to, of `count`: Java's `String.hashCode` without its sign,
/// as every Kafka broker computes it (`Utils.abs`, `GroupCoordinatorService.partitionFor`).
pub fn partition_of(group: &str, count: i32) -> i32 {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) % count.max(1)
}
