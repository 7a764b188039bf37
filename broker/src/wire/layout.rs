//! The layout of every request this broker decodes, by version, as far as bounds need it: which fields are there, and
//! which of them carry a length or a count. After Kafka's message schemas (`clients/src/main/resources/common/message`).

use super::guard::{Layout, Shape, Tag, What};
use super::words::{BOOL, I8, I16, I32, I64, UUID, always, shape, since, within};
use What::{Blob, List, Structs, Text};

const PRODUCE_PARTITION: Shape = shape(&[always(I32), always(Blob)]);
const PRODUCE_TOPIC: Shape = shape(&[within(0, 12, Text), since(13, UUID), always(Structs(&PRODUCE_PARTITION))]);
/// Produce. Versions 0 to 2 are walked too: they are answered with an error that names their partitions.
pub const PRODUCE: Layout =
    Layout { flexible: 9, body: shape(&[since(3, Text), always(I16), always(I32), always(Structs(&PRODUCE_TOPIC))]) };

const FETCH_PARTITION: Shape = Shape {
    fields: &[always(I32), since(9, I32), always(I64), since(12, I32), since(5, I64), always(I32)],
    tags: &[Tag { number: 0, since: 17, what: UUID }, Tag { number: 1, since: 18, what: I64 }],
};
const FETCH_TOPIC: Shape = shape(&[within(0, 12, Text), since(13, UUID), always(Structs(&FETCH_PARTITION))]);
const FORGOTTEN: Shape = shape(&[within(0, 12, Text), since(13, UUID), always(List(&I32))]);
const REPLICA_STATE: Shape = shape(&[always(I32), always(I64)]);
/// Fetch.
pub const FETCH: Layout = Layout {
    flexible: 12,
    body: Shape {
        fields: &[
            within(0, 14, I32),
            always(I32),
            always(I32),
            always(I32),
            always(I8),
            since(7, I32),
            since(7, I32),
            always(Structs(&FETCH_TOPIC)),
            since(7, Structs(&FORGOTTEN)),
            since(11, Text),
        ],
        tags: &[
            Tag { number: 0, since: 0, what: Text },
            Tag { number: 1, since: 15, what: What::Struct(&REPLICA_STATE) },
        ],
    },
};

const LIST_OFFSETS_PARTITION: Shape = shape(&[always(I32), since(4, I32), always(I64)]);
const LIST_OFFSETS_TOPIC: Shape = shape(&[always(Text), always(Structs(&LIST_OFFSETS_PARTITION))]);
/// ListOffsets.
pub const LIST_OFFSETS: Layout = Layout {
    flexible: 6,
    body: shape(&[always(I32), since(2, I8), always(Structs(&LIST_OFFSETS_TOPIC)), since(10, I32)]),
};

const METADATA_TOPIC: Shape = shape(&[since(10, UUID), always(Text)]);
/// Metadata.
pub const METADATA: Layout = Layout {
    flexible: 9,
    body: shape(&[always(Structs(&METADATA_TOPIC)), since(4, BOOL), within(8, 10, BOOL), since(8, BOOL)]),
};

/// ApiVersions.
pub const API_VERSIONS: Layout = Layout { flexible: 3, body: shape(&[since(3, Text), since(3, Text)]) };

const ASSIGNMENT: Shape = shape(&[always(I32), always(List(&I32))]);
const NAME_VALUE: Shape = shape(&[always(Text), always(Text)]);
const CREATABLE_TOPIC: Shape =
    shape(&[always(Text), always(I32), always(I16), always(Structs(&ASSIGNMENT)), always(Structs(&NAME_VALUE))]);
/// CreateTopics.
pub const CREATE_TOPICS: Layout =
    Layout { flexible: 5, body: shape(&[always(Structs(&CREATABLE_TOPIC)), always(I32), always(BOOL)]) };

const DELETE_TOPIC: Shape = shape(&[always(Text), always(UUID)]);
/// DeleteTopics.
pub const DELETE_TOPICS: Layout =
    Layout { flexible: 4, body: shape(&[since(6, Structs(&DELETE_TOPIC)), within(0, 5, List(&Text)), always(I32)]) };

const DELETE_RECORDS_PARTITION: Shape = shape(&[always(I32), always(I64)]);
const DELETE_RECORDS_TOPIC: Shape = shape(&[always(Text), always(Structs(&DELETE_RECORDS_PARTITION))]);
/// DeleteRecords.
pub const DELETE_RECORDS: Layout =
    Layout { flexible: 2, body: shape(&[always(Structs(&DELETE_RECORDS_TOPIC)), always(I32)]) };

