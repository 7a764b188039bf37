//! Facts: typed statements a node makes about itself, for white-box invariants in the simulator. A live node states
//! them to nobody. A fact states what has happened, at the moment it is true, and carries no opinion.

use crate::controller::record::TopicId;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch, Timestamp, TopicPartition};

/// The identity of one stored batch: what a recovered or audited log is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct BatchMark {
    /// Offset of its first record.
    pub base: Offset,
    /// Offset of its last record.
    pub last: Offset,
    /// Its CRC-32C as stored in the header.
    pub crc: u32,
}

/// One idempotent producer, as a partition knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ProducerMark {
    /// Its id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Its last batches: first and last sequence number, and base offset; oldest first.
    pub window: Vec<(i32, i32, Offset)>,
}

/// One thing that a node knows to be so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The node accepts requests. `clean`: the shutdown marker was there.
    Started {
        /// Whether the last stop was clean.
        clean: bool,
    },
    /// A log was opened after an unclean stop.
    Recovered {
        /// Which partition.
        tp: TopicPartition,
        /// First offset kept.
        log_start: Offset,
        /// One past the last offset kept (LEO).
        log_end: Offset,
        /// From where batches were scanned.
        recovery_point: Offset,
        /// The batches found from the recovery point on, in order.
        tail: Vec<BatchMark>,
        /// Whether what was validated was made durable before this was stated.
        synced: bool,
    },
    /// A batch was appended to the leader's log.
    Appended {
        /// Which partition.
        tp: TopicPartition,
        /// The batch.
        batch: BatchMark,
        /// Under which leader epoch.
        epoch: LeaderEpoch,
        /// The largest timestamp in it.
        max_timestamp: Timestamp,
    },
    /// A batch of an idempotent producer was appended, by leader or follower: what the fact before this one does not say.
    Sequenced {
        /// Which partition.
        tp: TopicPartition,
        /// The producer's id.
        producer: i64,
        /// The producer's epoch.
        epoch: i16,
        /// Sequence number of the first record.
        first: i32,
        /// Sequence number of the last record.
        last: i32,
        /// Offset of the first record.
        base: Offset,
    },
    /// What is known of idempotent producers. Stated when something else than an append may have changed it: the log was
    /// opened, or cut at either end.
    Producers {
        /// Which partition.
        tp: TopicPartition,
        /// Where the log ends.
        end: Offset,
        /// Every producer known, by id.
        known: Vec<ProducerMark>,
    },
    /// Everything below `upto` is durable: an fsync covering it has returned success.
    Flushed {
        /// Which partition.
        tp: TopicPartition,
        /// One past the last durable offset.
        upto: Offset,
    },
    /// A produce request was acknowledged.
    Acked {
        /// Which partition.
        tp: TopicPartition,
        /// First offset acknowledged.
        base: Offset,
        /// Last offset acknowledged.
        last: Offset,
        /// The request's acks: 0, 1 or -1 (all).
        acks: i16,
        /// Whether the partition's flush policy promises durability before the acknowledgement.
        durable: bool,
        /// In-sync replicas that have it at this moment, the leader included.
        replicas: u32,
    },
    /// Offsets moved. Stated after every change of any of them.
    Watermarks {
        /// Which partition.
        tp: TopicPartition,
        /// First offset kept.
        log_start: Offset,
        /// Last stable offset.
        stable: Offset,
        /// High watermark: consumers see below it.
        high: Offset,
        /// Log end offset.
        end: Offset,
        /// The leader epoch it is stated under.
        epoch: LeaderEpoch,
    },
    /// A fetch was answered with records.
    Served {
        /// Which partition.
        tp: TopicPartition,
        /// The offset asked for.
        from: Offset,
        /// One past the last offset handed out.
        upto: Offset,
        /// The high watermark at that moment.
        high: Offset,
    },
    /// The active segment was closed and a new one begun at `base`.
    Rolled {
        /// Which partition.
        tp: TopicPartition,
        /// The new segment's base offset.
        base: Offset,
    },
    /// Retention (or DeleteRecords) moved the log's start.
    Trimmed {
        /// Which partition.
        tp: TopicPartition,
        /// First offset kept now.
        log_start: Offset,
        /// The high watermark at that moment.
        high: Offset,
        /// Whether a client asked for it (DeleteRecords), not retention.
        asked: bool,
    },
    /// Compaction has put another file in a segment's place.
    Cleaned {
        /// Which partition.
        tp: TopicPartition,
        /// The segment's first offset.
        base: Offset,
        /// One past its last.
        next: Offset,
        /// Where the section ends in which of each key only the latest record is to stay.
        upto: Offset,
        /// The high watermark at that moment.
        high: Offset,
        /// Records that this pass has taken so far.
        records: u64,
        /// The segment's batches as they are now.
        batches: Vec<BatchMark>,
    },
    /// The log was cut from its end.
    Truncated {
        /// Which partition.
        tp: TopicPartition,
        /// One past the last offset kept.
        log_end: Offset,
    },
    /// A topic was deleted: its partitions' records are gone by request.
    Deleted {
        /// Which partition.
        tp: TopicPartition,
    },
    /// The node holds a replica of a partition of that very topic from now on: made empty, or opened at a start. What it
    /// states of the partition until it states this again is of that topic, whatever others of its name there are.
    Holds {
        /// Which partition.
        tp: TopicPartition,
        /// The identity of its topic.
        topic: TopicId,
    },
    /// The node leads a partition from now on.
    Leads {
        /// Which partition.
        tp: TopicPartition,
        /// In which epoch.
        epoch: LeaderEpoch,
        /// The partition epoch it was told under.
        partition_epoch: PartitionEpoch,
        /// Where its log ends at this moment.
        end: Offset,
        /// The in-sync set it was given, itself included.
        in_sync: Vec<NodeId>,
    },
    /// The node follows another's partition from now on.
    Follows {
        /// Which partition.
        tp: TopicPartition,
        /// In which epoch.
        epoch: LeaderEpoch,
        /// Whom; `None`: nobody leads.
        leader: Option<NodeId>,
    },
    /// The node holds no replica of a partition any more: it was given to others. The records live on there.
    Dropped {
        /// Which partition.
        tp: TopicPartition,
    },
    /// A follower appended a batch as its leader had it.
    Replicated {
        /// Which partition.
        tp: TopicPartition,
        /// The batch.
        batch: BatchMark,
        /// The epoch it was written under.
        epoch: LeaderEpoch,
    },
    /// A leader's in-sync set is another now.
    InSync {
        /// Which partition.
        tp: TopicPartition,
        /// The leader's epoch.
        epoch: LeaderEpoch,
        /// The partition epoch of the committed set.
        partition_epoch: PartitionEpoch,
        /// What the controller has committed.
        in_sync: Vec<NodeId>,
        /// That, and whoever is proposed: what the high watermark waits for (KIP-497).
        maximal: Vec<NodeId>,
    },
    /// A partition's state as the active controller has decided it, committed.
    Decided {
        /// Which partition.
        tp: TopicPartition,
        /// The identity of its topic.
        topic: TopicId,
        /// Counts the decisions about it.
        partition_epoch: PartitionEpoch,
        /// Who leads; `None`: nobody.
        leader: Option<NodeId>,
        /// In which epoch.
        leader_epoch: LeaderEpoch,
        /// The in-sync set.
        in_sync: Vec<NodeId>,
        /// Eligible leader replicas (KIP-966).
        elr: Vec<NodeId>,
        /// Whether the leader was elected uncleanly: committed records may be gone.
        unclean: bool,
    },
    /// The node leads the metadata quorum from now on.
    QuorumLeads {
        /// In which epoch.
        epoch: LeaderEpoch,
        /// Where its metadata log ends at this moment.
        end: Offset,
    },
    /// The node's registration is committed, and it may be given partitions.
    Registered {
        /// Its incarnation, as the controller counts it (KIP-500).
        broker_epoch: BrokerEpoch,
    },
    /// The node has a snapshot of the metadata, from which it may start, and behind which its log may be cut.
    Snapshot {
        /// What it holds: everything below this offset of the metadata log.
        end: Offset,
        /// Whether it came from the leader and has taken the log's place.
        fetched: bool,
    },
    /// What a byte-for-byte reading of a stopped node's files showed; stated by the auditor, never by a node.
    Audited {
        /// Which partition.
        tp: TopicPartition,
        /// First offset kept.
        log_start: Offset,
        /// One past the last whole batch.
        log_end: Offset,
        /// Every whole batch, in order of position.
        batches: Vec<BatchMark>,
        /// Base offsets of batches whose bytes do not match their CRC.
        bad_crc: Vec<Offset>,
        /// Bytes after the last whole batch that are no batch.
        torn_bytes: u64,
        /// Offset- or time-index look-ups that differ from a linear scan, described.
        bad_lookups: Vec<String>,
    },
}

impl Fact {
    /// The partition it speaks of, if it speaks of one.
    pub fn tp(&self) -> Option<&TopicPartition> {
        match self {
            Fact::Started { .. } | Fact::QuorumLeads { .. } | Fact::Registered { .. } | Fact::Snapshot { .. } => None,
            Fact::Recovered { tp, .. }
            | Fact::Appended { tp, .. }
            | Fact::Sequenced { tp, .. }
            | Fact::Producers { tp, .. }
            | Fact::Flushed { tp, .. }
            | Fact::Acked { tp, .. }
            | Fact::Watermarks { tp, .. }
            | Fact::Served { tp, .. }
            | Fact::Rolled { tp, .. }
            | Fact::Trimmed { tp, .. }
            | Fact::Cleaned { tp, .. }
            | Fact::Truncated { tp, .. }
            | Fact::Deleted { tp }
            | Fact::Holds { tp, .. }
            | Fact::Leads { tp, .. }
            | Fact::Follows { tp, .. }
            | Fact::Dropped { tp }
            | Fact::Replicated { tp, .. }
            | Fact::InSync { tp, .. }
            | Fact::Decided { tp, .. }
            | Fact::Audited { tp, .. } => Some(tp),
        }
    }
}
