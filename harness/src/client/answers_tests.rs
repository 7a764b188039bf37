//! Full answers of every API and version spoken pass their layout, and nothing mutated passes and then harms.

use broker::wire::guard::check;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData, SnapshotId,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use proptest::prelude::*;

use super::super::codec::SPOKEN;
use super::layout;

fn text() -> StrBytes {
    StrBytes::from_static_str("text")
}

fn name() -> TopicName {
    TopicName(text())
}

/// Decodes bytes as an answer of one API in one version; whether they are one is all the same.
type Decode = fn(Bytes, i16) -> bool;
/// A full answer in a version.
type Answer = fn(i16) -> Bytes;

fn decode<R: Request>(mut bytes: Bytes, version: i16) -> bool {
    R::Response::decode(&mut bytes, version).is_ok() && bytes.is_empty()
}

fn encoded(answer: &impl Encodable, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    answer.encode(&mut out, version).unwrap();
    out.freeze()
}

fn produced(version: i16) -> Bytes {
    let error = BatchIndexAndErrorMessage::default().with_batch_index_error_message(Some(text()));
    let mut part = PartitionProduceResponse::default().with_record_errors(vec![error; 2]).with_error_message(None);
    let mut answer = ProduceResponse::default();
    if version >= 10 {
        let leader = kafka_protocol::messages::produce_response::LeaderIdAndEpoch::default();
        part = part.with_current_leader(leader.with_leader_epoch(1));
        answer = answer.with_node_endpoints(vec![NodeEndpoint::default().with_host(text())]);
    }
    let topic = TopicProduceResponse::default().with_name(name()).with_partition_responses(vec![part; 3]);
    encoded(&answer.with_responses(vec![topic; 2]), version)
}

fn fetched(version: i16) -> Bytes {
    let part = PartitionData::default()
        .with_aborted_transactions(Some(vec![AbortedTransaction::default()]))
        .with_diverging_epoch(EpochEndOffset::default().with_epoch(4))
        .with_current_leader(LeaderIdAndEpoch::default().with_leader_epoch(4))
        .with_snapshot_id(SnapshotId::default().with_epoch(4))
        .with_records(Some(Bytes::from_static(b"records")));
    let topic = FetchableTopicResponse::default().with_topic(name()).with_partitions(vec![part; 2]);
    encoded(&FetchResponse::default().with_responses(vec![topic]), version)
}

fn metadata(version: i16) -> Bytes {
    let broker = MetadataResponseBroker::default().with_host(text()).with_rack(Some(text()));
    let part = MetadataResponsePartition::default()
        .with_replica_nodes(vec![BrokerId(1); 3])
        .with_isr_nodes(vec![BrokerId(1)])
        .with_offline_replicas(vec![BrokerId(2)]);
    let topic = MetadataResponseTopic::default().with_name(Some(name())).with_partitions(vec![part; 2]);
    let answer = MetadataResponse::default().with_brokers(vec![broker; 2]).with_topics(vec![topic; 2]);
    encoded(&answer.with_cluster_id(Some(text())), version)
}

fn api_versions(version: i16) -> Bytes {
    let mut answer = ApiVersionsResponse::default().with_api_keys(vec![ApiVersion::default(); 5]);
    if version >= 3 {
        answer = answer
            .with_supported_features(vec![SupportedFeatureKey::default().with_name(text())])
            .with_finalized_features(vec![FinalizedFeatureKey::default().with_name(text())])
            .with_finalized_features_epoch(3)
            .with_zk_migration_ready(true);
    }
    encoded(&answer, version)
}

fn listed(version: i16) -> Bytes {
    let topic = ListOffsetsTopicResponse::default().with_name(name());
    let topic = topic.with_partitions(vec![ListOffsetsPartitionResponse::default(); 2]);
    encoded(&ListOffsetsResponse::default().with_topics(vec![topic]), version)
}

fn created(version: i16) -> Bytes {
    let config = CreatableTopicConfigs::default().with_name(text()).with_value(Some(text()));
    let topic = CreatableTopicResult::default().with_name(name()).with_configs(Some(vec![config; 2]));
    encoded(&CreateTopicsResponse::default().with_topics(vec![topic.with_topic_config_error_code(3)]), version)
}

fn deleted(version: i16) -> Bytes {
    let topic = DeletableTopicResult::default().with_name(Some(name()));
    encoded(&DeleteTopicsResponse::default().with_responses(vec![topic; 2]), version)
}

fn trimmed(version: i16) -> Bytes {
    let topic = DeleteRecordsTopicResult::default().with_name(name());
    let topic = topic.with_partitions(vec![DeleteRecordsPartitionResult::default(); 2]);
    encoded(&DeleteRecordsResponse::default().with_topics(vec![topic]), version)
}