const EPOCH_PARTITION: Shape = shape(&[always(I32), always(I32), always(I32)]);
const EPOCH_TOPIC: Shape = shape(&[always(Text), always(Structs(&EPOCH_PARTITION))]);
/// OffsetForLeaderEpoch.
pub const OFFSET_FOR_LEADER_EPOCH: Layout =
    Layout { flexible: 4, body: shape(&[since(3, I32), always(Structs(&EPOCH_TOPIC))]) };

const CONFIG_RESOURCE: Shape = shape(&[always(I8), always(Text), always(List(&Text))]);
/// DescribeConfigs.
pub const DESCRIBE_CONFIGS: Layout =
    Layout { flexible: 4, body: shape(&[always(Structs(&CONFIG_RESOURCE)), always(BOOL), since(3, BOOL)]) };

const SETTING: Shape = shape(&[always(Text), always(Text)]);
const SET_RESOURCE: Shape = shape(&[always(I8), always(Text), always(Structs(&SETTING))]);
/// AlterConfigs.
pub const ALTER_CONFIGS: Layout = Layout { flexible: 2, body: shape(&[always(Structs(&SET_RESOURCE)), always(BOOL)]) };

const LOG_DIR_TOPIC: Shape = shape(&[always(Text), always(List(&I32))]);
/// DescribeLogDirs.
pub const DESCRIBE_LOG_DIRS: Layout = Layout { flexible: 2, body: shape(&[always(Structs(&LOG_DIR_TOPIC))]) };

const NEW_ASSIGNMENT: Shape = shape(&[always(List(&I32))]);
const MORE_PARTITIONS: Shape = shape(&[always(Text), always(I32), always(Structs(&NEW_ASSIGNMENT))]);
/// CreatePartitions.
pub const CREATE_PARTITIONS: Layout =
    Layout { flexible: 2, body: shape(&[always(Structs(&MORE_PARTITIONS)), always(I32), always(BOOL)]) };

const ALTERATION: Shape = shape(&[always(Text), always(I8), always(Text)]);
const ALTER_RESOURCE: Shape = shape(&[always(I8), always(Text), always(Structs(&ALTERATION))]);
/// IncrementalAlterConfigs.
pub const INCREMENTAL_ALTER_CONFIGS: Layout =
    Layout { flexible: 1, body: shape(&[always(Structs(&ALTER_RESOURCE)), always(BOOL)]) };

/// InitProducerId.
pub const INIT_PRODUCER_ID: Layout =
    Layout { flexible: 2, body: shape(&[always(Text), always(I32), since(3, I64), since(3, I16)]) };

/// DescribeCluster.
pub const DESCRIBE_CLUSTER: Layout = Layout { flexible: 0, body: shape(&[always(BOOL), since(1, I8), since(2, BOOL)]) };

const VOTE_PARTITION: Shape = shape(&[
    always(I32),
    always(I32),
    always(I32),
    since(1, UUID),
    since(1, UUID),
    always(I32),
    always(I64),
    since(2, BOOL),
]);
const VOTE_TOPIC: Shape = shape(&[always(Text), always(Structs(&VOTE_PARTITION))]);
/// Vote (KIP-595, KIP-996).
pub const VOTE: Layout =
    Layout { flexible: 0, body: shape(&[always(Text), since(1, I32), always(Structs(&VOTE_TOPIC))]) };

const ENDPOINT: Shape = shape(&[always(Text), always(Text), always(I16)]);
const BEGIN_EPOCH_PARTITION: Shape = shape(&[always(I32), since(1, UUID), always(I32), always(I32)]);
const BEGIN_EPOCH_TOPIC: Shape = shape(&[always(Text), always(Structs(&BEGIN_EPOCH_PARTITION))]);
/// BeginQuorumEpoch (KIP-595).
pub const BEGIN_QUORUM_EPOCH: Layout = Layout {
    flexible: 1,
    body: shape(&[always(Text), since(1, I32), always(Structs(&BEGIN_EPOCH_TOPIC)), since(1, Structs(&ENDPOINT))]),
};

const CANDIDATE: Shape = shape(&[always(I32), always(UUID)]);
const END_EPOCH_PARTITION: Shape =
    shape(&[always(I32), always(I32), always(I32), within(0, 0, List(&I32)), since(1, Structs(&CANDIDATE))]);
const END_EPOCH_TOPIC: Shape = shape(&[always(Text), always(Structs(&END_EPOCH_PARTITION))]);
/// EndQuorumEpoch (KIP-595).
pub const END_QUORUM_EPOCH: Layout = Layout {
    flexible: 1,
    body: shape(&[always(Text), always(Structs(&END_EPOCH_TOPIC)), since(1, Structs(&ENDPOINT))]),
};

