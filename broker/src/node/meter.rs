//! What a node counts of its own work, and says of itself when asked, for whoever watches it. Nothing is decided by it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use crate::api;
use crate::env::Env;
use crate::group::GroupMeasured;
use crate::ids::{NodeId, Offset, TopicPartition};

/// Up to how many milliseconds each bucket of [`Times`] counts; one more counts the rest.
pub const BOUNDS_MS: [u64; 14] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];

/// How long requests of one API took, from when they were begun until their answers were ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// By [`BOUNDS_MS`], how many took so long and longer than the bound before.
    pub buckets: [u64; BOUNDS_MS.len() + 1],
    /// All together.
    pub total: Duration,
}

impl Times {
    fn note(&mut self, took: Duration) {
        let bucket = BOUNDS_MS.partition_point(|bound| Duration::from_millis(*bound) < took);
        self.buckets[bucket] += 1;
        self.total += took;
    }
}

/// What a node counts of requests, by API key.
#[derive(Default)]
pub(super) struct Meter(RefCell<BTreeMap<i16, Times>>);

impl Meter {
    /// A request was answered, or ended its connection. APIs that are not served are not counted: anyone can name them.
    pub fn served<E: Env>(&self, key: i16, took: Duration) {
        let mut all = self.0.borrow_mut();
        if let Some(times) = all.get_mut(&key) {
            times.note(took);
        } else if api::table::<E>().iter().any(|api| api.key == key) {
            all.entry(key).or_default().note(took);
        }
    }
}

/// What came to a partition that is led here, and what left it for consumers and followers, since the node started.
#[derive(Default)]
pub struct Flow {
    /// Records appended.
    pub(super) records_in: Cell<u64>,
    /// Their bytes, as stored.
    pub(super) bytes_in: Cell<u64>,
    /// Bytes read.
    pub(crate) bytes_out: Cell<u64>,
}

impl Flow {
    pub(super) fn comes(&self, records: u64, bytes: u64) {
        self.records_in.set(self.records_in.get() + records);
        self.bytes_in.set(self.bytes_in.get() + bytes);
    }

    pub(crate) fn goes(&self, bytes: usize) {
        self.bytes_out.set(self.bytes_out.get() + bytes as u64);
    }
}

/// All that a node says of itself at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Which node.
    pub node: NodeId,
    /// Whether it is the active controller.
    pub controls: bool,
    /// Brokers that the cluster lets serve, as far as the node knows.
    pub brokers: usize,
    /// By API key.
    pub requests: BTreeMap<i16, Times>,
    /// All partitions of the cluster, as far as the node knows.
    pub partitions: Vec<PartitionMeasured>,
    /// The groups that are coordinated here.
    pub groups: Vec<GroupMeasured>,
}

/// One partition, as a node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMeasured {
    /// Which.
    pub tp: TopicPartition,
    /// Who leads it; `None`: nobody.
    pub leader: Option<NodeId>,
    /// Who has it, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// How many of them are in sync.
    pub in_sync: usize,
    /// `min.insync.replicas`, if there is a replica here.
    pub min_in_sync: Option<usize>,
    /// The replica here, if there is one.
    pub here: Option<ReplicaMeasured>,
}

/// A replica on the node that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaMeasured {
    /// Log start offset.
    pub start: Offset,
    /// High watermark; of a follower, as far as it knows.
    pub high: Offset,
    /// Bytes on disk.
    pub size: u64,
    /// Whether its log can be used.
    pub online: bool,
    /// Records appended while it led.
    pub records_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Bytes that consumers and followers read from it.
    pub bytes_out: u64,
}

impl<E: Env> Node<E> {
    /// What there is to say of this node now.
    pub fn measure(&self) -> Measured {
        let mut groups = Vec::new();
        self.each_shard(|shard| groups.extend(shard.measure()));
        let image = self.image();
        let topics = image.topics().flat_map(|topic| (0..).zip(&topic.partitions).map(move |all| (topic, all)));
        let partitions = topics.map(|(topic, (number, state))| PartitionMeasured {
            tp: TopicPartition::new(&*topic.name, number),
            leader: state.leader,
            replicas: state.replicas.clone(),
            in_sync: state.in_sync.len(),
            min_in_sync: self.partition(&topic.name, number).map(|partition| partition.policy.get().1),
            here: self.measure_replica(&topic.name, number),
        });
        Measured {
            node: self.config.node_id,
            controls: self.raft.is_active(),
            brokers: image.brokers().filter(|broker| !broker.fenced).count(),
            requests: self.meter.0.borrow().clone(),
            partitions: partitions.collect(),
            groups,
        }
    }

    fn measure_replica(&self, topic: &str, number: i32) -> Option<ReplicaMeasured> {
        let partition = self.partition(topic, number)?;
        let flow = &partition.flow;
        Some(ReplicaMeasured {
            start: partition.log_start(),
            high: partition.high(),
            size: partition.with_log(|log| Ok(log.size())).unwrap_or(0),
            online: partition.is_online(),
            records_in: flow.records_in.get(),
            bytes_in: flow.bytes_in.get(),
            bytes_out: flow.bytes_out.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_nothing_is_too_long() {
        let mut times = Times::default();
        let took = [0, 999, 1000, 1001, 30_000_000, 30_000_001, 99_000_000].map(Duration::from_micros);
        took.into_iter().for_each(|took| times.note(took));
        assert_eq!(times.buckets, [3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(times.total, took.iter().sum());
    }
}
