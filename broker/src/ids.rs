//! The names that every part of the broker shares: nodes, topics, partitions, offsets, epochs.

use std::fmt;
use std::sync::Arc;

/// A record's place in its partition: 0, 1, 2, ... (Kafka's `int64`). `-1` means none.
pub type Offset = i64;

/// Counts the leaders a partition has had (Kafka's `int32`); `-1` means unknown, and skips fencing.
pub type LeaderEpoch = i32;

/// Counts a partition's states as the controller decides them (Kafka's `int32`, KIP-497).
pub type PartitionEpoch = i32;

/// Tells a broker's incarnations apart: the offset of its registration in the metadata log (Kafka's `int64`, KIP-500);
/// `-1` means unknown.
pub type BrokerEpoch = i64;

/// Milliseconds since the Unix epoch, as records carry them; `-1` means no timestamp.
pub type Timestamp = i64;

/// A broker's id, at least 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One partition of one topic, written `topic-3` as Kafka names its directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TopicPartition {
    /// The topic's name; shared, so that a clone costs a counter.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
