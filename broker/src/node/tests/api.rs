//! Directed cases of each API, kept as transcripts.

use std::fmt::Write as _;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use super::produce_fetch::{create, fetch, produce, topic};
use crate::config::FlushPolicy;
use crate::controller::record::text;
use crate::node::testing::*;
use crate::record::Compression;

/// What ApiVersions answers, asked in versions old, new and unknown.
async fn ask_versions(mut wire: Wire) -> String {
    let mut out = String::new();
    let named = ApiVersionsRequest::default().with_client_software_name(text("test"));
    let response = wire.ask(3, &named.with_client_software_version(text("1.0"))).await;
    for api in &response.api_keys {
        writeln!(out, "{}: {}-{}", api.api_key, api.min_version, api.max_version).unwrap();
    }
    for (feature, decided) in response.supported_features.iter().zip(&response.finalized_features) {
        let (name, least, most) = (&*feature.name, feature.min_version, feature.max_version);
        writeln!(out, "{name}: {least} to {most}, decided {}", decided.max_version_level).unwrap();
    }
    let old = wire.ask(0, &ApiVersionsRequest::default()).await;
    assert_eq!(old.api_keys.len(), response.api_keys.len());
    let nameless = wire.ask(3, &ApiVersionsRequest::default()).await;
    writeln!(out, "without a name: {}", nameless.error_code).unwrap();
    // A version from the future, with a body nobody here knows.
    wire.send_raw(&[0, 0, 0, 13, 0, 18, 0, 99, 0, 0, 0, 42, 0, 1, b'x', 9, 9]).await;
    let mut frame = wire.receive_raw().await.unwrap();
    let header = ResponseHeader::decode(&mut frame, 0).unwrap();
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    let (error, correlation) = (response.error_code, header.correlation_id);
    writeln!(out, "version 99: {error} to {correlation}, {} left", frame.len()).unwrap();
    assert!(response.api_keys.iter().any(|api| api.api_key == 18));
    out
}

#[test]
fn api_versions_answers_every_version() {
    let root = tempfile::tempdir().unwrap();
    let (transcript, _) = with_broker(root.path(), settings(FlushPolicy::Never), ask_versions);
    insta::assert_snapshot!(transcript, @"
    0: 0-13
    1: 4-17
    2: 1-10
    3: 0-13
    8: 2-9
    9: 1-9
    10: 0-6
    11: 0-9
    12: 0-4
    13: 0-5
    14: 0-5
    15: 0-6
    16: 0-5
    18: 0-4
    19: 2-7
    20: 1-6
    21: 0-2
    22: 0-5
    23: 2-4
    32: 1-4
    33: 0-2
    35: 1-4
    37: 0-3
    42: 0-2
    43: 0-2
    44: 0-1
    45: 0-1
    46: 0-0
    47: 0-0
    55: 0-2
    60: 0-2
    64: 0-0
    68: 0-1
    69: 0-1
    80: 0-0
    81: 0-0
    group.version: 1 to 1, decided 1
    without a name: 42
    version 99: 35 to 42, 0 left
    ");
}

/// (error, topic, partitions) of each topic.
fn told(response: &MetadataResponse) -> Vec<(i16, String, usize)> {
    let name =
        |topic: &metadata_response::MetadataResponseTopic| topic.name.as_ref().map_or("-".into(), |n| n.to_string());
    response.topics.iter().map(|topic| (topic.error_code, name(topic), topic.partitions.len())).collect()
}

#[test]
fn metadata_knows_all_some_or_none_and_creates_when_told_to() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 2).await;
        let named = |name: &str| MetadataRequestTopic::default().with_name(Some(topic(name)));
        let ask = |topics: Vec<MetadataRequestTopic>| MetadataRequest::default().with_topics(Some(topics));
        let t = (0, "t".to_owned(), 2);
        for version in 0..=13 {
            let request = if version == 0 { ask(vec![]) } else { MetadataRequest::default().with_topics(None) };
            assert_eq!(told(&wire.ask(version, &request).await), std::slice::from_ref(&t), "version {version}");
        }
        assert_eq!(told(&wire.ask(1, &ask(vec![])).await), []);
        let quiet = ask(vec![named("u")]).with_allow_auto_topic_creation(false);
        assert_eq!(told(&wire.ask(12, &quiet).await), [(3, "u".into(), 0)]);
        assert_eq!(
            told(&wire.ask(12, &ask(vec![named("u"), named("a b")])).await),
            [(0, "u".into(), 1), (17, "a b".into(), 0)]
        );
        let by_id = |id: u128| MetadataRequestTopic::default().with_name(None).with_topic_id(uuid::Uuid::from_u128(id));
        assert_eq!(told(&wire.ask(12, &ask(vec![by_id(id.as_u128()), by_id(5)])).await), [t, (100, "-".into(), 0)]);
    });
}