const QUORUM_PARTITION: Shape = shape(&[always(I32)]);
const QUORUM_TOPIC: Shape = shape(&[always(Text), always(Structs(&QUORUM_PARTITION))]);
/// DescribeQuorum.
pub const DESCRIBE_QUORUM: Layout = Layout { flexible: 0, body: shape(&[always(Structs(&QUORUM_TOPIC))]) };

const IN_SYNC_BROKER: Shape = shape(&[always(I32), always(I64)]);
const ALTER_PARTITION_PARTITION: Shape = shape(&[
    always(I32),
    always(I32),
    within(0, 2, List(&I32)),
    since(3, Structs(&IN_SYNC_BROKER)),
    always(I8),
    always(I32),
]);
const ALTER_PARTITION_TOPIC: Shape = shape(&[always(UUID), always(Structs(&ALTER_PARTITION_PARTITION))]);
/// AlterPartition (KIP-497, KIP-903).
pub const ALTER_PARTITION: Layout =
    Layout { flexible: 0, body: shape(&[always(I32), always(I64), always(Structs(&ALTER_PARTITION_TOPIC))]) };

/// Envelope (KIP-590).
pub const ENVELOPE: Layout = Layout { flexible: 0, body: shape(&[always(Blob), always(Blob), always(Blob)]) };

const SNAPSHOT_ID: Shape = shape(&[always(I64), always(I32)]);
const SNAPSHOT_PARTITION: Shape = Shape {
    fields: &[always(I32), always(I32), always(What::Struct(&SNAPSHOT_ID)), always(I64)],
    tags: &[Tag { number: 0, since: 1, what: UUID }],
};
const SNAPSHOT_TOPIC: Shape = shape(&[always(Text), always(Structs(&SNAPSHOT_PARTITION))]);
/// FetchSnapshot (KIP-630).
pub const FETCH_SNAPSHOT: Layout = Layout {
    flexible: 0,
    body: Shape {
        fields: &[always(I32), always(I32), always(Structs(&SNAPSHOT_TOPIC))],
        tags: &[Tag { number: 0, since: 0, what: Text }],
    },
};

/// AddRaftVoter (KIP-853).
pub const ADD_RAFT_VOTER: Layout = Layout {
    flexible: 0,
    body: shape(&[always(Text), always(I32), always(I32), always(UUID), always(Structs(&ENDPOINT))]),
};

/// RemoveRaftVoter (KIP-853).
pub const REMOVE_RAFT_VOTER: Layout = Layout { flexible: 0, body: shape(&[always(Text), always(I32), always(UUID)]) };

const LISTENER: Shape = shape(&[always(Text), always(Text), always(I16), always(I16)]);
const FEATURE: Shape = shape(&[always(Text), always(I16), always(I16)]);
/// BrokerRegistration (KIP-500).
pub const BROKER_REGISTRATION: Layout = Layout {
    flexible: 0,
    body: shape(&[
        always(I32),
        always(Text),
        always(UUID),
        always(Structs(&LISTENER)),
        always(Structs(&FEATURE)),
        always(Text),
        since(1, BOOL),
        since(2, List(&UUID)),
        since(3, I64),
    ]),
};

/// BrokerHeartbeat (KIP-500).
pub const BROKER_HEARTBEAT: Layout = Layout {
    flexible: 0,
    body: Shape {
        fields: &[always(I32), always(I64), always(I64), always(BOOL), always(BOOL)],
        tags: &[Tag { number: 0, since: 1, what: List(&UUID) }],
    },
};

/// AllocateProducerIds (KIP-730).
pub const ALLOCATE_PRODUCER_IDS: Layout = Layout { flexible: 0, body: shape(&[always(I32), always(I64)]) };

const ELECT_TOPIC: Shape = shape(&[always(Text), always(List(&I32))]);
/// ElectLeaders (KIP-183, KIP-460).
pub const ELECT_LEADERS: Layout =
    Layout { flexible: 2, body: shape(&[since(1, I8), always(Structs(&ELECT_TOPIC)), always(I32)]) };

const REASSIGNED: Shape = shape(&[always(I32), always(List(&I32))]);
const REASSIGNED_TOPIC: Shape = shape(&[always(Text), always(Structs(&REASSIGNED))]);
/// AlterPartitionReassignments (KIP-455).
pub const ALTER_PARTITION_REASSIGNMENTS: Layout =
    Layout { flexible: 0, body: shape(&[always(I32), since(1, BOOL), always(Structs(&REASSIGNED_TOPIC))]) };

/// UnregisterBroker (KIP-500).
pub const UNREGISTER_BROKER: Layout = Layout { flexible: 0, body: shape(&[always(I32)]) };

