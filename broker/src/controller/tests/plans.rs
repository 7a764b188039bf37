//! Plans and the image they fold into.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use proptest::prelude::*;

use super::super::image::Image;
use super::super::partition::{Elected, NO_LEADER, PartitionDelta, PartitionState};
use super::super::plan::{self, Alteration, Denied, NewTopic};
use super::super::record::{Incarnation, MetadataRecord};
use super::{broker, counting, fold, id, settings};
use crate::ids::NodeId;

fn create(image: &Image, new: &NewTopic, n: u64) -> Result<Vec<MetadataRecord>, Denied> {
    plan::create(image, &settings(), new, id(n), &mut counting())
}

fn wanted(name: &str, partitions: i32) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication: -1, ..NewTopic::default() }
}

fn image(topics: &[(&str, i32)]) -> Image {
    let mut image = fold(&[broker(3, None, false)]);
    for (n, (name, partitions)) in (1..).zip(topics) {
        let records = create(&image, &wanted(name, *partitions), n).unwrap();
        records.iter().for_each(|record| image.apply(record));
    }
    image
}

fn refused(image: &Image, new: &NewTopic) -> ResponseError {
    create(image, new, 99).unwrap_err().error
}

#[test]
fn a_topic_has_the_partitions_and_settings_it_was_planned_with() {
    let mut new = wanted("t", -1);
    new.configs = vec![("retention.ms".into(), Some("5".into()))];
    let mut image = fold(&[broker(3, None, false)]);
    create(&image, &new, 1).unwrap().iter().for_each(|record| image.apply(record));
    let topic = image.topic("t").unwrap();
    assert_eq!(topic.partitions.len(), 4);
    assert_eq!(topic.configs, BTreeMap::from([("retention.ms".into(), "5".into())]));
    assert!(topic.partitions.iter().all(|p| p.leader == Some(NodeId(3)) && p.leader_epoch == 0));
    assert_eq!(image.topic_by_id(id(1)), Some(topic));
}

#[test]
fn what_kafka_refuses_is_refused_with_its_error() {
    let there = image(&[("a.b", 1)]);
    let with = |change: fn(&mut NewTopic)| {
        let mut new = wanted("new", 1);
        change(&mut new);
        new
    };
    let cases = [
        (wanted("", 1), ResponseError::InvalidTopicException),
        (wanted("..", 1), ResponseError::InvalidTopicException),
        (wanted("a b", 1), ResponseError::InvalidTopicException),
        (wanted(&"x".repeat(250), 1), ResponseError::InvalidTopicException),
        (wanted("__cluster_metadata", 1), ResponseError::InvalidTopicException),
        (wanted("a_b", 1), ResponseError::InvalidTopicException),
        (wanted("a.b", 1), ResponseError::TopicAlreadyExists),
        (wanted("new", 0), ResponseError::InvalidPartitions),
        (wanted("new", i32::MAX), ResponseError::InvalidPartitions),
        (with(|new| new.replication = 2), ResponseError::InvalidReplicationFactor),
        (with(|new| new.assignments = vec![(0, vec![3])]), ResponseError::InvalidRequest),
        (with(|new| new.configs = vec![("no".into(), Some("1".into()))]), ResponseError::InvalidConfig),
        (with(|new| new.configs = vec![("retention.ms".into(), None)]), ResponseError::InvalidConfig),
    ];
    for (new, error) in cases {
        assert_eq!(refused(&there, &new), error, "{new:?}");
    }
    let placed = |on: Vec<(i32, Vec<i32>)>| NewTopic { assignments: on, ..wanted("new", -1) };
    assert_eq!(refused(&there, &placed(vec![(0, vec![4])])), ResponseError::InvalidReplicaAssignment);
    assert_eq!(refused(&there, &placed(vec![(1, vec![3])])), ResponseError::InvalidReplicaAssignment);
    assert_eq!(create(&there, &placed(vec![(1, vec![3]), (0, vec![3])]), 9).unwrap().len(), 3);
}

#[test]
fn topics_grow_and_do_not_shrink() {
    let image = image(&[("t", 2)]);
    let grow = |count, on: Option<&[Vec<i32>]>| plan::grow(&image, "t", count, on, &mut counting());
    assert_eq!(grow(5, None).unwrap().len(), 3);
    assert_eq!(grow(2, None).unwrap_err().error, ResponseError::InvalidPartitions);
    assert_eq!(grow(3, Some(&[vec![3]])).unwrap().len(), 1);
    assert_eq!(grow(4, Some(&[vec![3]])).unwrap_err().error, ResponseError::InvalidReplicaAssignment);
    let unknown = plan::grow(&image, "u", 5, None, &mut counting()).unwrap_err().error;
    assert_eq!(unknown, ResponseError::UnknownTopicOrPartition);
}

