//! What a stop, clean or not, leaves behind.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteTopicsRequest, MetadataRequest, ProduceRequest};
use tokio::sync::oneshot;

use super::produce_fetch::{create, fetch, produce, topic, values};
use crate::config::FlushPolicy;
use crate::env::Env;
use crate::env::real::block_on;
use crate::fact::Fact;
use crate::node::testing::*;
use crate::node::{MOST_FLUSHES, Node, serve_beside};
use crate::record::Compression;

/// Deletes a topic by name, or by identity; returns Kafka's error code.
async fn delete(wire: &mut Wire, name: Option<&str>, id: uuid::Uuid) -> i16 {
    let state = DeleteTopicState::default().with_name(name.map(topic)).with_topic_id(id);
    wire.ask(6, &DeleteTopicsRequest::default().with_topics(vec![state])).await.responses[0].error_code
}

/// (error, high watermark, first offset kept) of `t-0`.
async fn marks(wire: &mut Wire, id: uuid::Uuid) -> (i16, i64, i64) {
    let response = wire.ask(17, &fetch("t", id, 17, 0, 0)).await;
    let part = &response.responses[0].partitions[0];
    (part.error_code, part.high_watermark, part.log_start_offset)
}

/// Deletes what is below `offset` of a partition of `t`; (error, first offset kept).
async fn trim(wire: &mut Wire, index: i32, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset);
    let wanted = DeleteRecordsTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let response = wire.ask(2, &DeleteRecordsRequest::default().with_topics(vec![wanted])).await;
    let part = &response.topics[0].partitions[0];
    (part.error_code, part.low_watermark)
}

#[test]
fn a_deleted_topic_is_gone_and_its_successor_is_another() {
    let root = tempfile::tempdir().unwrap();
    let mut old = uuid::Uuid::nil();
    for round in 0..4 {
        let ((id, gone), _) = with_broker_killed(root.path(), settings(FlushPolicy::Never), async |mut wire| {
            let (error, id) = create(&mut wire, "t", 1).await;
            assert_eq!(error, 0, "round {round}");
            wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["a", "b"], Compression::None))).await;
            assert_eq!(marks(&mut wire, id).await, (0, 2, 0));
            assert_eq!(create(&mut wire, "t", 1).await.0, ResponseError::TopicAlreadyExists.code());
            let by_name = round % 2 == 0;
            let deleted = delete(&mut wire, by_name.then_some("t"), if by_name { uuid::Uuid::nil() } else { id }).await;
            assert_eq!(deleted, 0);
            assert_eq!(marks(&mut wire, id).await.0, ResponseError::UnknownTopicId.code());
            (id, delete(&mut wire, Some("t"), uuid::Uuid::nil()).await)
        });
        assert_ne!(id, old);
        assert_eq!(gone, ResponseError::UnknownTopicOrPartition.code());
        old = id;
    }
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        assert_eq!(marks(&mut wire, id).await, (0, 0, 0), "nothing of its predecessors");
    });
}

#[test]
fn the_start_of_a_log_does_not_go_back() {
    let root = tempfile::tempdir().unwrap();
    let (id, _) = with_broker_killed(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        for _ in 0..5 {
            wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["a", "b"], Compression::None))).await;
        }
        assert_eq!(trim(&mut wire, 0, 3).await, (0, 3));
        let (beyond, unknown) = (ResponseError::OffsetOutOfRange, ResponseError::UnknownTopicOrPartition);
        assert_eq!(trim(&mut wire, 0, 11).await, (beyond.code(), -1), "past the high watermark");
        assert_eq!(trim(&mut wire, 0, -2).await, (beyond.code(), -1));
        assert_eq!(trim(&mut wire, 1, 0).await, (unknown.code(), -1));
        assert_eq!(trim(&mut wire, 0, 2).await, (0, 3), "it is there no more already");
        id
    });
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let response = wire.ask(17, &fetch("t", id, 17, 0, 3)).await;
        let part = &response.responses[0].partitions[0];
        assert_eq!((part.error_code, part.log_start_offset, part.high_watermark), (0, 3, 10));
        // The batch that holds the offset comes whole; the client leaves out what it did not ask for.
        assert_eq!(values(part.records.as_ref().unwrap())[0].0, 2);
        assert_eq!(marks(&mut wire, id).await.0, ResponseError::OffsetOutOfRange.code());
    });
}