/// ListPartitionReassignments (KIP-455).
pub const LIST_PARTITION_REASSIGNMENTS: Layout =
    Layout { flexible: 0, body: shape(&[always(I32), always(Structs(&ELECT_TOPIC))]) };

/// FindCoordinator (KIP-699: several keys).
pub const FIND_COORDINATOR: Layout =
    Layout { flexible: 3, body: shape(&[within(0, 3, Text), since(1, I8), since(4, List(&Text))]) };

const GROUP_PROTOCOL: Shape = shape(&[always(Text), always(Blob)]);
/// JoinGroup.
pub const JOIN_GROUP: Layout = Layout {
    flexible: 6,
    body: shape(&[
        always(Text),
        always(I32),
        since(1, I32),
        always(Text),
        since(5, Text),
        always(Text),
        always(Structs(&GROUP_PROTOCOL)),
        since(8, Text),
    ]),
};

const GROUP_ASSIGNMENT: Shape = shape(&[always(Text), always(Blob)]);
/// SyncGroup.
pub const SYNC_GROUP: Layout = Layout {
    flexible: 4,
    body: shape(&[
        always(Text),
        always(I32),
        always(Text),
        since(3, Text),
        since(5, Text),
        since(5, Text),
        always(Structs(&GROUP_ASSIGNMENT)),
    ]),
};

/// Heartbeat.
pub const HEARTBEAT: Layout =
    Layout { flexible: 4, body: shape(&[always(Text), always(I32), always(Text), since(3, Text)]) };

const OWNED: Shape = shape(&[always(UUID), always(List(&I32))]);
/// ConsumerGroupHeartbeat (KIP-848).
pub const CONSUMER_GROUP_HEARTBEAT: Layout = Layout {
    flexible: 0,
    body: shape(&[
        always(Text),
        always(Text),
        always(I32),
        always(Text),
        always(Text),
        always(I32),
        always(List(&Text)),
        since(1, Text),
        always(Text),
        always(Structs(&OWNED)),
    ]),
};

/// ConsumerGroupDescribe.
pub const CONSUMER_GROUP_DESCRIBE: Layout = Layout { flexible: 0, body: shape(&[always(List(&Text)), always(BOOL)]) };

const LEAVING: Shape = shape(&[always(Text), always(Text), since(5, Text)]);
/// LeaveGroup.
pub const LEAVE_GROUP: Layout =
    Layout { flexible: 4, body: shape(&[always(Text), within(0, 2, Text), since(3, Structs(&LEAVING))]) };

const COMMIT_PARTITION: Shape = shape(&[always(I32), always(I64), since(6, I32), always(Text)]);
const COMMIT_TOPIC: Shape = shape(&[within(0, 9, Text), since(10, UUID), always(Structs(&COMMIT_PARTITION))]);
/// OffsetCommit, from version 2 on.
pub const OFFSET_COMMIT: Layout = Layout {
    flexible: 8,
    body: shape(&[
        always(Text),
        always(I32),
        always(Text),
        since(7, Text),
        within(2, 4, I64),
        always(Structs(&COMMIT_TOPIC)),
    ]),
};

const FETCHED_TOPIC: Shape = shape(&[always(Text), always(List(&I32))]);
const FETCHED_TOPIC_OF_GROUP: Shape = shape(&[within(8, 9, Text), since(10, UUID), always(List(&I32))]);
const FETCHED_GROUP: Shape =
    shape(&[always(Text), since(9, Text), since(9, I32), always(Structs(&FETCHED_TOPIC_OF_GROUP))]);
/// OffsetFetch.
pub const OFFSET_FETCH: Layout = Layout {
    flexible: 6,
    body: shape(&[
        within(0, 7, Text),
        within(0, 7, Structs(&FETCHED_TOPIC)),
        since(8, Structs(&FETCHED_GROUP)),
        since(7, BOOL),
    ]),
};

const DELETED_PARTITION: Shape = shape(&[always(I32)]);
const DELETED_TOPIC: Shape = shape(&[always(Text), always(Structs(&DELETED_PARTITION))]);
/// OffsetDelete (KIP-496): never flexible.
pub const OFFSET_DELETE: Layout =
    Layout { flexible: i16::MAX, body: shape(&[always(Text), always(Structs(&DELETED_TOPIC))]) };

/// DescribeGroups.
pub const DESCRIBE_GROUPS: Layout = Layout { flexible: 5, body: shape(&[always(List(&Text)), since(3, BOOL)]) };

/// ListGroups.
pub const LIST_GROUPS: Layout = Layout { flexible: 3, body: shape(&[since(4, List(&Text)), since(5, List(&Text))]) };

/// DeleteGroups.
pub const DELETE_GROUPS: Layout = Layout { flexible: 2, body: shape(&[always(List(&Text))]) };
