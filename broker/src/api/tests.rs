//! The bounds against the protocol crate: every request it can write, in every version served, passes and decodes;
//! nothing else does harm.

mod groups;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsResource as SetResource, AlterableConfig as SetConfig,
};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes};
use proptest::prelude::*;
use uuid::Uuid;

use super::{table, understands};
use crate::controller::record::text;
use crate::env::real::RealEnv;
use crate::node::testing::frame;

fn name() -> TopicName {
    TopicName(text("topic"))
}

fn two<T: Clone>(one: T) -> Vec<T> {
    vec![one; 2]
}

/// A request without its length prefix.
fn body<R: Request>(version: i16, request: &R) -> Bytes {
    let mut frame = frame(7, version, request);
    frame.advance(4);
    frame
}

fn fetch(v: i16) -> FetchRequest {
    let mut partition = FetchPartition::default().with_partition(1).with_fetch_offset(7).with_partition_max_bytes(9);
    partition.current_leader_epoch = if v >= 9 { 5 } else { -1 };
    partition.last_fetched_epoch = if v >= 12 { 5 } else { -1 };
    partition.log_start_offset = if v >= 5 { 5 } else { -1 };
    partition.replica_directory_id = if v >= 17 { Uuid::from_u128(9) } else { Uuid::nil() };
    let topic = FetchTopic::default().with_partitions(two(partition));
    let forgotten = ForgottenTopic::default().with_partitions(vec![1, 2, 3]);
    let by_id = v >= 13;
    let topic = if by_id { topic.with_topic_id(Uuid::from_u128(4)) } else { topic.with_topic(name()) };
    let forgotten = if by_id { forgotten.with_topic_id(Uuid::from_u128(4)) } else { forgotten.with_topic(name()) };
    let mut request = FetchRequest::default().with_max_bytes(3).with_topics(two(topic));
    if v >= 7 {
        request = request.with_forgotten_topics_data(two(forgotten)).with_session_epoch(1).with_session_id(2);
    }
    if v >= 11 {
        request.rack_id = text("rack");
    }
    if v >= 12 {
        request.cluster_id = Some(text("cluster"));
    }
    if v >= 15 {
        request.replica_state = ReplicaState::default().with_replica_id(BrokerId(4)).with_replica_epoch(6);
    }
    request
}

fn create_topics() -> CreateTopicsRequest {
    let placed = CreatableReplicaAssignment::default().with_broker_ids(two(BrokerId(1)));
    let config = CreatableTopicConfig::default().with_name(text("a")).with_value(None);
    let topic = CreatableTopic::default().with_name(name()).with_assignments(two(placed)).with_configs(two(config));
    CreateTopicsRequest::default().with_topics(two(topic))
}

fn metadata(v: i16) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(name()));
    let topic = if v >= 10 { topic.with_topic_id(Uuid::from_u128(1)) } else { topic };
    MetadataRequest::default().with_topics(Some(two(topic)))
}

fn list_offsets(v: i16) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_partition_index(2).with_timestamp(-1);
    let partition = if v >= 4 { partition.with_current_leader_epoch(3) } else { partition };
    let topic = ListOffsetsTopic::default().with_name(name()).with_partitions(two(partition));
    ListOffsetsRequest::default().with_topics(two(topic))
}

fn delete_topics(v: i16) -> DeleteTopicsRequest {
    if v >= 6 {
        let topic = DeleteTopicState::default().with_name(Some(name())).with_topic_id(Uuid::from_u128(1));
        return DeleteTopicsRequest::default().with_topics(two(topic));
    }
    DeleteTopicsRequest::default().with_topic_names(two(name()))
}

