//! Full answers of every API and version spoken pass their layout, and nothing mutated passes and then harms.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::alter_partition_response as alter_partition;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::begin_quorum_epoch_response as begin_epoch;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::end_quorum_epoch_response as end_epoch;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData, SnapshotId,
};
use kafka_protocol::messages::fetch_snapshot_response as fetch_snapshot;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::vote_response as vote;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use proptest::prelude::*;

use super::super::guard::check;
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
    let topic = FetchableTopicResponse::default().with_partitions(vec![part; 2]);
    let topic = if version >= 13 { topic.with_topic_id(uuid::Uuid::from_u128(7)) } else { topic.with_topic(name()) };
    let mut answer = FetchResponse::default().with_responses(vec![topic]);
    if version >= 16 {
        let endpoint = kafka_protocol::messages::fetch_response::NodeEndpoint::default();
        answer = answer.with_node_endpoints(vec![endpoint.with_host(text()).with_rack(Some(text()))]);
    }
    encoded(&answer, version)
}

fn coordinator_found(version: i16) -> Bytes {
    let answer = FindCoordinatorResponse::default();
    if version >= 4 {
        let one = find_coordinator_response::Coordinator::default().with_key(text()).with_host(text());
        return encoded(&answer.with_coordinators(vec![one.with_error_message(Some(text())); 2]), version);
    }
    let answer = answer.with_node_id(BrokerId(1)).with_host(text()).with_port(9092);
    encoded(&if version >= 1 { answer.with_error_message(Some(text())) } else { answer }, version)
}

fn group_joined(version: i16) -> Bytes {
    let member = join_group_response::JoinGroupResponseMember::default()
        .with_member_id(text())
        .with_metadata(text().into_bytes());
    let member = if version >= 5 { member.with_group_instance_id(Some(text())) } else { member };
    let answer = JoinGroupResponse::default().with_protocol_name(Some(text())).with_leader(text());
    let answer = answer.with_member_id(text()).with_members(vec![member; 3]);
    let answer = if version >= 7 { answer.with_protocol_type(Some(text())) } else { answer };
    encoded(&if version >= 9 { answer.with_skip_assignment(true) } else { answer }, version)
}

fn group_synced(version: i16) -> Bytes {
    let answer = SyncGroupResponse::default().with_assignment(text().into_bytes());
    let whole = answer.clone().with_protocol_type(Some(text())).with_protocol_name(Some(text()));
    encoded(&if version >= 5 { whole } else { answer }, version)
}

fn group_beaten(version: i16) -> Bytes {
    encoded(&HeartbeatResponse::default().with_error_code(27), version)
}

fn told_to_own(version: i16) -> Bytes {
    use consumer_group_heartbeat_response::{Assignment, TopicPartitions};
    let topic = TopicPartitions::default().with_topic_id(uuid::Uuid::from_u128(7)).with_partitions(vec![1, 2]);
    let answer = ConsumerGroupHeartbeatResponse::default().with_member_id(Some(text()));
    let assigned = Assignment::default().with_topic_partitions(vec![topic; 2]);
    encoded(&answer.with_error_message(Some(text())).with_assignment(Some(assigned)), version)
}

fn group_left(version: i16) -> Bytes {
    let member = leave_group_response::MemberResponse::default().with_member_id(text());
    let answer = LeaveGroupResponse::default();
    let whole = answer.clone().with_members(vec![member.with_group_instance_id(Some(text())); 2]);
    encoded(&if version >= 3 { whole } else { answer }, version)
}

fn offsets_committed(version: i16) -> Bytes {
    let part = offset_commit_response::OffsetCommitResponsePartition::default().with_error_code(22);
    let topic = offset_commit_response::OffsetCommitResponseTopic::default().with_name(name());
    encoded(&OffsetCommitResponse::default().with_topics(vec![topic.with_partitions(vec![part; 3]); 2]), version)
}

fn offsets_fetched(version: i16) -> Bytes {
    use offset_fetch_response as fetch;
    let answer = OffsetFetchResponse::default();
    if version >= 8 {
        let part = fetch::OffsetFetchResponsePartitions::default().with_metadata(Some(text()));
        let topic = fetch::OffsetFetchResponseTopics::default().with_name(name()).with_partitions(vec![part; 2]);
        let group = fetch::OffsetFetchResponseGroup::default().with_group_id(GroupId(text()));
        return encoded(&answer.with_groups(vec![group.with_topics(vec![topic; 2]); 2]), version);
    }
    let part = fetch::OffsetFetchResponsePartition::default().with_metadata(Some(text()));
    let topic = fetch::OffsetFetchResponseTopic::default().with_name(name()).with_partitions(vec![part; 2]);
    encoded(&answer.with_topics(vec![topic; 2]), version)
}

