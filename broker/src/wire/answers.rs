//! The layout of every answer that a node or the suite's client decodes, so that another's lie about a count cannot take all
//! memory: what [`super::layout`] is for requests. After Kafka's message schemas
//! (`clients/src/main/resources/common/message`).

use What::{Blob, List, Maybe, Struct, Structs, Text};
use kafka_protocol::messages::ApiKey;

use super::guard::{Layout, Shape, What};
use super::words::{BOOL, I8, I16, I32, I64, UUID, always, shape, since, tag, within};

const ENDPOINT: Shape = shape(&[always(I32), always(Text), always(I32), always(Text)]);
const LEADER: Shape = shape(&[always(I32), always(I32)]);

const RECORD_ERROR: Shape = shape(&[always(I32), always(Text)]);
const PRODUCED: Shape = Shape {
    fields: &[
        always(I32),
        always(I16),
        always(I64),
        since(2, I64),
        since(5, I64),
        since(8, Structs(&RECORD_ERROR)),
        since(8, Text),
    ],
    tags: &[tag(0, 10, Struct(&LEADER))],
};
const PRODUCED_TOPIC: Shape = shape(&[always(Text), always(Structs(&PRODUCED))]);
const PRODUCE: Layout = Layout {
    flexible: 9,
    body: Shape { fields: &[always(Structs(&PRODUCED_TOPIC)), since(1, I32)], tags: &[tag(0, 10, Structs(&ENDPOINT))] },
};

const ABORTED: Shape = shape(&[always(I64), always(I64)]);
const DIVERGING: Shape = shape(&[always(I32), always(I64)]);
const SNAPSHOT: Shape = shape(&[always(I64), always(I32)]);
const FETCHED: Shape = Shape {
    fields: &[
        always(I32),
        always(I16),
        always(I64),
        since(4, I64),
        since(5, I64),
        since(4, Structs(&ABORTED)),
        since(11, I32),
        always(Blob),
    ],
    tags: &[tag(0, 12, Struct(&DIVERGING)), tag(1, 12, Struct(&LEADER)), tag(2, 12, Struct(&SNAPSHOT))],
};
const FETCHED_TOPIC: Shape = shape(&[within(0, 12, Text), since(13, UUID), always(Structs(&FETCHED))]);
const FETCH: Layout = Layout {
    flexible: 12,
    body: Shape {
        fields: &[since(1, I32), since(7, I16), since(7, I32), always(Structs(&FETCHED_TOPIC))],
        tags: &[tag(0, 16, Structs(&ENDPOINT))],
    },
};

const LISTED: Shape = shape(&[always(I32), always(I16), since(1, I64), since(1, I64), since(4, I32)]);
const LISTED_TOPIC: Shape = shape(&[always(Text), always(Structs(&LISTED))]);
const LIST_OFFSETS: Layout = Layout { flexible: 6, body: shape(&[since(2, I32), always(Structs(&LISTED_TOPIC))]) };

const PARTITION: Shape = shape(&[
    always(I16),
    always(I32),
    always(I32),
    since(7, I32),
    always(List(&I32)),
    always(List(&I32)),
    since(5, List(&I32)),
]);
const TOPIC: Shape =
    shape(&[always(I16), always(Text), since(10, UUID), since(1, BOOL), always(Structs(&PARTITION)), since(8, I32)]);
const METADATA_BROKER: Shape = shape(&[always(I32), always(Text), always(I32), since(1, Text)]);
const METADATA: Layout = Layout {
    flexible: 9,
    body: shape(&[
        since(3, I32),
        always(Structs(&METADATA_BROKER)),
        since(2, Text),
        since(1, I32),
        always(Structs(&TOPIC)),
        within(8, 10, I32),
        since(13, I16),
    ]),
};

const VERSIONS_OF: Shape = shape(&[always(I16), always(I16), always(I16)]);
const FEATURE: Shape = shape(&[always(Text), always(I16), always(I16)]);
const API_VERSIONS: Layout = Layout {
    flexible: 3,
    body: Shape {
        fields: &[always(I16), always(Structs(&VERSIONS_OF)), since(1, I32)],
        tags: &[tag(0, 3, Structs(&FEATURE)), tag(1, 3, I64), tag(2, 3, Structs(&FEATURE)), tag(3, 3, BOOL)],
    },
};