fn quorum(key: i16, v: i16, filled: bool) -> Bytes {
    let cluster = filled.then(|| text("cluster"));
    let some = if filled { 2 } else { 0 };
    match key {
        52 => {
            let part = vote_request::PartitionData::default().with_last_offset(7);
            let topic = vote_request::TopicData::default().with_topic_name(name()).with_partitions(two(part));
            body(v, &VoteRequest::default().with_cluster_id(cluster).with_topics(vec![topic; some]))
        }
        53 => {
            let part = begin_quorum_epoch_request::PartitionData::default().with_leader_epoch(7);
            let topic = begin_quorum_epoch_request::TopicData::default().with_topic_name(name());
            let topic = topic.with_partitions(two(part));
            let endpoint = begin_quorum_epoch_request::LeaderEndpoint::default().with_name(text("l"));
            let full = BeginQuorumEpochRequest::default().with_cluster_id(cluster).with_topics(vec![topic; some]);
            body(v, &if v >= 1 { full.with_leader_endpoints(vec![endpoint; some]) } else { full })
        }
        _ => {
            let part = end_quorum_epoch_request::PartitionData::default().with_leader_epoch(7);
            let candidate = end_quorum_epoch_request::ReplicaInfo::default().with_candidate_id(BrokerId(3));
            let part = match v {
                0 => part.with_preferred_successors(vec![1, 2]),
                _ => part.with_preferred_candidates(two(candidate)),
            };
            let topic = end_quorum_epoch_request::TopicData::default().with_topic_name(name());
            let topic = topic.with_partitions(two(part));
            let endpoint = end_quorum_epoch_request::LeaderEndpoint::default().with_name(text("l"));
            let full = EndQuorumEpochRequest::default().with_cluster_id(cluster).with_topics(vec![topic; some]);
            body(v, &if v >= 1 { full.with_leader_endpoints(vec![endpoint; some]) } else { full })
        }
    }
}

fn of<R: Request + Default>(v: i16, filled: bool, full: R) -> Bytes {
    body(v, &if filled { full } else { R::default() })
}

fn of_settings(key: i16, v: i16, filled: bool) -> Bytes {
    match key {
        32 => {
            let resource = DescribeConfigsResource::default().with_resource_name(text("t"));
            let resource = resource.with_configuration_keys(Some(two(text("retention.ms"))));
            of(v, filled, DescribeConfigsRequest::default().with_resources(two(resource)))
        }
        35 => {
            let topic = DescribableLogDirTopic::default().with_topic(name()).with_partitions(vec![1, 2]);
            of(v, filled, DescribeLogDirsRequest::default().with_topics(Some(two(topic))))
        }
        37 => {
            let placed = CreatePartitionsAssignment::default().with_broker_ids(two(BrokerId(1)));
            let topic = CreatePartitionsTopic::default().with_name(name()).with_assignments(Some(two(placed)));
            of(v, filled, CreatePartitionsRequest::default().with_topics(two(topic)))
        }
        33 => {
            let config = SetConfig::default().with_name(text("a")).with_value(Some(text("b")));
            let resource = SetResource::default().with_resource_name(text("t")).with_configs(two(config));
            of(v, filled, AlterConfigsRequest::default().with_resources(two(resource)))
        }
        44 => {
            let config = AlterableConfig::default().with_name(text("a")).with_value(Some(text("b")));
            let resource = AlterConfigsResource::default().with_resource_name(text("t")).with_configs(two(config));
            of(v, filled, IncrementalAlterConfigsRequest::default().with_resources(two(resource)))
        }
        key => panic!("API {key} has no sample"),
    }
}

fn of_the_cluster(key: i16, v: i16, filled: bool) -> Bytes {
    match key {
        43 => {
            let topic =
                elect_leaders_request::TopicPartitions::default().with_topic(name()).with_partitions(vec![1, 2]);
            let full = ElectLeadersRequest::default().with_topic_partitions(Some(two(topic))).with_timeout_ms(9);
            of(v, filled, if v >= 1 { full.with_election_type(1) } else { full })
        }
        45 => {
            let part = ReassignablePartition::default().with_replicas(Some(two(BrokerId(1))));
            let topic = ReassignableTopic::default().with_name(name()).with_partitions(two(part));
            let full = AlterPartitionReassignmentsRequest::default().with_topics(two(topic));
            of(v, filled, if v >= 1 { full.with_allow_replication_factor_change(false) } else { full })
        }
        46 => {
            let topic =
                ListPartitionReassignmentsTopics::default().with_name(name()).with_partition_indexes(vec![1, 2]);
            of(v, filled, ListPartitionReassignmentsRequest::default().with_topics(Some(two(topic))))
        }
        55 => {
            let part = describe_quorum_request::PartitionData::default().with_partition_index(1);
            let topic = describe_quorum_request::TopicData::default().with_topic_name(name());
            of(v, filled, DescribeQuorumRequest::default().with_topics(two(topic.with_partitions(two(part)))))
        }
        80 => {
            let listener = add_raft_voter_request::Listener::default().with_name(text("l")).with_host(text("h"));
            let full = AddRaftVoterRequest::default().with_cluster_id(Some(text("c"))).with_voter_id(3);
            of(v, filled, full.with_listeners(two(listener)))
        }
        81 => of(v, filled, RemoveRaftVoterRequest::default().with_cluster_id(Some(text("c"))).with_voter_id(3)),
        _ => of(v, filled, UnregisterBrokerRequest::default().with_broker_id(BrokerId(3))),
    }
}