#[test]
fn what_is_not_committed_cannot_be_deleted() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let (done, over) = oneshot::channel::<()>();
        let beside = |node: Rc<Node<TestEnv>>| async move {
            node.until_ready().await;
            let mut wire = Wire::connect(&node.env, node.port).await;
            let (_, id) = create(&mut wire, "t", 1).await;
            // No fsync begins.
            let all = node.flushes.acquire_many(u32::try_from(MOST_FLUSHES).unwrap()).await.unwrap();
            let mut producer = wire.another().await;
            producer.send(9, &produce("t", id, 9, 0, -1, batch(&["a", "b"], Compression::None))).await;
            let partition = node.partition("t", 0).unwrap();
            let end = || partition.with_log(|log| Ok(log.log_end())).unwrap();
            for _ in 0..500 {
                if end() == 2 {
                    break;
                }
                node.env.sleep(Duration::from_millis(10)).await;
            }
            assert_eq!((marks(&mut wire, id).await, end()), ((0, 0, 0), 2));
            assert_eq!(trim(&mut wire, 0, 1).await, (ResponseError::OffsetOutOfRange.code(), -1));
            drop(all);
            producer.receive::<ProduceRequest>(9).await;
            assert_eq!(trim(&mut wire, 0, 1).await, (0, 1));
            done.send(()).unwrap();
        };
        let stop = async { over.await.unwrap() };
        serve_beside(TestEnv::new(root.path()), settings(FlushPolicy::Always), stop, beside).await.unwrap();
    })
    .unwrap();
}

#[test]
fn every_start_leads_in_a_new_epoch_and_only_an_unclean_one_recovers() {
    let root = tempfile::tempdir().unwrap();
    let mut epochs = Vec::new();
    let mut recovered = Vec::new();
    for round in 0..4 {
        let work = async |mut wire: Wire| {
            if round == 0 {
                let (_, id) = create(&mut wire, "t", 3).await;
                wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["a"], Compression::None))).await;
            }
            let response = wire.ask(12, &MetadataRequest::default().with_topics(None)).await;
            response.topics[0].partitions[0].leader_epoch
        };
        let config = settings(FlushPolicy::Never);
        let clean = round % 2 == 0;
        let (epoch, facts) =
            if clean { with_broker(root.path(), config, work) } else { with_broker_killed(root.path(), config, work) };
        epochs.push(epoch);
        recovered.push(facts.iter().filter(|fact| matches!(fact, Fact::Recovered { synced: true, .. })).count());
    }
    // One epoch without a leader, one with it back.
    assert_eq!(epochs, [0, 2, 4, 6]);
    assert_eq!(recovered, [0, 0, 3, 0]);
}

#[test]
fn a_damaged_log_stays_off_line_and_the_others_are_served() {
    let root = tempfile::tempdir().unwrap();
    let (id, _) = with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 2).await;
        for partition in 0..2 {
            wire.ask(9, &produce("t", id, 9, partition, 1, batch(&["a"], Compression::None))).await;
        }
        id
    });
    // A log shorter than was promised.
    #[expect(clippy::disallowed_methods, reason = "the damage is done behind the broker's back")]
    std::fs::write(root.path().join("t-0/00000000000000000000.log"), b"").unwrap();
    #[expect(clippy::disallowed_methods, reason = "the damage is done behind the broker's back")]
    std::fs::remove_file(root.path().join(".kafka_cleanshutdown")).unwrap();
    with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        assert_eq!(marks(&mut wire, id).await.0, ResponseError::KafkaStorageError.code());
        let response = wire.ask(9, &produce("t", id, 9, 0, -1, batch(&["b"], Compression::None))).await;
        let code = response.responses[0].partition_responses[0].error_code;
        assert_eq!(code, ResponseError::KafkaStorageError.code());
        let response = wire.ask(17, &fetch("t", id, 17, 1, 0)).await;
        assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
        let response = wire.ask(12, &MetadataRequest::default().with_topics(None)).await;
        let leaders: Vec<i32> = response.topics[0].partitions.iter().map(|p| p.leader_id.0).collect();
        assert_eq!(leaders, [-1, 0]);
    });
}

