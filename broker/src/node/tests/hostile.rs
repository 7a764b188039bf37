//! Hostile bytes at a served broker: only the connection they came on ends.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeConfigsRequest, DescribeLogDirsRequest, MetadataRequest, TopicName,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::produce_fetch::{create, fetch, produce, values};
use crate::api::tests::{sample, served};
use crate::config::FlushPolicy;
use crate::controller::record::text;
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

/// A request of any API and version served, with bytes changed behind its key and version.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(served()), any::<bool>(), edits).prop_map(|((key, version), filled, edits)| {
        let mut body = sample(key, version, filled).to_vec();
        for (at, byte) in edits {
            let at = 4 + at.index(body.len() - 4);
            body[at] = byte;
        }
        let length = i32::try_from(body.len()).unwrap();
        [&length.to_be_bytes()[..], &body].concat()
    })
}

/// Some are orders that a broker obeys, such as to forget a broker or a voter: what it goes on doing is answer.
#[test]
fn no_request_of_any_api_brings_a_broker_down() {
    let throws = prop::collection::vec(any_request(), 200);
    let mut runner = TestRunner::new(Config { cases: 6, ..Config::default() });
    runner
        .run(&throws, |throws| {
            let root = tempfile::tempdir().unwrap();
            with_broker_killed(root.path(), settings(FlushPolicy::Never), async |mut good| {
                for bytes in &throws {
                    let mut bad = good.another().await;
                    bad.send_raw(bytes).await;
                    let versions: ApiVersionsResponse = good.ask(2, &ApiVersionsRequest::default()).await;
                    assert_eq!(versions.error_code, 0, "after {bytes:?}");
                }
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn naming_a_thing_often_does_not_make_the_answer_long() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        create(&mut wire, "t", 3).await;
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text("t"))));
        let other = MetadataRequestTopic::default().with_name(Some(TopicName(text("u"))));
        let often = [vec![topic; 9000], vec![other; 9000]].concat();
        let request = MetadataRequest::default().with_topics(Some(often)).with_allow_auto_topic_creation(false);
        let answer = wire.ask(12, &request).await;
        let answered: Vec<_> = answer.topics.iter().map(|topic| topic.partitions.len()).collect();
        assert_eq!(answered, [3, 0]);
        let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("t"));
        let request =
            DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None); 900]);
        assert_eq!(wire.ask(4, &request).await.results.len(), 1);
        let dirs = DescribableLogDirTopic::default().with_topic(TopicName(text("t"))).with_partitions(vec![1; 9000]);
        let answer = wire.ask(4, &DescribeLogDirsRequest::default().with_topics(Some(vec![dirs; 20]))).await;
        assert_eq!(answer.results[0].topics[0].partitions.len(), 1);
    });
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
