//! Idempotent producers, over the wire: ids, duplicates, gaps, epochs, and all of it again after a restart.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::{DeleteRecordsRequest, InitProducerIdRequest, InitProducerIdResponse};

use super::produce_fetch::{create, produce, topic};
use crate::config::FlushPolicy;
use crate::controller::record::text;
use crate::fact::Fact;
use crate::node::testing::*;
use crate::record::{BatchBuilder, Compression};

const OUT_OF_ORDER: i16 = 45;
const OLD_EPOCH: i16 = 47;

fn sequenced(id: i64, epoch: i16, first: i32, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.producer(id, epoch, first);
    for value in values {
        builder.append(1000, None, Some(value.as_bytes()), std::iter::empty::<(&[u8], Option<&[u8]>)>());
    }
    builder.finish(Compression::None)
}

/// Produces to `t-0`: (error, base offset, append time).
async fn send(wire: &mut Wire, batch: Bytes) -> (i16, i64, i64) {
    let request = produce("t", uuid::Uuid::nil(), 9, 0, -1, batch);
    let part = wire.ask(9, &request).await.responses.remove(0).partition_responses.remove(0);
    (part.error_code, part.base_offset, part.log_append_time_ms)
}

async fn init(wire: &mut Wire, version: i16, request: InitProducerIdRequest) -> InitProducerIdResponse {
    wire.ask(version, &request.with_transaction_timeout_ms(60_000)).await
}

fn asked() -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(None)
}

#[test]
fn no_id_is_given_twice_not_even_after_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..3 {
        let (ids, _) = with_broker_killed(root.path(), settings(FlushPolicy::Never), async |mut wire| {
            let mut ids = Vec::new();
            for at in 0..1005 {
                let request = asked();
                // One that has an id already gets another, as Kafka's coordinator does it.
                let request =
                    if at % 2 == 0 { request } else { request.with_producer_id(5.into()).with_producer_epoch(3) };
                let given = init(&mut wire, if at % 2 == 0 { at % 6 } else { 4 }, request).await;
                assert_eq!((given.error_code, given.producer_epoch), (0, 0));
                ids.push(given.producer_id.0);
            }
            ids
        });
        assert!(ids.iter().all(|id| seen.insert(*id)), "round {round}");
    }
}

#[test]
fn what_needs_a_transaction_coordinator_or_makes_no_sense_is_refused() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let named = |name: &str| asked().with_transactional_id(Some(text(name).into()));
        let half = asked().with_producer_epoch(1);
        for (request, error) in [
            (named("t"), ResponseError::CoordinatorNotAvailable),
            (named(""), ResponseError::InvalidRequest),
            (half, ResponseError::InvalidRequest),
        ] {
            let answer = init(&mut wire, 4, request).await;
            let got = (answer.error_code, answer.producer_id.0, answer.producer_epoch);
            assert_eq!(got, (error.code(), -1, -1));
        }
    });
}

#[test]
fn duplicates_have_their_old_offsets_and_gaps_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let ((), facts) = with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        assert_eq!(create(&mut wire, "t", 1).await.0, 0);
        for at in 0..7 {
            assert_eq!(send(&mut wire, sequenced(7, 1, at * 2, &["a", "b"])).await, (0, i64::from(at) * 2, -1));
        }
        for at in 2..7 {
            assert_eq!(send(&mut wire, sequenced(7, 1, at * 2, &["a", "b"])).await, (0, i64::from(at) * 2, -1));
        }
        assert_eq!(send(&mut wire, sequenced(7, 1, 2, &["a", "b"])).await.0, OUT_OF_ORDER);
        assert_eq!(send(&mut wire, sequenced(7, 1, 15, &["a"])).await.0, OUT_OF_ORDER);
        assert_eq!(send(&mut wire, sequenced(7, 0, 14, &["a"])).await.0, OLD_EPOCH);
        assert_eq!(send(&mut wire, sequenced(7, 2, 14, &["a"])).await.0, OUT_OF_ORDER);
        assert_eq!(send(&mut wire, sequenced(7, 2, 0, &["a"])).await, (0, 14, -1));
        assert_eq!(send(&mut wire, sequenced(9, 0, 500, &["a"])).await, (0, 15, -1), "nothing is known of it");
        let mut damaged = sequenced(9, 0, 500, &["a"]).to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(send(&mut wire, damaged.into()).await.0, ResponseError::CorruptMessage.code());
    });
    let appended = facts.iter().filter(|fact| matches!(fact, Fact::Appended { .. })).count();
    let sequenced = facts.iter().filter(|fact| matches!(fact, Fact::Sequenced { .. })).count();
    assert_eq!((appended, sequenced), (9, 9));
}

#[test]
fn producers_are_known_after_a_stop_of_either_kind_and_after_their_records_are_deleted() {
    let root = tempfile::tempdir().unwrap();
    with_broker_killed(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        create(&mut wire, "t", 1).await;
        assert_eq!(send(&mut wire, sequenced(7, 0, 0, &["a"])).await.0, 0);
        assert_eq!(send(&mut wire, sequenced(7, 0, 1, &["b"])).await.0, 0);
    });
    with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        assert_eq!(send(&mut wire, sequenced(7, 0, 0, &["a"])).await, (0, 0, -1));
        assert_eq!(send(&mut wire, sequenced(7, 0, 2, &["c"])).await, (0, 2, -1));
        let all = DeleteRecordsPartition::default().with_partition_index(0).with_offset(-1);
        let all = DeleteRecordsTopic::default().with_name(topic("t")).with_partitions(vec![all]);
        let done = wire.ask(2, &DeleteRecordsRequest::default().with_topics(vec![all]).with_timeout_ms(1000)).await;
        assert_eq!(done.topics[0].partitions[0].low_watermark, 3);
        assert_eq!(send(&mut wire, sequenced(7, 0, 2, &["c"])).await, (0, 2, -1));
    });
    let ((), facts) = with_broker(root.path(), settings(FlushPolicy::Always), async |mut wire| {
        assert_eq!(send(&mut wire, sequenced(7, 0, 1, &["b"])).await, (0, 1, -1));
        assert_eq!(send(&mut wire, sequenced(7, 0, 4, &["e"])).await.0, OUT_OF_ORDER);
    });
    let known = facts.iter().find_map(|fact| match fact {
        Fact::Producers { end, known, .. } => Some((*end, known[0].window.clone())),
        _ => None,
    });
    assert_eq!(known, Some((3, vec![(0, 0, 0), (1, 1, 1), (2, 2, 2)])));
}

#[test]
fn idle_producers_are_forgotten() {
    let root = tempfile::tempdir().unwrap();
    let mut config = settings(FlushPolicy::Never);
    config.producer_id_expiration = std::time::Duration::ZERO;
    config.retention_check_interval = std::time::Duration::from_millis(1);
    with_broker(root.path(), config, async |mut wire| {
        create(&mut wire, "t", 1).await;
        assert_eq!(send(&mut wire, sequenced(7, 3, 10, &["a"])).await.0, 0);
        // An older epoch is refused for as long as a newer one is remembered.
        while send(&mut wire, sequenced(7, 2, 10, &["a"])).await.0 == OLD_EPOCH {}
    });
}
