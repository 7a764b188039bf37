//! Limits and timeouts, under Kafka's own names (dots become underscores).

use std::time::Duration;

/// When the log calls fsync, as `flush.messages` and `flush.ms` say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlushPolicy {
    /// Left to the operating system (Kafka's default).
    Never,
    /// After every `n` records (`flush.messages = n`, n > 1).
    Records(u64),
    /// Every so many milliseconds (`flush.ms`).
    Millis(u64),
    /// Before every acknowledgement, many appends to one fsync (`flush.messages = 1`): group commit.
    Always,
}

/// One partition's log settings.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `segment.bytes`: a segment that would grow past this is closed first.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment whose first record is older is closed at the next append.
    pub segment_ms: u64,
    /// `index.interval.bytes`: at most this many bytes of log between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`; `None` keeps for ever.
    pub retention_ms: Option<u64>,
    /// `retention.bytes`, per partition; `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`: the largest batch accepted.
    pub max_message_bytes: u32,
    /// `flush.messages` and `flush.ms`.
    pub flush: FlushPolicy,
    /// `min.insync.replicas`, for acks=all.
    pub min_insync_replicas: u32,
    /// `message.timestamp.type = LogAppendTime`: the broker stamps the batch.
    pub log_append_time: bool,
    /// `cleanup.policy`: what becomes of old records.
    pub cleanup: CleanupPolicy,
    /// `delete.retention.ms`: how long a tombstone stays once all it deletes is gone.
    pub delete_retention_ms: u64,
    /// `min.cleanable.dirty.ratio`, in millionths: a log is compacted when so much of it has not been.
    pub min_cleanable_dirty_millionths: u32,
    /// `min.compaction.lag.ms`: a record is not compacted away before it is so old.
    pub min_compaction_lag_ms: u64,
    /// `max.compaction.lag.ms`: a log that was not compacted for so long is, however little there is to do.
    pub max_compaction_lag_ms: u64,
    /// `log.recycle.segments`, not Kafka's and for all topics: so many files of segments that retention took are kept of each
    /// partition, beyond what its settings allow, and new segments written into them. Records that were deleted stay in them
    /// until they are overwritten.
    pub recycle_segments: u32,
}

/// `cleanup.policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanupPolicy {
    /// Old segments go (`retention.ms`, `retention.bytes`).
    Delete,
    /// Of each key the latest record stays.
    Compact,
    /// Both.
    CompactDelete,
}

impl CleanupPolicy {
    /// Whether old segments go.
    pub fn deletes(self) -> bool {
        self != CleanupPolicy::Compact
    }

    /// Whether of each key only the latest record stays.
    pub fn compacts(self) -> bool {
        self != CleanupPolicy::Delete
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            index_interval_bytes: 4096,
            retention_ms: Some(7 * 24 * 3600 * 1000),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            flush: FlushPolicy::Never,
            min_insync_replicas: 1,
            log_append_time: false,
            cleanup: CleanupPolicy::Delete,
            delete_retention_ms: 24 * 3600 * 1000,
            min_cleanable_dirty_millionths: 500_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX.cast_unsigned(),
            recycle_segments: 0,
        }
    }
}

