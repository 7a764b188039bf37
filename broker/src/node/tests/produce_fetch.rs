//! What is produced is fetched, by every version, and again after a restart.

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;

use crate::config::FlushPolicy;
use crate::controller::record::text;
use crate::node::testing::*;
use crate::record::{Compression, Unpacked};

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Creates a topic; returns Kafka's error code and its identity.
pub async fn create(wire: &mut Wire, name: &str, partitions: i32) -> (i16, uuid::Uuid) {
    let wanted =
        CreatableTopic::default().with_name(topic(name)).with_num_partitions(partitions).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]);
    let response = wire.ask(7, &request).await;
    (response.topics[0].error_code, response.topics[0].topic_id)
}

/// A produce request of one batch.
pub fn produce(name: &str, id: uuid::Uuid, version: i16, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let data = TopicProduceData::default().with_partition_data(vec![data]);
    let data = if version >= 13 { data.with_topic_id(id) } else { data.with_name(topic(name)) };
    ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![data])
}

/// A fetch of one partition that does not wait.
pub fn fetch(name: &str, id: uuid::Uuid, version: i16, partition: i32, offset: i64) -> FetchRequest {
    let wanted =
        FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let wanted = FetchTopic::default().with_partitions(vec![wanted]);
    let wanted = if version >= 13 { wanted.with_topic_id(id) } else { wanted.with_topic(topic(name)) };
    let request = FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![wanted]).with_min_bytes(1);
    if version >= 7 { request.with_session_epoch(0) } else { request }
}

/// The values in fetched batches.
pub fn values(records: &Bytes) -> Vec<(i64, String)> {
    let mut bytes = records.clone();
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let batch = Unpacked::take(&mut bytes, 1 << 20).unwrap();
        for record in batch.records() {
            let record = record.unwrap();
            out.push((record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
        }
    }
    out
}

#[test]
fn every_version_of_produce_and_fetch_carries_every_codec() {
    let root = tempfile::tempdir().unwrap();
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let (expected, _) = with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        let (error, id) = create(&mut wire, "t", 1).await;
        assert_eq!(error, 0);
        let mut expected = Vec::new();
        for version in 7..=13 {
            for (at, codec) in codecs.iter().enumerate() {
                let value = format!("{version}-{at}");
                let request = produce("t", id, version, 0, -1, batch(&[&value], *codec));
                let response = wire.ask(version, &request).await;
                let done = &response.responses[0].partition_responses[0];
                assert_eq!((done.error_code, done.base_offset), (0, i64::try_from(expected.len()).unwrap()));
                expected.push((done.base_offset, value));
            }
        }
        for version in 10..=17 {
            let response = wire.ask(version, &fetch("t", id, version, 0, 0)).await;
            let part = &response.responses[0].partitions[0];
            assert_eq!((part.error_code, part.high_watermark), (0, i64::try_from(expected.len()).unwrap()));
            assert_eq!(values(part.records.as_ref().unwrap()), expected);
        }
        (expected, id)
    });
    let (expected, id) = expected;
    with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        let response = wire.ask(17, &fetch("t", id, 17, 0, 3)).await;
        assert_eq!(values(response.responses[0].partitions[0].records.as_ref().unwrap()), expected[3..]);
    });
}