fn between_nodes(key: i16, v: i16, filled: bool) -> Bytes {
    match key {
        52..=54 => quorum(key, v, filled),
        56 => {
            let member = alter_partition_request::BrokerState::default().with_broker_id(BrokerId(1));
            let part = alter_partition_request::PartitionData::default();
            let part =
                if v >= 3 { part.with_new_isr_with_epochs(two(member)) } else { part.with_new_isr(two(BrokerId(1))) };
            let topic = alter_partition_request::TopicData::default().with_partitions(two(part));
            of(v, filled, AlterPartitionRequest::default().with_topics(two(topic)))
        }
        58 => of(v, filled, EnvelopeRequest::default().with_request_data(Bytes::from_static(&[9; 30]))),
        59 => {
            let id = fetch_snapshot_request::SnapshotId::default().with_end_offset(7).with_epoch(3);
            let part = fetch_snapshot_request::PartitionSnapshot::default().with_snapshot_id(id).with_position(5);
            let part = if v >= 1 { part.with_replica_directory_id(Uuid::from_u128(2)) } else { part };
            let topic = fetch_snapshot_request::TopicSnapshot::default().with_name(name()).with_partitions(two(part));
            let full = FetchSnapshotRequest::default().with_cluster_id(Some(text("c")));
            of(v, filled, full.with_topics(two(topic)))
        }
        62 => {
            let listener = broker_registration_request::Listener::default().with_name(text("PLAINTEXT"));
            let feature = broker_registration_request::Feature::default().with_name(text("f"));
            let full = BrokerRegistrationRequest::default().with_listeners(two(listener)).with_features(two(feature));
            let full = full.with_cluster_id(text("c")).with_rack(Some(text("r")));
            of(v, filled, if v >= 2 { full.with_log_dirs(two(Uuid::from_u128(1))) } else { full })
        }
        63 => {
            let full = BrokerHeartbeatRequest::default();
            of(v, filled, if v >= 1 { full.with_offline_log_dirs(two(Uuid::from_u128(1))) } else { full })
        }
        67 => of(v, filled, AllocateProducerIdsRequest::default().with_broker_epoch(5)),
        key => panic!("API {key} has no sample"),
    }
}

/// A request of API `key` with something in every field; `filled` false: with its defaults.
pub(crate) fn sample(key: i16, v: i16, filled: bool) -> Bytes {
    match key {
        0 => {
            let data = PartitionProduceData::default().with_records(Some(Bytes::from_static(&[9; 300])));
            let topic = TopicProduceData::default().with_partition_data(two(data));
            let topic = if v >= 13 { topic.with_topic_id(Uuid::from_u128(3)) } else { topic.with_name(name()) };
            let full =
                ProduceRequest::default().with_topic_data(two(topic)).with_transactional_id(Some(text("t").into()));
            of(v, filled, full)
        }
        1 => of(v, filled, fetch(v)),
        2 => of(v, filled, list_offsets(v)),
        3 => of(v, filled, metadata(v)),
        18 => {
            let full = ApiVersionsRequest::default();
            let named = |full: ApiVersionsRequest| {
                full.with_client_software_name(text("me")).with_client_software_version(text("1"))
            };
            of(v, filled, if v >= 3 { named(full) } else { full })
        }
        19 => of(v, filled, create_topics()),
        20 => of(v, filled, delete_topics(v)),
        21 => {
            let topic = DeleteRecordsTopic::default().with_partitions(two(DeleteRecordsPartition::default()));
            of(v, filled, DeleteRecordsRequest::default().with_topics(two(topic.with_name(name()))))
        }
        22 => {
            let full = InitProducerIdRequest::default().with_transactional_id(Some(text("t").into()));
            of(v, filled, if v >= 3 { full.with_producer_epoch(7) } else { full })
        }
        23 => {
            let topic = OffsetForLeaderTopic::default().with_partitions(two(OffsetForLeaderPartition::default()));
            of(v, filled, OffsetForLeaderEpochRequest::default().with_topics(two(topic.with_topic(name()))))
        }
        8..=16 | 42 | 47 | 68 | 69 => groups::of_groups(key, v, filled),
        43 | 45 | 46 | 55 | 64 | 80 | 81 => of_the_cluster(key, v, filled),
        32..=44 => of_settings(key, v, filled),
        60 => of(v, filled, DescribeClusterRequest::default().with_include_cluster_authorized_operations(true)),
        _ => between_nodes(key, v, filled),
    }
}

