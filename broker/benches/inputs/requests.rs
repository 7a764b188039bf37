//! Requests as they arrive, for benches.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, ProduceRequest, RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};

/// A Produce request (v9) for one partition, without its length prefix, whose records are so many `bytes`.
pub fn produce(bytes: usize) -> Bytes {
    let data = PartitionProduceData::default().with_records(Some(vec![7; bytes].into()));
    let data = TopicProduceData::default().with_name(topic()).with_partition_data(vec![data]);
    frame(9, &ProduceRequest::default().with_acks(-1).with_topic_data(vec![data]))
}

/// A Fetch request (v12) for so many `partitions` of one topic, without its length prefix.
pub fn fetch(partitions: usize) -> Bytes {
    let asked = FetchTopic::default().with_topic(topic()).with_partitions(vec![FetchPartition::default(); partitions]);
    frame(12, &FetchRequest::default().with_topics(vec![asked]))
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("topic"))
}

fn frame<R: Request>(version: i16, request: &R) -> Bytes {
    let mut out = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("bench")))
        .encode(&mut out, R::header_version(version))
        .expect("a header");
    request.encode(&mut out, version).expect("a request");
    out.freeze()
}