/// As when a topic is deleted and made anew while a broker is away: what it has is of another topic of that name.
#[test]
#[expect(clippy::disallowed_methods, reason = "time passes behind the broker's back")]
fn what_is_written_down_of_a_deleted_topic_is_not_believed_of_its_successor() {
    for clean in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let (id, _) = with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
            let (_, id) = create(&mut wire, "t", 1).await;
            wire.ask(9, &produce("t", id, 9, 0, -1, batch(&["a", "b", "c"], Compression::None))).await;
            assert_eq!(trim(&mut wire, 0, 2).await, (0, 2));
            id
        });
        let other = format!("version: 0\ntopic_id: {}\n", uuid::Uuid::from_u128(77));
        std::fs::write(root.path().join("t-0/partition.metadata"), other).unwrap();
        if !clean {
            std::fs::remove_file(root.path().join(".kafka_cleanshutdown")).unwrap();
        }
        let (_, facts) = with_broker_killed(root.path(), settings(FlushPolicy::Always), async |mut wire| {
            assert_eq!(marks(&mut wire, id).await, (0, 0, 0), "clean: {clean}");
            let response = wire.ask(9, &produce("t", id, 9, 0, -1, batch(&["d"], Compression::None))).await;
            let part = &response.responses[0].partition_responses[0];
            assert_eq!((part.error_code, part.base_offset), (0, 0), "clean: {clean}");
        });
        assert!(facts.iter().any(|fact| matches!(fact, Fact::Deleted { .. })));
        with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
            assert_eq!(marks(&mut wire, id).await, (0, 1, 0), "clean: {clean}, and started again");
        });
    }
}

#[test]
fn a_damaged_metadata_log_stops_the_start_and_costs_no_topic() {
    let root = tempfile::tempdir().unwrap();
    with_broker_killed(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        create(&mut wire, "t", 1).await;
    });
    let path = root.path().join("__cluster_metadata-0/00000000000000000000.log");
    #[expect(clippy::disallowed_methods, reason = "the damage is done behind the broker's back")]
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    #[expect(clippy::disallowed_methods, reason = "the damage is done behind the broker's back")]
    std::fs::write(&path, bytes).unwrap();
    let started = crate::env::real::block_on(async {
        let env = TestEnv::new(root.path());
        crate::node::serve(env, settings(FlushPolicy::Never), std::future::ready(())).await
    });
    assert!(started.unwrap().is_err());
    assert!(root.path().join("t-0").exists(), "its partitions are no strays");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the device fails, and works again, behind the broker's back")]
fn a_log_that_could_not_be_read_comes_back_without_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let (id, _) = with_broker_killed(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["a", "b"], Compression::None))).await;
        id
    });
    let (log, aside) = (root.path().join("t-0/00000000000000000000.log"), root.path().join("aside"));
    std::fs::rename(&log, &aside).unwrap();
    std::fs::create_dir(&log).unwrap();
    with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        let refused = ResponseError::KafkaStorageError.code();
        assert_eq!(marks(&mut wire, id).await.0, refused);
        std::fs::remove_dir(&log).unwrap();
        std::fs::rename(&aside, &log).unwrap();
        let mut now = (refused, -1, -1);
        // Ample for many tries; it ends with the first that succeeds.
        for _ in 0..500 {
            now = marks(&mut wire, id).await;
            if now.0 != refused {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(now, (0, 2, 0), "all that was acknowledged, and committed");
        let response = wire.ask(9, &produce("t", id, 9, 0, -1, batch(&["c"], Compression::None))).await;
        let part = &response.responses[0].partition_responses[0];
        assert_eq!((part.error_code, part.base_offset), (0, 2));
    });
}