#[test]
fn settings_change_all_together_or_not_at_all() {
    let mut image = image(&[("t", 1)]);
    let alter = |image: &Image, changes: &[(&str, Alteration)]| {
        let changes: Vec<_> = changes.iter().map(|(name, change)| ((*name).to_owned(), change.clone())).collect();
        plan::alter(image, &settings(), "t", &changes)
    };
    let text = |s: &str| s.to_owned();
    let records = alter(
        &image,
        &[
            ("retention.ms", Alteration::Set(text("7"))),
            ("leader.replication.throttled.replicas", Alteration::Append(text("0:1,0:2"))),
        ],
    );
    records.unwrap().iter().for_each(|record| image.apply(record));
    let records = alter(
        &image,
        &[
            ("retention.ms", Alteration::Delete),
            ("leader.replication.throttled.replicas", Alteration::Subtract(text("0:1"))),
        ],
    );
    records.unwrap().iter().for_each(|record| image.apply(record));
    let own = &image.topic("t").unwrap().configs;
    assert_eq!(own, &BTreeMap::from([(text("leader.replication.throttled.replicas"), text("0:2"))]));
    let error = |changes: &[(&str, Alteration)]| alter(&image, changes).unwrap_err().error;
    let bad = ("retention.ms", Alteration::Set(text("soon")));
    assert_eq!(error(&[("segment.bytes", Alteration::Set(text("99"))), bad]), ResponseError::InvalidConfig);
    assert_eq!(error(&[("retention.ms", Alteration::Append(text("1")))]), ResponseError::InvalidConfig);
    assert_eq!(error(&[("no.such", Alteration::Delete)]), ResponseError::InvalidConfig);
    let twice = ("retention.ms", Alteration::Delete);
    assert_eq!(error(&[twice.clone(), twice]), ResponseError::InvalidRequest);
}

fn nodes() -> impl Strategy<Value = Vec<NodeId>> {
    prop::collection::vec((0i32..3).prop_map(NodeId), 0..3)
}

fn elected() -> impl Strategy<Value = Elected> {
    prop_oneof![Just(Elected::Clean), Just(Elected::LastKnown), Just(Elected::Unclean)]
}

pub(super) fn states() -> impl Strategy<Value = PartitionState> {
    let epochs = (prop::option::of((0i32..3).prop_map(NodeId)), 0i32..9, 0i32..9);
    let sets = (nodes(), nodes(), nodes(), nodes(), nodes(), nodes());
    (epochs, sets, elected()).prop_map(|((leader, leader_epoch, partition_epoch), sets, elected)| {
        let (replicas, in_sync, adding, removing, elr, last_known_elr) = sets;
        PartitionState {
            leader,
            leader_epoch,
            partition_epoch,
            replicas,
            in_sync,
            adding,
            removing,
            elr,
            last_known_elr,
            elected,
        }
    })
}

fn deltas() -> impl Strategy<Value = PartitionDelta> {
    let leader = prop::option::of(prop_oneof![Just(NO_LEADER), (0i32..3).prop_map(NodeId)]);
    let set = || prop::option::of(nodes());
    let sets = (set(), set(), set(), set(), set(), set());
    (leader, prop::option::of(elected()), sets).prop_map(|(leader, elected, sets)| {
        let (replicas, in_sync, adding, removing, elr, last_known_elr) = sets;
        PartitionDelta { leader, elected, replicas, in_sync, adding, removing, elr, last_known_elr }
    })
}

fn records() -> impl Strategy<Value = Vec<MetadataRecord>> {
    let topic = (1u64..5).prop_map(id);
    let node = || (0i32..3).prop_map(NodeId);
    let flag = || prop::option::of(any::<bool>());
    let record = prop_oneof![
        (node(), 0u64..3, 0i64..3, prop::option::of("[rs]"), any::<bool>()).prop_map(
            |(node, incarnation, epoch, rack, fenced)| {
                let incarnation = Incarnation::draw(|| incarnation);
                MetadataRecord::RegisterBroker { node, incarnation, epoch, host: "h".into(), port: 1, rack, fenced }
            }
        ),
        (node(), 0i64..3, flag(), flag()).prop_map(|(node, epoch, fenced, shutting_down)| {
            MetadataRecord::BrokerChange { node, epoch, fenced, shutting_down }
        }),
        (topic.clone(), "[ab]").prop_map(|(id, name)| MetadataRecord::Topic { id, name }),
        (topic.clone(), -1i32..4, states()).prop_map(|(topic, partition, state)| MetadataRecord::Partition {
            topic,
            partition,
            state
        }),
        (topic.clone(), -1i32..4, deltas()).prop_map(|(topic, partition, change)| MetadataRecord::PartitionChange {
            topic,
            partition,
            change
        }),
        (topic.clone(), "[cd]", prop::option::of("[ef]")).prop_map(|(topic, name, value)| MetadataRecord::Config {
            topic,
            name,
            value
        }),
        topic.prop_map(|topic| MetadataRecord::Removed { topic }),
        (node(), 0i64..3, 0i64..5000).prop_map(|(node, epoch, next)| MetadataRecord::ProducerIds { node, epoch, next }),
    ];
    prop::collection::vec(record, 0..60)
}

proptest! {
    #[test]
    fn the_image_is_whole_whatever_the_records(records in records()) {
        let mut image = Image::default();
        let mut read = Image::default();
        for record in &records {
            image.apply(record);
            read.apply(&MetadataRecord::from_bytes(&record.to_bytes()).unwrap());
        }
        prop_assert_eq!(&image, &read);
        let partitions: usize = image.topics().map(|topic| topic.partitions.len()).sum();
        prop_assert_eq!(partitions, image.partition_count());
        for topic in image.topics() {
            prop_assert_eq!(image.topic_by_id(topic.id), Some(topic), "two topics with one identity");
        }
        prop_assert_eq!(&fold(&image.to_records()), &image, "a snapshot is not the image");
    }
}
