//! The order of answers, long polls, and answers that do not come.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use kafka_protocol::messages::{BrokerId, FetchRequest, MetadataRequest, ProduceRequest};

use super::produce_fetch::{create, fetch, produce, values};
use crate::config::FlushPolicy;
use crate::controller::record::METADATA_ID;
use crate::fact::Fact;
use crate::node::testing::*;
use crate::record::Compression;

#[test]
fn pipelined_requests_are_carried_out_and_answered_in_order() {
    for flush in [FlushPolicy::Never, FlushPolicy::Always] {
        let root = tempfile::tempdir().unwrap();
        let ((), facts) = with_broker(root.path(), settings(flush), async |mut wire| {
            let (_, id) = create(&mut wire, "t", 1).await;
            for n in 0..100 {
                let acks = if n % 10 == 9 { 0 } else { -1 };
                let value = format!("{n}");
                wire.send(9, &produce("t", id, 9, 0, acks, batch(&[&value], Compression::None))).await;
            }
            wire.send(12, &fetch("t", id, 12, 0, 0)).await;
            for n in (0..100).filter(|n| n % 10 != 9) {
                let (correlation, response) = wire.receive::<ProduceRequest>(9).await;
                assert_eq!(correlation, n + 2);
                assert_eq!(response.responses[0].partition_responses[0].base_offset, i64::from(n));
            }
            let (_, response) = wire.receive::<FetchRequest>(12).await;
            let got = values(response.responses[0].partitions[0].records.as_ref().unwrap());
            assert_eq!(got.len(), 100, "a client sees its own writes");
        });
        let acked = facts.iter().filter(|fact| matches!(fact, Fact::Acked { .. })).count();
        assert_eq!(acked, 90);
        if flush == FlushPolicy::Always {
            check_acked_after_flushed(&facts);
        }
    }
}

/// No acknowledgement that promises durability comes before an fsync that covers it.
fn check_acked_after_flushed(facts: &[Fact]) {
    let mut flushed = 0;
    for fact in facts {
        match fact {
            Fact::Flushed { upto, .. } => flushed = *upto,
            Fact::Acked { last, durable, .. } => assert!(*durable && *last < flushed),
            _ => {}
        }
    }
}

#[test]
fn a_long_poll_ends_when_there_is_enough_and_not_before() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 2).await;
        let one = batch(&["x"], Compression::None);
        let size = i32::try_from(one.len()).unwrap();
        let mut poller = wire.another().await;
        let request = fetch("t", id, 12, 1, 0).with_max_wait_ms(60_000).with_min_bytes(3 * size);
        poller.send(12, &request).await;
        for n in 0..3 {
            let response = wire.ask(9, &produce("t", id, 9, 1, 1, one.clone())).await;
            assert_eq!(response.responses[0].partition_responses[0].base_offset, n);
        }
        let (_, response) = poller.receive::<FetchRequest>(12).await;
        let part = &response.responses[0].partitions[0];
        assert_eq!(values(part.records.as_ref().unwrap()).len(), 3);
        assert_eq!(part.high_watermark, 3);
    });
}

#[test]
fn a_long_poll_without_records_ends_in_time_and_holds_later_requests() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        wire.send(12, &fetch("t", id, 12, 0, 0).with_max_wait_ms(30)).await;
        wire.send(12, &MetadataRequest::default().with_topics(None)).await;
        let (_, response) = wire.receive::<FetchRequest>(12).await;
        assert!(response.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
        assert_eq!(wire.receive::<MetadataRequest>(12).await.1.topics.len(), 1);
    });
}