/// Every request served that the crate can write: key and version.
pub(crate) fn served() -> Vec<(i16, i16)> {
    let rows = table::<RealEnv>().iter();
    rows.flat_map(|api| {
        // The crate cannot write Produce before version 3.
        let min = if api.key == 0 { 3 } else { api.versions.min };
        (min..=api.versions.max).map(|version| (api.key, version))
    })
    .collect()
}

#[test]
fn every_request_of_every_version_served_passes_and_decodes() {
    for (key, version) in served() {
        for filled in [false, true] {
            let frame = BytesMut::from(&sample(key, version, filled)[..]);
            assert!(understands::<RealEnv>(frame), "API {key} version {version} filled {filled}");
        }
    }
}

#[test]
fn no_request_passes_cut_short_and_bytes_left_over_are_ignored() {
    for (key, version) in served() {
        let whole = sample(key, version, true);
        for cut in 0..whole.len() {
            assert!(!understands::<RealEnv>(BytesMut::from(&whole[..cut])), "API {key} version {version} at {cut}");
        }
        let mut longer = BytesMut::from(&whole[..]);
        longer.extend_from_slice(&[0, 1, 0xff]);
        assert!(understands::<RealEnv>(longer), "API {key} version {version} and more");
    }
}

#[test]
fn counts_that_abort_the_crate_are_refused() {
    let head = |version: u8, rest: &[u8]| {
        let mut frame = BytesMut::from(&[0, 3, 0, version, 0, 0, 0, 1, 0xff, 0xff][..]);
        frame.extend_from_slice(rest);
        frame
    };
    assert!(!understands::<RealEnv>(head(1, &[0x7f, 0xff, 0xff, 0xff])));
    assert!(!understands::<RealEnv>(head(12, &[0, 0xff, 0xff, 0xff, 0xff, 0x0f])));
    // A count that its bytes could carry, of elements that take more memory than bytes.
    let mut many = vec![0, 0x10, 0, 0];
    many.resize(4 + (2 << 20), 0);
    assert!(!understands::<RealEnv>(head(1, &many)));
    // As many unknown tagged fields.
    let mut tags = vec![0, 1, 0, 0, 0x80, 0x80, 0x40];
    tags.resize(7 + (4 << 20), 0);
    assert!(!understands::<RealEnv>(head(12, &tags)));
}

#[test]
fn text_that_is_no_text_does_not_decode() {
    let frame = [&[0u8, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff][..], &[0, 0, 0, 1, 0, 1, 0xff]].concat();
    assert!(!understands::<RealEnv>(BytesMut::from(&frame[..])));
    let good = [&frame[..frame.len() - 1], b"a"].concat();
    assert!(understands::<RealEnv>(BytesMut::from(&good[..])));
    assert_eq!(StrBytes::from_static_str("a").len(), 1);
}

proptest! {
    #[test]
    fn mutated_requests_do_no_harm(
        pick in any::<prop::sample::Index>(),
        filled in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in 0usize..30,
    ) {
        let (key, version) = *pick.get(&served());
        let mut frame = BytesMut::from(&sample(key, version, filled)[..]);
        for (at, byte) in edits {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(frame.len().saturating_sub(cut));
        let _ = understands::<RealEnv>(frame);
    }

    #[test]
    fn noise_does_no_harm(key in 0u8..70, version in 0u8..20, rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut frame = BytesMut::from(&[0, key, 0, version, 0, 0, 0, 1][..]);
        frame.extend_from_slice(&rest);
        let _ = understands::<RealEnv>(frame);
    }
}