#[test]
fn list_offsets_finds_both_ends_and_points_in_time() {
    let root = tempfile::tempdir().unwrap();
    let (transcript, _) = with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        for _ in 0..2 {
            // Timestamps 1000, 1001, 1002.
            wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["a", "b", "c"], Compression::Gzip))).await;
        }
        let mut out = String::new();
        for (version, timestamp) in [(9, -1), (9, -2), (9, -3), (6, -3), (9, -4), (1, 1001), (7, 1002), (7, 1003)] {
            let partition = ListOffsetsPartition::default().with_timestamp(timestamp).with_partition_index(0);
            let asked = ListOffsetsTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
            let response = wire.ask(version, &ListOffsetsRequest::default().with_topics(vec![asked])).await;
            let found = &response.topics[0].partitions[0];
            writeln!(
                out,
                "v{version} {timestamp}: error {} offset {} at {}",
                found.error_code, found.offset, found.timestamp
            )
            .unwrap();
        }
        out
    });
    insta::assert_snapshot!(transcript, @"
    v9 -1: error 0 offset 6 at -1
    v9 -2: error 0 offset 0 at -1
    v9 -3: error 0 offset 2 at 1002
    v6 -3: error 35 offset -1 at -1
    v9 -4: error 35 offset -1 at -1
    v1 1001: error 0 offset 1 at 1001
    v7 1002: error 0 offset 2 at 1002
    v7 1003: error 0 offset -1 at -1
    ");
}

#[test]
fn settings_are_described_changed_and_at_once_in_force() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("t"));
        let all = DescribeConfigsRequest::default()
            .with_resources(vec![resource.clone().with_configuration_keys(None)])
            .with_include_synonyms(true);
        let described = wire.ask(4, &all).await;
        let rows = &described.results[0].configs;
        assert!(rows.len() >= 30);
        assert!(rows.iter().all(|row| row.config_source == 5 && row.synonyms.len() == 1 && !row.read_only));
        let small = AlterableConfig::default().with_name(text("max.message.bytes")).with_value(Some(text("80")));
        let change = AlterConfigsResource::default().with_resource_type(2).with_resource_name(text("t"));
        let request = |config| {
            IncrementalAlterConfigsRequest::default().with_resources(vec![change.clone().with_configs(vec![config])])
        };
        let code = |r: IncrementalAlterConfigsResponse| r.responses[0].error_code;
        assert_eq!(code(wire.ask(1, &request(small.clone()).with_validate_only(true)).await), 0);
        let big = produce("t", id, 9, 0, 1, batch(&["a value of a certain length"], Compression::None));
        let error = |r: ProduceResponse| r.responses[0].partition_responses[0].error_code;
        assert_eq!(error(wire.ask(9, &big).await), 0, "validated only");
        assert_eq!(code(wire.ask(1, &request(small.clone())).await), 0);
        assert_eq!(error(wire.ask(9, &big).await), 10);
        let one = resource.with_configuration_keys(Some(vec![text("max.message.bytes")]));
        let described = wire.ask(4, &DescribeConfigsRequest::default().with_resources(vec![one])).await;
        let row = &described.results[0].configs[0];
        assert_eq!((row.value.as_deref(), row.config_source), (Some(&text("80")).map(|t| &**t), 1));
        assert_eq!(code(wire.ask(1, &request(small.with_config_operation(1))).await), 0);
        assert_eq!(error(wire.ask(9, &big).await), 0);
        let bad = AlterableConfig::default().with_name(text("cleanup.policy")).with_value(Some(text("compacted")));
        assert_eq!(code(wire.ask(1, &request(bad)).await), 40);
    });
}