/// What was committed between two fetches of a replica is news to the second, though no record goes with it (KIP-1166).
#[test]
fn a_replica_of_the_metadata_is_told_at_once_what_is_committed() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        create(&mut wire, "t", 1).await;
        let all = wire.ask(17, &metadata_fetch(7, 0, 0)).await.responses[0].partitions[0].clone();
        assert!(all.high_watermark > 0 && !all.records.unwrap().is_empty());
        // Nobody has told this one anything yet: were it to wait, it would be for the first of these records. When it has
        // been told, it waits for the next.
        let mut replica = wire.another().await;
        let mut known = all.high_watermark;
        for (topic, is_news) in [("u", false), ("v", true)] {
            replica.send(17, &metadata_fetch(8, known, 60_000)).await;
            wire.ask(12, &MetadataRequest::default().with_topics(None)).await;
            create(&mut wire, topic, 1).await;
            let told = replica.receive::<FetchRequest>(17).await.1.responses[0].partitions[0].clone();
            assert!(told.high_watermark >= known, "{topic}");
            assert_eq!(!told.records.unwrap().is_empty(), is_news, "{topic}");
            known = wire.ask(17, &metadata_fetch(8, known, 0)).await.responses[0].partitions[0].high_watermark;
        }
    });
}

fn metadata_fetch(replica: i32, offset: i64, wait_ms: i32) -> FetchRequest {
    let epoch = i32::from(offset > 0);
    let asked = FetchPartition::default()
        .with_current_leader_epoch(1)
        .with_fetch_offset(offset)
        .with_last_fetched_epoch(epoch)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic_id(METADATA_ID.0).with_partitions(vec![asked]);
    FetchRequest::default()
        .with_replica_state(ReplicaState::default().with_replica_id(BrokerId(replica)))
        .with_max_wait_ms(wait_ms)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

#[test]
fn a_failed_request_without_acks_closes_the_connection() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        wire.send(9, &produce("nope", uuid::Uuid::nil(), 9, 0, 0, batch(&["x"], Compression::None))).await;
        assert_eq!(wire.receive_raw().await, None);
    });
}

#[test]
fn what_was_sent_before_the_client_left_is_stored() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        let mut leaving = wire.another().await;
        for _ in 0..50 {
            leaving.send(9, &produce("t", id, 9, 0, 0, batch(&["x"], Compression::None))).await;
        }
        drop(leaving);
        let request = fetch("t", id, 12, 0, 0).with_max_wait_ms(30_000).with_min_bytes(50 * 60);
        let response = wire.ask(12, &request).await;
        assert!(values(response.responses[0].partitions[0].records.as_ref().unwrap()).len() > 40);
    });
}

#[test]
fn a_fetch_reaches_over_small_segments() {
    let root = tempfile::tempdir().unwrap();
    let mut config = settings(FlushPolicy::Never);
    config.log.segment_bytes = 14;
    with_broker(root.path(), config, async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        for _ in 0..10 {
            wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["x"], Compression::None))).await;
        }
        let response = wire.ask(12, &fetch("t", id, 12, 0, 3)).await;
        let got = values(response.responses[0].partitions[0].records.as_ref().unwrap());
        assert_eq!(got.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), (3..10).collect::<Vec<_>>());
    });
}

#[test]
fn fetches_respect_their_limits_but_always_make_progress() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        let big = "x".repeat(10_000);
        for _ in 0..5 {
            wire.ask(9, &produce("t", id, 9, 0, 1, batch(&[&big], Compression::None))).await;
        }
        let mut counts = Vec::new();
        for max in [1, 25_000, 60_000] {
            let mut request = fetch("t", id, 12, 0, 1).with_max_bytes(max);
            request.topics[0].partitions[0].partition_max_bytes = 1 << 20;
            let response = wire.ask(12, &request).await;
            counts.push(values(response.responses[0].partitions[0].records.as_ref().unwrap()).len());
        }
        assert_eq!(counts, [1, 2, 4]);
        let beyond = wire.ask(12, &fetch("t", id, 12, 0, 6)).await;
        assert_eq!(beyond.responses[0].partitions[0].error_code, ResponseError::OffsetOutOfRange.code());
    });
}