const CONFIG_OF: Shape = shape(&[always(Text), always(Text), always(BOOL), always(I8), always(BOOL)]);
const CREATED: Shape = Shape {
    fields: &[
        always(Text),
        since(7, UUID),
        always(I16),
        since(1, Text),
        since(5, I32),
        since(5, I16),
        since(5, Structs(&CONFIG_OF)),
    ],
    tags: &[tag(0, 5, I16)],
};
const CREATE_TOPICS: Layout = Layout { flexible: 5, body: shape(&[since(2, I32), always(Structs(&CREATED))]) };

const DELETED: Shape = shape(&[always(Text), since(6, UUID), always(I16), since(5, Text)]);
const DELETE_TOPICS: Layout = Layout { flexible: 4, body: shape(&[since(1, I32), always(Structs(&DELETED))]) };

const GROWN: Shape = shape(&[always(Text), always(I16), always(Text)]);
const CREATE_PARTITIONS: Layout = Layout { flexible: 2, body: shape(&[always(I32), always(Structs(&GROWN))]) };

const TRIMMED: Shape = shape(&[always(I32), always(I64), always(I16)]);
const TRIMMED_TOPIC: Shape = shape(&[always(Text), always(Structs(&TRIMMED))]);
const DELETE_RECORDS: Layout = Layout { flexible: 2, body: shape(&[always(I32), always(Structs(&TRIMMED_TOPIC))]) };

const INIT_PRODUCER_ID: Layout =
    Layout { flexible: 2, body: shape(&[always(I32), always(I16), always(I64), always(I16)]) };

const SYNONYM: Shape = shape(&[always(Text), always(Text), always(I8)]);
const DESCRIBED: Shape = shape(&[
    always(Text),
    always(Text),
    always(BOOL),
    since(1, I8),
    always(BOOL),
    since(1, Structs(&SYNONYM)),
    since(3, I8),
    since(3, Text),
]);
const DESCRIBED_RESOURCE: Shape =
    shape(&[always(I16), always(Text), always(I8), always(Text), always(Structs(&DESCRIBED))]);
const DESCRIBE_CONFIGS: Layout =
    Layout { flexible: 4, body: shape(&[always(I32), always(Structs(&DESCRIBED_RESOURCE))]) };

const ALTERED: Shape = shape(&[always(I16), always(Text), always(I8), always(Text)]);
const ALTER_CONFIGS: Layout = Layout { flexible: 1, body: shape(&[always(I32), always(Structs(&ALTERED))]) };

const ELECTED: Shape = shape(&[always(I32), always(I16), always(Text)]);
const ELECTED_TOPIC: Shape = shape(&[always(Text), always(Structs(&ELECTED))]);
const ELECT_LEADERS: Layout =
    Layout { flexible: 2, body: shape(&[always(I32), since(1, I16), always(Structs(&ELECTED_TOPIC))]) };

/// AddRaftVoter and RemoveRaftVoter (KIP-853).
const VOTER_CHANGED: Layout = Layout { flexible: 0, body: shape(&[always(I32), always(I16), always(Text)]) };

const REASSIGNED: Shape = shape(&[always(I32), always(I16), always(Text)]);
const REASSIGNED_TOPIC: Shape = shape(&[always(Text), always(Structs(&REASSIGNED))]);
const REASSIGN: Layout = Layout {
    flexible: 0,
    body: shape(&[always(I32), since(1, BOOL), always(I16), always(Text), always(Structs(&REASSIGNED_TOPIC))]),
};

/// A controller's endpoint: node, host, port.
const VOTER: Shape = shape(&[always(I32), always(Text), always(I16)]);
const VOTED: Shape = shape(&[always(I32), always(I16), always(I32), always(I32), always(BOOL)]);
const VOTED_TOPIC: Shape = shape(&[always(Text), always(Structs(&VOTED))]);
const VOTE: Layout = Layout {
    flexible: 0,
    body: Shape { fields: &[always(I16), always(Structs(&VOTED_TOPIC))], tags: &[tag(0, 1, Structs(&VOTER))] },
};

const EPOCH: Shape = shape(&[always(I32), always(I16), always(I32), always(I32)]);
const EPOCH_TOPIC: Shape = shape(&[always(Text), always(Structs(&EPOCH))]);
/// BeginQuorumEpoch and EndQuorumEpoch.
const QUORUM_EPOCH: Layout = Layout {
    flexible: 1,
    body: Shape { fields: &[always(I16), always(Structs(&EPOCH_TOPIC))], tags: &[tag(0, 1, Structs(&VOTER))] },
};

