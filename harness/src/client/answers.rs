//! The layout of every answer this client decodes, so that a broker's lie about a count cannot take all memory: what
//! [`broker::wire::guard`] does for requests, for the other direction. After Kafka's message schemas.

use What::{Blob, List, Struct, Structs, Text};
use broker::wire::guard::{Layout, Shape, What};
use broker::wire::words::{BOOL, I8, I16, I32, I64, UUID, always, shape, since, tag, within};
use kafka_protocol::messages::ApiKey;

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
const FETCHED_TOPIC: Shape = shape(&[always(Text), always(Structs(&FETCHED))]);
const FETCH: Layout = Layout {
    flexible: 12,
    body: shape(&[since(1, I32), since(7, I16), since(7, I32), always(Structs(&FETCHED_TOPIC))]),
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
const METADATA: Layout = Layout {
    flexible: 9,
    body: shape(&[
        since(3, I32),
        always(Structs(&ENDPOINT)),
        since(2, Text),
        since(1, I32),
        always(Structs(&TOPIC)),
        within(8, 10, I32),
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

const REASSIGNED: Shape = shape(&[always(I32), always(I16), always(Text)]);
const REASSIGNED_TOPIC: Shape = shape(&[always(Text), always(Structs(&REASSIGNED))]);
const REASSIGN: Layout = Layout {
    flexible: 0,
    body: shape(&[always(I32), since(1, BOOL), always(I16), always(Text), always(Structs(&REASSIGNED_TOPIC))]),
};

/// The layout of the answers of API `key`, if this client speaks it.
pub fn layout(key: i16) -> Option<&'static Layout> {
    Some(match ApiKey::try_from(key).ok()? {
        ApiKey::Produce => &PRODUCE,
        ApiKey::Fetch => &FETCH,
        ApiKey::ListOffsets => &LIST_OFFSETS,
        ApiKey::Metadata => &METADATA,
        ApiKey::ApiVersions => &API_VERSIONS,
        ApiKey::CreateTopics => &CREATE_TOPICS,
        ApiKey::DeleteTopics => &DELETE_TOPICS,
        ApiKey::DeleteRecords => &DELETE_RECORDS,
        ApiKey::InitProducerId => &INIT_PRODUCER_ID,
        ApiKey::DescribeConfigs => &DESCRIBE_CONFIGS,
        ApiKey::CreatePartitions => &CREATE_PARTITIONS,
        ApiKey::IncrementalAlterConfigs => &ALTER_CONFIGS,
        ApiKey::ElectLeaders => &ELECT_LEADERS,
        ApiKey::AlterPartitionReassignments => &REASSIGN,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