#[test]
fn produce_refuses_as_kafka_does() {
    let root = tempfile::tempdir().unwrap();
    let (transcript, _) = with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        let good = batch(&["a"], Compression::None);
        let twice = [&good[..], &good[..]].concat();
        let mut corrupt = good.to_vec();
        corrupt[66] ^= 1;
        let zstd = batch(&["a"], Compression::Zstd);
        let cases = [
            ("unknown partition", produce("t", id, 9, 7, 1, good.clone()), 9),
            ("unknown topic", produce("u", id, 9, 0, 1, good.clone()), 9),
            ("unknown topic id", produce("t", uuid::Uuid::from_u128(1), 13, 0, 1, good.clone()), 13),
            ("acks 2", produce("t", id, 9, 0, 2, good.clone()), 9),
            ("two batches", produce("t", id, 9, 0, 1, twice.into()), 9),
            ("wrong CRC", produce("t", id, 9, 0, 1, corrupt.into()), 9),
            ("cut short", produce("t", id, 9, 0, 1, good.slice(..good.len() - 1)), 9),
            ("nothing", produce("t", id, 9, 0, 1, bytes::Bytes::new()), 9),
            ("zstd in version 6", produce("t", id, 6, 0, 1, zstd), 6),
        ];
        let mut out = String::new();
        for (what, request, version) in cases {
            let response = wire.ask(version, &request).await;
            writeln!(out, "{what}: {}", response.responses[0].partition_responses[0].error_code).unwrap();
        }
        let response = wire.ask(12, &fetch("t", id, 12, 0, 0)).await;
        writeln!(out, "stored: {}", response.responses[0].partitions[0].high_watermark).unwrap();
        out
    });
    insta::assert_snapshot!(transcript, @"
    unknown partition: 3
    unknown topic: 3
    unknown topic id: 100
    acks 2: 21
    two batches: 87
    wrong CRC: 2
    cut short: 2
    nothing: 87
    zstd in version 6: 76
    stored: 0
    ");
}

#[test]
fn produce_before_version_3_is_understood_and_refused() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        for version in 0..3u8 {
            let mut body = vec![0, 0, 0, version, 0, 0, 0, 5, 0xff, 0xff];
            body.extend([0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
            let length = u8::try_from(body.len()).unwrap();
            wire.send_raw(&[0, 0, 0, length]).await;
            wire.send_raw(&body).await;
            let answer = wire.receive_raw().await.unwrap();
            assert_eq!(answer[..4], [0, 0, 0, 5]);
            assert_eq!(answer[4..21], [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 35]);
            let expected = 29 + if version >= 1 { 4 } else { 0 } + if version >= 2 { 8 } else { 0 };
            assert_eq!(answer.len(), expected);
        }
    });
}

#[test]
fn epochs_fence_and_tell_where_they_ended() {
    let root = tempfile::tempdir().unwrap();
    let (id, _) = with_broker_killed(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["a", "b"], Compression::None))).await;
        id
    });
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        wire.ask(9, &produce("t", id, 9, 0, 1, batch(&["c"], Compression::None))).await;
        let mut ends = Vec::new();
        for (current, epoch) in [(-1, 0), (-1, 2), (2, 7), (0, 0), (3, 0)] {
            let partition =
                OffsetForLeaderPartition::default().with_current_leader_epoch(current).with_leader_epoch(epoch);
            let asked = OffsetForLeaderTopic::default().with_topic(topic("t")).with_partitions(vec![partition]);
            let response = wire.ask(4, &OffsetForLeaderEpochRequest::default().with_topics(vec![asked])).await;
            let end = &response.topics[0].partitions[0];
            ends.push((end.error_code, end.leader_epoch, end.end_offset));
        }
        assert_eq!(ends, [(0, 0, 2), (0, 2, 3), (0, -1, -1), (74, -1, -1), (75, -1, -1)]);
        let mut request = fetch("t", id, 12, 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = 0;
        assert_eq!(wire.ask(12, &request).await.responses[0].partitions[0].error_code, 74);
        let session = fetch("t", id, 12, 0, 0).with_session_id(5).with_session_epoch(1);
        let response = wire.ask(12, &session).await;
        assert_eq!((response.error_code, response.session_id), (70, 0));
    });
}

#[test]
fn partitions_are_added_and_the_cluster_is_described() {
    let root = tempfile::tempdir().unwrap();
    with_broker(root.path(), settings(FlushPolicy::Never), async |mut wire| {
        let (_, id) = create(&mut wire, "t", 1).await;
        let more = CreatePartitionsTopic::default().with_name(topic("t")).with_count(3).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![more]);
        assert_eq!(wire.ask(3, &request).await.results[0].error_code, 0);
        assert_eq!(wire.ask(3, &request).await.results[0].error_code, 37);
        wire.ask(9, &produce("t", id, 9, 2, 1, batch(&["a"], Compression::None))).await;
        let dirs = wire.ask(4, &DescribeLogDirsRequest::default().with_topics(None)).await;
        let sizes: Vec<i64> = dirs.results[0].topics[0].partitions.iter().map(|p| p.partition_size).collect();
        assert_eq!(sizes, [0, 0, i64::try_from(batch(&["a"], Compression::None).len()).unwrap()]);
        let cluster = wire.ask(2, &DescribeClusterRequest::default()).await;
        assert_eq!((&*cluster.cluster_id, cluster.brokers.len(), cluster.controller_id.0), ("logquake", 1, 0));
        let controllers = wire.ask(1, &DescribeClusterRequest::default().with_endpoint_type(2)).await;
        assert_eq!(controllers.error_code, 114);
    });
}
