//! The internal topic's records against bytes that Kafka's own tools read, and against noise.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::controller::record::text;
use crate::group::member::Member;
use crate::group::partition_of;
use crate::group::record::{Committed, Generation, Record};
use crate::ids::TopicPartition;

/// As `GroupCoordinatorRecordHelpers` of Kafka 4.1 lays them out.
#[test]
fn an_offset_is_laid_out_as_kafka_lays_it_out() {
    let committed = Committed { offset: 258, leader_epoch: 3, metadata: text("m"), at: 5 };
    let record = Record::Offset { group: text("g"), tp: TopicPartition::new("t", 7), committed: Some(committed) };
    let (key, value) = record.encode();
    assert_eq!(key, b"\0\x01\0\x01g\0\x01t\0\0\0\x07");
    let value = value.unwrap();
    assert_eq!(value, b"\0\x03\0\0\0\0\0\0\x01\x02\0\0\0\x03\0\x01m\0\0\0\0\0\0\0\x05");
    assert_eq!(Record::decode(&key, Some(&value)), Some(record));
    // Version 1, with the time it expires at, as brokers before 2.1 wrote it.
    let old = b"\0\x01\0\0\0\0\0\0\x01\x02\0\x01m\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x09";
    let Some(Record::Offset { committed: Some(old), .. }) = Record::decode(&key, Some(old)) else { panic!("not read") };
    assert_eq!((old.offset, old.leader_epoch, old.at), (258, -1, 5));
}

#[test]
fn a_generation_comes_back_as_it_was() {
    let member = Member {
        rebalance_timeout: Duration::from_millis(7),
        protocols: vec![(text("range"), Bytes::from_static(b"sub"))],
        assignment: Bytes::from_static(b"part"),
        ..Member::new(text("m"), Some(text("i")), text("c"), text("/h"), Duration::from_millis(6))
    };
    let generation = Generation {
        protocol_type: text("consumer"),
        generation: 4,
        protocol: Some(text("range")),
        leader: Some(text("m")),
        since: 9,
        members: vec![member],
    };
    let record = Record::Group { group: text("g"), generation: Some(generation) };
    let (key, value) = record.encode();
    assert_eq!(key, b"\0\x02\0\x01g");
    let value = value.unwrap();
    let expected = b"\0\x03\0\x08consumer\0\0\0\x04\0\x05range\0\x01m\0\0\0\0\0\0\0\x09\0\0\0\x01\0\x01m\0\x01i\0\x01c\0\x02/h\0\0\0\x07\0\0\0\x06\0\0\0\x03sub\0\0\0\x04part";
    assert_eq!(value, expected);
    assert_eq!(Record::decode(&key, Some(&value)), Some(record));
    assert_eq!(Record::decode(&key, None), Some(Record::Group { group: text("g"), generation: None }));
}

/// `"my-group".hashCode()` and the like, as Java computes them.
#[test]
fn groups_are_where_every_kafka_broker_has_them() {
    for (group, partition) in
        [("my-group", 36), ("g", 3), ("", 0), ("test-consumer-group", 17), ("h\u{e9}llo\u{1f600}", 15)]
    {
        assert_eq!(partition_of(group, 50), partition, "{group}");
    }
}

proptest! {
    #[test]
    fn noise_does_no_harm(key in prop::collection::vec(any::<u8>(), 0..40), value in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Record::decode(&key, Some(&value));
    }
}