fn described(version: i16) -> Bytes {
    let synonym = DescribeConfigsSynonym::default().with_name(text());
    let config = DescribeConfigsResourceResult::default().with_name(text()).with_synonyms(vec![synonym; 2]);
    let resource = DescribeConfigsResult::default().with_resource_name(text()).with_configs(vec![config; 2]);
    encoded(&DescribeConfigsResponse::default().with_results(vec![resource]), version)
}

fn grown(version: i16) -> Bytes {
    let topic = CreatePartitionsTopicResult::default().with_name(name()).with_error_message(Some(text()));
    encoded(&CreatePartitionsResponse::default().with_results(vec![topic; 2]), version)
}

fn altered(version: i16) -> Bytes {
    let resource = AlterConfigsResourceResponse::default().with_resource_name(text()).with_error_message(None);
    encoded(&IncrementalAlterConfigsResponse::default().with_responses(vec![resource; 2]), version)
}

fn elected(version: i16) -> Bytes {
    let part = PartitionResult::default().with_error_message(Some(text()));
    let topic = ReplicaElectionResult::default().with_topic(name()).with_partition_result(vec![part; 2]);
    encoded(&ElectLeadersResponse::default().with_replica_election_results(vec![topic; 2]), version)
}

fn reassigned(version: i16) -> Bytes {
    let part = ReassignablePartitionResponse::default().with_error_message(Some(text()));
    let topic = ReassignableTopicResponse::default().with_name(name()).with_partitions(vec![part; 2]);
    encoded(&AlterPartitionReassignmentsResponse::default().with_responses(vec![topic; 2]), version)
}

fn identified(version: i16) -> Bytes {
    encoded(&InitProducerIdResponse::default().with_producer_id(7.into()).with_producer_epoch(1), version)
}

/// Every API spoken: its key, a full answer of it, and its decoder.
const ALL: &[(i16, Answer, Decode)] = &[
    (ProduceRequest::KEY, produced, decode::<ProduceRequest>),
    (InitProducerIdRequest::KEY, identified, decode::<InitProducerIdRequest>),
    (FetchRequest::KEY, fetched, decode::<FetchRequest>),
    (ListOffsetsRequest::KEY, listed, decode::<ListOffsetsRequest>),
    (MetadataRequest::KEY, metadata, decode::<MetadataRequest>),
    (CreateTopicsRequest::KEY, created, decode::<CreateTopicsRequest>),
    (DeleteTopicsRequest::KEY, deleted, decode::<DeleteTopicsRequest>),
    (DeleteRecordsRequest::KEY, trimmed, decode::<DeleteRecordsRequest>),
    (DescribeConfigsRequest::KEY, described, decode::<DescribeConfigsRequest>),
    (CreatePartitionsRequest::KEY, grown, decode::<CreatePartitionsRequest>),
    (IncrementalAlterConfigsRequest::KEY, altered, decode::<IncrementalAlterConfigsRequest>),
    (ElectLeadersRequest::KEY, elected, decode::<ElectLeadersRequest>),
    (AlterPartitionReassignmentsRequest::KEY, reassigned, decode::<AlterPartitionReassignmentsRequest>),
    (ApiVersionsRequest::KEY, api_versions, decode::<ApiVersionsRequest>),
];

fn versions(key: i16) -> Vec<i16> {
    match SPOKEN.iter().find(|(spoken, ..)| *spoken == key) {
        Some((_, low, high)) => (*low..=*high).collect(),
        None => vec![0, 3],
    }
}

#[test]
fn full_answers_pass_and_cut_or_longer_ones_do_not() {
    assert_eq!(ALL.len(), SPOKEN.len() + 1, "each API spoken, and ApiVersions");
    for (key, answer, decode) in ALL {
        for version in versions(*key) {
            let bytes = answer(version);
            let layout = layout(*key).unwrap();
            assert_eq!(check(layout, version, &bytes), Ok(()), "API {key} version {version}");
            assert!(decode(bytes.clone(), version), "API {key} version {version}");
            for end in 0..bytes.len() {
                assert!(check(layout, version, &bytes[..end]).is_err(), "API {key} version {version} cut at {end}");
            }
            assert!(check(layout, version, &[&bytes[..], &[0]].concat()).is_err());
        }
    }
}

#[test]
fn a_hostile_count_is_refused_before_it_is_believed() {
    let hostile = [&[0, 0, 0, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    assert!(check(layout(MetadataRequest::KEY).unwrap(), 12, &hostile).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The crate would abort the process on some of these if they reached it.
    #[test]
    fn whatever_passes_the_guard_can_be_decoded(
        api in 0..ALL.len(),
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (key, answer, decode) = ALL[api];
        let version = *pick.get(&versions(key));
        let mut bytes = answer(version).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if check(layout(key).unwrap(), version, &bytes).is_ok() {
            decode(bytes.into(), version);
        }
    }
}