fn epoch_ends(version: i16) -> Bytes {
    use offset_for_leader_epoch_response as epochs;
    let part = epochs::EpochEndOffset::default().with_leader_epoch(3).with_end_offset(9);
    let topic = epochs::OffsetForLeaderTopicResult::default().with_topic(name()).with_partitions(vec![part; 2]);
    encoded(&OffsetForLeaderEpochResponse::default().with_topics(vec![topic; 2]), version)
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

fn voter_added(version: i16) -> Bytes {
    encoded(&AddRaftVoterResponse::default().with_error_message(Some(text())), version)
}

fn voter_removed(version: i16) -> Bytes {
    encoded(&RemoveRaftVoterResponse::default().with_error_message(Some(text())), version)
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

fn voted(version: i16) -> Bytes {
    let part = vote::PartitionData::default().with_vote_granted(true);
    let topic = vote::TopicData::default().with_topic_name(name()).with_partitions(vec![part; 2]);
    let mut answer = VoteResponse::default().with_topics(vec![topic; 2]);
    if version >= 1 {
        answer = answer.with_node_endpoints(vec![vote::NodeEndpoint::default().with_host(text())]);
    }
    encoded(&answer, version)
}

fn begun(version: i16) -> Bytes {
    let topic = begin_epoch::TopicData::default().with_topic_name(name());
    let topic = topic.with_partitions(vec![begin_epoch::PartitionData::default(); 2]);
    let mut answer = BeginQuorumEpochResponse::default().with_topics(vec![topic; 2]);
    if version >= 1 {
        answer = answer.with_node_endpoints(vec![begin_epoch::NodeEndpoint::default().with_host(text())]);
    }
    encoded(&answer, version)
}

fn ended(version: i16) -> Bytes {
    let topic = end_epoch::TopicData::default().with_topic_name(name());
    let topic = topic.with_partitions(vec![end_epoch::PartitionData::default(); 2]);
    let mut answer = EndQuorumEpochResponse::default().with_topics(vec![topic; 2]);
    if version >= 1 {
        answer = answer.with_node_endpoints(vec![end_epoch::NodeEndpoint::default().with_host(text())]);
    }
    encoded(&answer, version)
}

fn piece(version: i16) -> Bytes {
    let part = fetch_snapshot::PartitionSnapshot::default()
        .with_current_leader(fetch_snapshot::LeaderIdAndEpoch::default().with_leader_epoch(3))
        .with_unaligned_records(Bytes::from_static(b"snapshot"));
    let topic = fetch_snapshot::TopicSnapshot::default().with_name(name()).with_partitions(vec![part; 2]);
    let mut answer = FetchSnapshotResponse::default().with_topics(vec![topic]);
    if version >= 1 {
        answer = answer.with_node_endpoints(vec![fetch_snapshot::NodeEndpoint::default().with_host(text())]);
    }
    encoded(&answer, version)
}

fn changed(version: i16) -> Bytes {
    let part = alter_partition::PartitionData::default().with_isr(vec![BrokerId(1); 3]);
    let topic = alter_partition::TopicData::default().with_partitions(vec![part; 2]);
    encoded(&AlterPartitionResponse::default().with_topics(vec![topic; 2]), version)
}

fn registered(version: i16) -> Bytes {
    encoded(&BrokerRegistrationResponse::default().with_broker_epoch(7), version)
}

fn beaten(version: i16) -> Bytes {
    encoded(&BrokerHeartbeatResponse::default().with_is_fenced(false), version)
}

fn allocated(version: i16) -> Bytes {
    encoded(&AllocateProducerIdsResponse::default().with_producer_id_len(7), version)
}

fn enveloped(version: i16) -> Bytes {
    encoded(&EnvelopeResponse::default().with_response_data(Some(Bytes::from_static(b"answer"))), version)
}

/// An API: its key, the versions in which its answers are decoded somewhere, a full answer of it, and its decoder. Of
/// Metadata all that there are, whoever speaks them.
type Row = (i16, std::ops::RangeInclusive<i16>, Answer, Decode);

const ALL: &[Row] = &[
    (ProduceRequest::KEY, 9..=11, produced, decode::<ProduceRequest>),
    (InitProducerIdRequest::KEY, 3..=4, identified, decode::<InitProducerIdRequest>),
    (FetchRequest::KEY, 12..=17, fetched, decode::<FetchRequest>),
    (ListOffsetsRequest::KEY, 6..=7, listed, decode::<ListOffsetsRequest>),
    (MetadataRequest::KEY, 0..=13, metadata, decode::<MetadataRequest>),
    (CreateTopicsRequest::KEY, 5..=7, created, decode::<CreateTopicsRequest>),
    (DeleteTopicsRequest::KEY, 4..=5, deleted, decode::<DeleteTopicsRequest>),
    (DeleteRecordsRequest::KEY, 2..=2, trimmed, decode::<DeleteRecordsRequest>),
    (DescribeConfigsRequest::KEY, 4..=4, described, decode::<DescribeConfigsRequest>),
    (CreatePartitionsRequest::KEY, 2..=3, grown, decode::<CreatePartitionsRequest>),
    (IncrementalAlterConfigsRequest::KEY, 1..=1, altered, decode::<IncrementalAlterConfigsRequest>),
    (ElectLeadersRequest::KEY, 2..=2, elected, decode::<ElectLeadersRequest>),
    (AddRaftVoterRequest::KEY, 0..=0, voter_added, decode::<AddRaftVoterRequest>),
    (RemoveRaftVoterRequest::KEY, 0..=0, voter_removed, decode::<RemoveRaftVoterRequest>),
    (AlterPartitionReassignmentsRequest::KEY, 0..=0, reassigned, decode::<AlterPartitionReassignmentsRequest>),
    (ApiVersionsRequest::KEY, 0..=3, api_versions, decode::<ApiVersionsRequest>),
    (VoteRequest::KEY, 0..=2, voted, decode::<VoteRequest>),
    (BeginQuorumEpochRequest::KEY, 0..=1, begun, decode::<BeginQuorumEpochRequest>),
    (EndQuorumEpochRequest::KEY, 0..=1, ended, decode::<EndQuorumEpochRequest>),
    (FetchSnapshotRequest::KEY, 0..=1, piece, decode::<FetchSnapshotRequest>),
    (AlterPartitionRequest::KEY, 2..=3, changed, decode::<AlterPartitionRequest>),
    (BrokerRegistrationRequest::KEY, 0..=4, registered, decode::<BrokerRegistrationRequest>),
    (BrokerHeartbeatRequest::KEY, 0..=1, beaten, decode::<BrokerHeartbeatRequest>),
    (AllocateProducerIdsRequest::KEY, 0..=0, allocated, decode::<AllocateProducerIdsRequest>),
    (FindCoordinatorRequest::KEY, 0..=6, coordinator_found, decode::<FindCoordinatorRequest>),
    (JoinGroupRequest::KEY, 0..=9, group_joined, decode::<JoinGroupRequest>),
    (SyncGroupRequest::KEY, 0..=5, group_synced, decode::<SyncGroupRequest>),
    (HeartbeatRequest::KEY, 0..=4, group_beaten, decode::<HeartbeatRequest>),
    (ConsumerGroupHeartbeatRequest::KEY, 0..=1, told_to_own, decode::<ConsumerGroupHeartbeatRequest>),
    (LeaveGroupRequest::KEY, 0..=5, group_left, decode::<LeaveGroupRequest>),
    (OffsetCommitRequest::KEY, 2..=9, offsets_committed, decode::<OffsetCommitRequest>),
    (OffsetFetchRequest::KEY, 1..=9, offsets_fetched, decode::<OffsetFetchRequest>),
    (OffsetForLeaderEpochRequest::KEY, 2..=4, epoch_ends, decode::<OffsetForLeaderEpochRequest>),
    (EnvelopeRequest::KEY, 0..=0, enveloped, decode::<EnvelopeRequest>),
];

#[test]
fn every_layout_has_an_answer_here() {
    let all = || (0..100).flat_map(|key| (0..30).map(move |version| (key, version)));
    let known: Vec<_> = all().filter(|(key, version)| layout(*key, *version).is_some()).collect();
    let mut here: Vec<_> = ALL.iter().flat_map(|(key, versions, ..)| versions.clone().map(|v| (*key, v))).collect();
    here.sort_unstable();
    assert_eq!(here, known);
}

#[test]
fn full_answers_pass_and_cut_or_longer_ones_do_not() {
    for (key, versions, answer, decode) in ALL {
        for version in versions.clone() {
            let bytes = answer(version);
            let layout = layout(*key, version).unwrap();
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
    assert!(check(layout(MetadataRequest::KEY, 12).unwrap(), 12, &hostile).is_err());
}

/// Found by fuzzing: as of version 0, which nobody here speaks, brokers have no rack, and the count of the replicas is where
/// one was taken for read. The crate reserves 5 GB for it.
#[test]
fn a_count_behind_what_an_old_version_does_not_have_is_refused() {
    let mut hostile = vec![0; 74];
    for (at, byte) in
        [(3, 1), (4, 0xfe), (5, 0x31), (10, 0x31), (15, 0x2e), (16, 0xfe), (23, 1), (35, 1), (40, 0x4d), (61, 0x4c)]
    {
        hostile[at] = byte;
    }
    (hostile[65], hostile[66]) = (1, 0xfe);
    assert!(check(layout(MetadataRequest::KEY, 0).unwrap(), 0, &hostile).is_err());
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
        let (key, versions, answer, decode) = &ALL[api];
        let version = *pick.get(&versions.clone().collect::<Vec<_>>());
        let mut bytes = answer(version).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if check(layout(*key, version).unwrap(), version, &bytes).is_ok() {
            decode(bytes.into(), version);
        }
    }
}