const SNAPSHOT_ID: Shape = shape(&[always(I64), always(I32)]);
const PIECE: Shape = Shape {
    fields: &[always(I32), always(I16), always(Struct(&SNAPSHOT_ID)), always(I64), always(I64), always(Blob)],
    tags: &[tag(0, 0, Struct(&LEADER))],
};
const PIECE_TOPIC: Shape = shape(&[always(Text), always(Structs(&PIECE))]);
const FETCH_SNAPSHOT: Layout = Layout {
    flexible: 0,
    body: Shape {
        fields: &[always(I32), always(I16), always(Structs(&PIECE_TOPIC))],
        tags: &[tag(0, 1, Structs(&VOTER))],
    },
};

const CHANGED: Shape =
    shape(&[always(I32), always(I16), always(I32), always(I32), always(List(&I32)), always(I8), always(I32)]);
const CHANGED_TOPIC: Shape = shape(&[always(UUID), always(Structs(&CHANGED))]);
const ALTER_PARTITION: Layout =
    Layout { flexible: 0, body: shape(&[always(I32), always(I16), always(Structs(&CHANGED_TOPIC))]) };

const BROKER_REGISTRATION: Layout = Layout { flexible: 0, body: shape(&[always(I32), always(I16), always(I64)]) };
const BROKER_HEARTBEAT: Layout =
    Layout { flexible: 0, body: shape(&[always(I32), always(I16), always(BOOL), always(BOOL), always(BOOL)]) };
const ALLOCATE_PRODUCER_IDS: Layout =
    Layout { flexible: 0, body: shape(&[always(I32), always(I16), always(I64), always(I32)]) };
const ENVELOPE: Layout = Layout { flexible: 0, body: shape(&[always(Blob), always(I16)]) };

const COORDINATOR: Shape = shape(&[always(Text), always(I32), always(Text), always(I32), always(I16), always(Text)]);
const FIND_COORDINATOR: Layout = Layout {
    flexible: 3,
    body: shape(&[
        since(1, I32),
        within(0, 3, I16),
        within(1, 3, Text),
        within(0, 3, I32),
        within(0, 3, Text),
        within(0, 3, I32),
        since(4, Structs(&COORDINATOR)),
    ]),
};

const JOINED_MEMBER: Shape = shape(&[always(Text), since(5, Text), always(Blob)]);
const JOIN_GROUP: Layout = Layout {
    flexible: 6,
    body: shape(&[
        since(2, I32),
        always(I16),
        always(I32),
        since(7, Text),
        always(Text),
        always(Text),
        since(9, BOOL),
        always(Text),
        always(Structs(&JOINED_MEMBER)),
    ]),
};

const SYNC_GROUP: Layout =
    Layout { flexible: 4, body: shape(&[since(1, I32), always(I16), since(5, Text), since(5, Text), always(Blob)]) };

const HEARTBEAT: Layout = Layout { flexible: 4, body: shape(&[since(1, I32), always(I16)]) };

const ASSIGNED: Shape = shape(&[always(UUID), always(List(&I32))]);
const ASSIGNMENT: Shape = shape(&[always(Structs(&ASSIGNED))]);
const CONSUMER_GROUP_HEARTBEAT: Layout = Layout {
    flexible: 0,
    body: shape(&[
        always(I32),
        always(I16),
        always(Text),
        always(Text),
        always(I32),
        always(I32),
        always(Maybe(&ASSIGNMENT)),
    ]),
};

const LEFT: Shape = shape(&[always(Text), always(Text), always(I16)]);
const LEAVE_GROUP: Layout =
    Layout { flexible: 4, body: shape(&[since(1, I32), always(I16), since(3, Structs(&LEFT))]) };

const COMMITTED: Shape = shape(&[always(I32), always(I16)]);
const COMMITTED_TOPIC: Shape = shape(&[within(0, 9, Text), since(10, UUID), always(Structs(&COMMITTED))]);
const OFFSET_COMMIT: Layout = Layout { flexible: 8, body: shape(&[since(3, I32), always(Structs(&COMMITTED_TOPIC))]) };