/// How consumer groups are coordinated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout: Duration,
    /// `group.initial.rebalance.delay.ms`: an empty group waits so long for more members once the first has come.
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`: members at most, those that were only given an id among them. Kafka has no bound unless it is set.
    pub max_size: usize,
    /// `group.consumer.session.timeout.ms`: so long may a member of the newer protocol be silent (KIP-848).
    pub consumer_session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`: what it is told.
    pub consumer_heartbeat_interval: Duration,
    /// `group.consumer.max.size`: members of such a group at most. Kafka has no bound unless it is set.
    pub consumer_max_size: usize,
    /// `group.consumer.assignors`: those that members may ask for; the first decides where they like none better.
    pub consumer_assignors: Vec<String>,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`.
    pub offsets_retention: Duration,
    /// `offsets.commit.timeout.ms`: a commit that is not committed by then is answered with an error, and may be so later.
    pub offsets_commit_timeout: Duration,
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_partitions: i32,
    /// `offsets.topic.replication.factor`; `None`: 3, or as many as there are voters, if those are fewer.
    pub offsets_topic_replication: Option<i16>,
    /// `offsets.topic.segment.bytes`.
    pub offsets_topic_segment_bytes: u64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(1800),
            initial_rebalance_delay: Duration::from_secs(3),
            max_size: 10_000,
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_secs(5),
            consumer_max_size: 1000,
            consumer_assignors: crate::group::consumer::ASSIGNORS.map(str::to_owned).to_vec(),
            offset_metadata_max_bytes: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            offsets_commit_timeout: Duration::from_secs(5),
            offsets_topic_partitions: 50,
            offsets_topic_replication: None,
            offsets_topic_segment_bytes: 100 << 20,
        }
    }
}

/// `process.roles`: what a node of a cluster is (KIP-500).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProcessRoles {
    /// `broker,controller`: it votes, and has replicas.
    #[default]
    Combined,
    /// `broker`: it has replicas, and no vote.
    Broker,
    /// `controller`: it votes, and serves no clients.
    Controller,
}

impl ProcessRoles {
    /// Whether it has replicas.
    pub fn serves(self) -> bool {
        self != ProcessRoles::Controller
    }
}

/// One broker's settings.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: crate::ids::NodeId,
    /// The cluster's id, shown to clients.
    pub cluster_id: String,
    /// `rack`.
    pub rack: Option<String>,
    /// Where to listen: `host:port`; port 0 lets the system choose.
    pub listen: String,
    /// The host clients are told to use; the listening host if `None`.
    pub advertised_host: Option<String>,
    /// Defaults for new topics.
    pub log: LogConfig,
    /// `num.partitions`, for topics created without a count.
    pub num_partitions: i32,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `socket.request.max.bytes`: the largest frame read.
    pub socket_request_max_bytes: u32,
    /// `max.connections`: one more is closed at once.
    pub max_connections: usize,
    /// `connections.max.idle.ms`.
    pub connections_max_idle: Duration,
    /// Requests of one connection that may wait for their answer; then its socket is not read.
    pub max_pipelined: usize,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.cleaner.backoff.ms`: how often it is looked for logs to compact.
    pub cleaner_backoff: Duration,
    /// `log.cleaner.dedupe.buffer.size`: bytes of keys that one pass of compaction takes note of.
    pub cleaner_dedupe_buffer: usize,
    /// `log.flush.offset.checkpoint.interval.ms`: how often recovery points are written down.
    pub checkpoint_interval: Duration,
    /// Segment files kept open at most, over all partitions.
    pub max_open_files: usize,
    /// `process.roles`. Whoever is not among the voters is a broker alone.
    pub process_roles: ProcessRoles,
    /// `controller.quorum.voters`: who votes on metadata, and where (`host:port`). Empty: this node alone.
    pub voters: Vec<(crate::ids::NodeId, String)>,
    /// `controller.quorum.election.timeout.ms`: a candidate that has not won by then (and a draw more) tries again.
    pub quorum_election_timeout: Duration,
    /// `controller.quorum.fetch.timeout.ms`: a voter that has heard nothing from its leader for so long stands for
    /// election; a leader that has not heard a majority for so long resigns.
    pub quorum_fetch_timeout: Duration,
    /// `metadata.log.max.record.bytes.between.snapshots`: a snapshot of the metadata is taken after so much of its log.
    pub metadata_snapshot_bytes: u64,
    /// `broker.heartbeat.interval.ms`.
    pub broker_heartbeat_interval: Duration,
    /// `broker.session.timeout.ms`: a broker silent for so long is fenced.
    pub broker_session_timeout: Duration,
    /// `replica.lag.time.max.ms`: a follower that has not caught up for so long leaves the in-sync set.
    pub replica_lag_time_max: Duration,
    /// `replica.fetch.wait.max.ms`.
    pub replica_fetch_wait_max: Duration,
    /// `replica.fetch.backoff.ms`: pause after a fetch from a leader failed.
    pub replica_fetch_backoff: Duration,
    /// `replica.fetch.max.bytes`, for each partition.
    pub replica_fetch_max_bytes: u32,
    /// `replica.fetch.response.max.bytes`, for all partitions of one fetch.
    pub replica_fetch_response_max_bytes: u32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `unclean.leader.election.enable`, for topics that do not say.
    pub unclean_leader_election: bool,
    /// `unclean.leader.election.interval.ms`: how often it is tried where nobody leads.
    pub unclean_leader_election_interval: Duration,
    /// `auto.leader.rebalance.enable`: preferred leaders are put back from time to time.
    pub auto_leader_rebalance: bool,
    /// `leader.imbalance.check.interval.seconds`.
    pub leader_imbalance_check_interval: Duration,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration: Duration,
    /// Consumer groups.
    pub groups: GroupConfig,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            node_id: crate::ids::NodeId(0),
            cluster_id: "logquake".into(),
            rack: None,
            listen: "127.0.0.1:9092".into(),
            advertised_host: None,
            log: LogConfig::default(),
            num_partitions: 1,
            auto_create_topics: true,
            socket_request_max_bytes: 100 << 20,
            max_connections: 4096,
            connections_max_idle: Duration::from_secs(600),
            max_pipelined: 64,
            retention_check_interval: Duration::from_secs(300),
            cleaner_backoff: Duration::from_secs(15),
            cleaner_dedupe_buffer: 128 << 20,
            checkpoint_interval: Duration::from_secs(60),
            max_open_files: 2048,
            process_roles: ProcessRoles::Combined,
            voters: Vec::new(),
            quorum_election_timeout: Duration::from_millis(1000),
            quorum_fetch_timeout: Duration::from_millis(2000),
            metadata_snapshot_bytes: 20 << 20,
            broker_heartbeat_interval: Duration::from_millis(2000),
            broker_session_timeout: Duration::from_millis(9000),
            replica_lag_time_max: Duration::from_secs(30),
            replica_fetch_wait_max: Duration::from_millis(500),
            replica_fetch_backoff: Duration::from_millis(1000),
            replica_fetch_max_bytes: 1 << 20,
            replica_fetch_response_max_bytes: 10 << 20,
            default_replication_factor: 1,
            unclean_leader_election: false,
            unclean_leader_election_interval: Duration::from_secs(300),
            auto_leader_rebalance: true,
            leader_imbalance_check_interval: Duration::from_secs(300),
            producer_id_expiration: Duration::from_secs(86_400),
            groups: GroupConfig::default(),
        }
    }
}
