//! Hostile bytes at a served broker: only the connection they came on ends.

use kafka_protocol::messages::MetadataRequest;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::produce_fetch::{create, fetch, produce, values};
use crate::config::FlushPolicy;
use crate::node::testing::*;
use crate::record::Compression;

/// What is thrown: a request's frame with bytes changed, lengths included, or noise.
fn thrown() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let sound = (0usize..4, edits, 0usize..20).prop_map(|(which, edits, cut)| {
        let records = batch(&["value"], Compression::None);
        let mut bytes = match which {
            0 => frame(1, 9, &produce("t", uuid::Uuid::nil(), 9, 0, -1, records)).to_vec(),
            1 => frame(1, 3, &produce("t", uuid::Uuid::nil(), 3, 0, 1, records)).to_vec(),
            2 => frame(1, 12, &fetch("t", uuid::Uuid::nil(), 12, 0, 0)).to_vec(),
            _ => frame(1, 12, &MetadataRequest::default().with_topics(None)).to_vec(),
        };
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        bytes
    });
    prop_oneof![4 => sound, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

#[test]
fn mutated_frames_end_their_own_connection_only() {
    let throws = prop::collection::vec(prop::collection::vec(thrown(), 1..4), 48);
    let mut runner = TestRunner::new(Config { cases: 6, ..Config::default() });
    runner
        .run(&throws, |throws| {
            let root = tempfile::tempdir().unwrap();
            with_broker(root.path(), settings(FlushPolicy::Never), async |mut good| {
                let (error, id) = create(&mut good, "kept", 1).await;
                assert_eq!(error, 0);
                create(&mut good, "t", 1).await;
                for (n, frames) in throws.iter().enumerate() {
                    let mut bad = good.another().await;
                    for frame in frames {
                        bad.send_raw(frame).await;
                    }
                    drop(bad);
                    let value = format!("{n}");
                    let request = produce("kept", id, 9, 0, -1, batch(&[&value], Compression::None));
                    let response = good.ask(9, &request).await;
                    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
                }
                let response = good.ask(12, &fetch("kept", id, 12, 0, 0)).await;
                let kept = values(response.responses[0].partitions[0].records.as_ref().unwrap());
                assert_eq!(kept.len(), throws.len());
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_cannot_be_understood_closes_the_connection_after_the_answers_before_it() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |wire| {
        let unknown_api = [0, 0, 0, 10, 0, 99, 0, 0, 0, 0, 0, 2, 0xff, 0xff];
        let unknown_version = [0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 2, 0xff, 0xff];
        let negative = [0xff, 0xff, 0xff, 0xff];
        let too_long = [0x7f, 0xff, 0xff, 0xff];
        let short = [0, 0, 0, 2, 0, 3];
        for bytes in [&unknown_api[..], &unknown_version, &negative, &too_long, &short] {
            let mut bad = wire.another().await;
            bad.send(12, &MetadataRequest::default().with_topics(None)).await;
            bad.send_raw(bytes).await;
            assert_eq!(bad.receive::<MetadataRequest>(12).await.1.brokers.len(), 1);
            assert_eq!(bad.receive_raw().await, None, "{bytes:?}");
        }
    });
}