const OFFSET: Shape = shape(&[always(I32), always(I64), since(5, I32), always(Text), always(I16)]);
const OFFSET_TOPIC: Shape = shape(&[within(0, 9, Text), since(10, UUID), always(Structs(&OFFSET))]);
const OFFSET_GROUP: Shape = shape(&[always(Text), always(Structs(&OFFSET_TOPIC)), always(I16)]);
const OFFSET_FETCH: Layout = Layout {
    flexible: 6,
    body: shape(&[
        since(3, I32),
        within(0, 7, Structs(&OFFSET_TOPIC)),
        within(2, 7, I16),
        since(8, Structs(&OFFSET_GROUP)),
    ]),
};

const EPOCH_END: Shape = shape(&[always(I16), always(I32), since(1, I32), always(I64)]);
const EPOCH_END_TOPIC: Shape = shape(&[always(Text), always(Structs(&EPOCH_END))]);
const LEADER_EPOCH: Layout = Layout { flexible: 4, body: shape(&[since(2, I32), always(Structs(&EPOCH_END_TOPIC))]) };

/// The layout of the answers of API `key` in `version`, if anyone here decodes them: in another version it may be another,
/// and what passes a wrong one is not bounded at all.
pub fn layout(key: i16, version: i16) -> Option<&'static Layout> {
    let (versions, layout) = match ApiKey::try_from(key).ok()? {
        ApiKey::Produce => (9..=11, &PRODUCE),
        ApiKey::Fetch => (12..=17, &FETCH),
        ApiKey::ListOffsets => (6..=7, &LIST_OFFSETS),
        ApiKey::Metadata => (0..=13, &METADATA),
        ApiKey::OffsetCommit => (2..=9, &OFFSET_COMMIT),
        ApiKey::OffsetFetch => (1..=9, &OFFSET_FETCH),
        ApiKey::FindCoordinator => (0..=6, &FIND_COORDINATOR),
        ApiKey::JoinGroup => (0..=9, &JOIN_GROUP),
        ApiKey::Heartbeat => (0..=4, &HEARTBEAT),
        ApiKey::ConsumerGroupHeartbeat => (0..=1, &CONSUMER_GROUP_HEARTBEAT),
        ApiKey::LeaveGroup => (0..=5, &LEAVE_GROUP),
        ApiKey::SyncGroup => (0..=5, &SYNC_GROUP),
        ApiKey::OffsetForLeaderEpoch => (2..=4, &LEADER_EPOCH),
        ApiKey::ApiVersions => (0..=3, &API_VERSIONS),
        ApiKey::CreateTopics => (5..=7, &CREATE_TOPICS),
        ApiKey::DeleteTopics => (4..=5, &DELETE_TOPICS),
        ApiKey::DeleteRecords => (2..=2, &DELETE_RECORDS),
        ApiKey::InitProducerId => (3..=4, &INIT_PRODUCER_ID),
        ApiKey::DescribeConfigs => (4..=4, &DESCRIBE_CONFIGS),
        ApiKey::CreatePartitions => (2..=3, &CREATE_PARTITIONS),
        ApiKey::IncrementalAlterConfigs => (1..=1, &ALTER_CONFIGS),
        ApiKey::ElectLeaders => (2..=2, &ELECT_LEADERS),
        ApiKey::AlterPartitionReassignments => (0..=0, &REASSIGN),
        ApiKey::AddRaftVoter | ApiKey::RemoveRaftVoter => (0..=0, &VOTER_CHANGED),
        ApiKey::Vote => (0..=2, &VOTE),
        ApiKey::BeginQuorumEpoch | ApiKey::EndQuorumEpoch => (0..=1, &QUORUM_EPOCH),
        ApiKey::FetchSnapshot => (0..=1, &FETCH_SNAPSHOT),
        ApiKey::AlterPartition => (2..=3, &ALTER_PARTITION),
        ApiKey::BrokerRegistration => (0..=4, &BROKER_REGISTRATION),
        ApiKey::BrokerHeartbeat => (0..=1, &BROKER_HEARTBEAT),
        ApiKey::AllocateProducerIds => (0..=0, &ALLOCATE_PRODUCER_IDS),
        ApiKey::Envelope => (0..=0, &ENVELOPE),
        _ => return None,
    };
    versions.contains(&version).then_some(layout)
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
