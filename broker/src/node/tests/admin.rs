//! What operators ask of a cluster, whichever broker they ask: who leads, where replicas are, who belongs to it.

use std::time::Duration;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;

use super::produce_fetch::topic;
use crate::config::{BrokerConfig, FlushPolicy};
use crate::controller::record::{METADATA_TOPIC, text};
use crate::env::Env;
use crate::env::real::block_on;
use crate::node::testing::*;

/// How often it is looked again, a moment apart, before that is given up.
const TRIES: usize = 600;

fn config() -> BrokerConfig {
    BrokerConfig {
        replica_fetch_backoff: Duration::from_millis(50),
        broker_heartbeat_interval: Duration::from_millis(100),
        broker_session_timeout: Duration::from_millis(1000),
        ..settings(FlushPolicy::Always)
    }
}

fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}

async fn create_on(member: &Member, name: &str, brokers: &[i32]) {
    let placed = CreatableReplicaAssignment::default().with_partition_index(0).with_broker_ids(ids(brokers));
    let wanted = CreatableTopic::default().with_name(topic(name)).with_num_partitions(-1).with_replication_factor(-1);
    let wanted = wanted.with_assignments(vec![placed]);
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(5000);
    assert_eq!(member.connect().await.ask(7, &request).await.topics[0].error_code, 0);
}

/// (leader, replicas, in-sync set) of the topic's partition 0, as this broker knows, if it does yet.
async fn partition(member: &Member, name: &str) -> Option<(i32, Vec<i32>, Vec<i32>)> {
    let asked = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let answer = member.connect().await.ask(9, &MetadataRequest::default().with_topics(Some(vec![asked]))).await;
    let partition = answer.topics[0].partitions.first()?;
    let plain = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    Some((partition.leader_id.0, plain(&partition.replica_nodes), plain(&partition.isr_nodes)))
}

async fn until(member: &Member, name: &str, what: impl Fn(i32, &[i32], &[i32]) -> bool) {
    for _ in 0..TRIES {
        if let Some((leader, replicas, in_sync)) = partition(member, name).await
            && what(leader, &replicas, &in_sync)
        {
            return;
        }
        member.env().sleep(Duration::from_millis(20)).await;
    }
    panic!("it stays at {:?}", partition(member, name).await);
}

/// The error for partition 0, the request's own if there is one.
pub async fn reassign(member: &Member, name: &str, to: Option<&[i32]>, resize: bool) -> i16 {
    let part = ReassignablePartition::default().with_partition_index(0).with_replicas(to.map(ids));
    let wanted = ReassignableTopic::default().with_name(topic(name)).with_partitions(vec![part]);
    let request = AlterPartitionReassignmentsRequest::default()
        .with_topics(vec![wanted])
        .with_allow_replication_factor_change(resize);
    let answer = member.connect().await.ask(1, &request).await;
    assert_eq!(answer.allow_replication_factor_change, resize);
    if answer.error_code != 0 { answer.error_code } else { answer.responses[0].partitions[0].error_code }
}

/// (topic, replicas, adding, removing) of each partition on the move.
async fn moving(member: &Member) -> Vec<(String, Vec<BrokerId>, Vec<BrokerId>, Vec<BrokerId>)> {
    let answer = member.connect().await.ask(0, &ListPartitionReassignmentsRequest::default().with_topics(None)).await;
    assert_eq!(answer.error_code, 0);
    let parts = answer.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        topic.partitions.into_iter().map(move |part| (name.clone(), part))
    });
    parts.map(|(name, part)| (name, part.replicas, part.adding_replicas, part.removing_replicas)).collect()
}

/// The error for partition 0 of that topic; of the request, if that has one.
pub async fn elect(member: &Member, version: i16, kind: i8, name: &str) -> i16 {
    let asked = TopicPartitions::default().with_topic(topic(name)).with_partitions(vec![0]);
    let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![asked])).with_election_type(kind);
    let answer = member.connect().await.ask(version, &request).await;
    let part = answer.replica_election_results.first().and_then(|topic| topic.partition_result.first());
    part.map_or(answer.error_code, |part| part.error_code)
}

#[test]
fn a_preferred_leader_is_put_back_and_replicas_move_whoever_is_asked() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |members| async move {
        let [a, b, c] = &members[..] else { panic!("three") };
        create_on(a, "t", &[0, 1]).await;
        until(b, "t", |_, _, in_sync| in_sync.len() == 2).await;
        for member in &members {
            assert_eq!(elect(member, 2, 0, "t").await, E::ElectionNotNeeded.code());
            assert_eq!(elect(member, 2, 0, "u").await, E::UnknownTopicOrPartition.code());
            assert_eq!(elect(member, 2, 7, "t").await, E::InvalidRequest.code());
        }
        // The order changes and not the leader: nobody is in need of a new one.
        assert_eq!(reassign(b, "t", Some(&[1, 0]), false).await, 0);
        until(b, "t", |leader, replicas, _| (leader, replicas) == (0, &[1, 0])).await;
        // Before version 1 the preferred leader is all that can be asked for.
        assert_eq!(elect(c, 0, 0, "t").await, 0);
        until(b, "t", |leader, _, _| leader == 1).await;
        // All partitions are asked for: only what was done, or cannot be, is told.
        let all = ElectLeadersRequest::default().with_topic_partitions(None);
        let answer = a.connect().await.ask(2, &all).await;
        assert_eq!((answer.error_code, answer.replica_election_results.len()), (0, 0));

        assert_eq!(reassign(c, "t", Some(&[2]), false).await, E::InvalidReplicationFactor.code());
        assert_eq!(reassign(c, "t", Some(&[2, 9]), true).await, E::InvalidReplicaAssignment.code());
        assert_eq!(reassign(c, "u", Some(&[2]), true).await, E::UnknownTopicOrPartition.code());
        assert_eq!(reassign(a, "t", Some(&[2]), true).await, 0);
        until(a, "t", |leader, replicas, in_sync| (leader, replicas, in_sync) == (2, &[2], &[2])).await;
        assert_eq!(moving(a).await, []);
    });
}

#[test]
fn a_dead_brokers_replicas_move_an_unclean_leader_is_elected_and_it_is_unregistered() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |mut members| async move {
        create_on(&members[0], "t", &[2]).await;
        members.remove(2).stop().await;
        let [a, b] = &members[..] else { panic!("two are left") };
        until(a, "t", |leader, _, _| leader == -1).await;
        assert_eq!(elect(a, 2, 1, "t").await, E::EligibleLeadersNotAvailable.code());
        assert_eq!(elect(a, 2, 0, "t").await, E::PreferredLeaderNotAvailable.code());
        for member in &members {
            assert_eq!(reassign(member, "t", None, true).await, E::NoReassignmentInProgress.code());
            assert_eq!(reassign(member, "t", Some(&[2, 0]), true).await, 0);
            let expected = ("t".to_owned(), ids(&[2, 0]), ids(&[0]), ids(&[]));
            assert_eq!(moving(member).await, [expected]);
            assert_eq!(reassign(member, "t", None, true).await, 0);
            assert_eq!(moving(member).await, []);
        }
        assert_eq!(reassign(b, "t", Some(&[2, 0]), true).await, 0);
        assert_eq!(elect(b, 2, 1, "t").await, 0);
        until(b, "t", |leader, _, in_sync| (leader, in_sync) == (0, &[0])).await;

        let unregister = UnregisterBrokerRequest::default().with_broker_id(BrokerId(2));
        assert_eq!(b.connect().await.ask(0, &unregister).await.error_code, 0);
        let again = a.connect().await.ask(0, &unregister).await;
        assert_eq!(again.error_code, E::BrokerIdNotRegistered.code());
        assert!(again.error_message.is_some());
        let all = DescribeClusterRequest::default().with_include_fenced_brokers(true);
        for member in &members {
            for tries in 0.. {
                let known = member.connect().await.ask(2, &all).await.brokers;
                if known.iter().map(|broker| broker.broker_id.0).eq([0, 1]) {
                    break;
                }
                assert!(tries < TRIES, "it is never forgotten");
                member.env().sleep(Duration::from_millis(20)).await;
            }
        }
        assert_eq!(reassign(a, "t", Some(&[0]), true).await, 0);
        until(a, "t", |leader, replicas, _| (leader, replicas) == (0, &[0])).await;
    });
}

#[test]
fn a_broker_that_is_unregistered_alive_comes_back_and_has_to_catch_up() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |members| async move {
        create_on(&members[0], "t", &[1, 2]).await;
        until(&members[0], "t", |leader, _, in_sync| (leader, in_sync.len()) == (1, 2)).await;
        let unregister = UnregisterBrokerRequest::default().with_broker_id(BrokerId(1));
        assert_eq!(members[0].connect().await.ask(0, &unregister).await.error_code, 0);
        until(&members[0], "t", |leader, _, in_sync| leader == 2 && in_sync.contains(&1)).await;
    });
}

#[test]
fn the_quorum_is_described_whoever_is_asked() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |members| async move {
        let of = |name: &str, partition: i32| {
            let part = describe_quorum_request::PartitionData::default().with_partition_index(partition);
            describe_quorum_request::TopicData::default().with_topic_name(topic(name)).with_partitions(vec![part])
        };
        let asked = vec![of(METADATA_TOPIC, 0), of("t", 0), of(METADATA_TOPIC, 1)];
        let request = DescribeQuorumRequest::default().with_topics(asked);
        let mut leaders = Vec::new();
        for member in &members {
            for version in 0..=2 {
                let answer = member.connect().await.ask(version, &request).await;
                assert_eq!(answer.error_code, 0);
                let parts: Vec<_> = answer.topics.iter().map(|topic| &topic.partitions[0]).collect();
                assert_eq!(parts.iter().map(|part| part.error_code).collect::<Vec<_>>(), [0, 3, 3]);
                assert!(parts[0].high_watermark > 0 && parts[0].leader_epoch > 0);
                let voters: Vec<i32> = parts[0].current_voters.iter().map(|voter| voter.replica_id.0).collect();
                assert_eq!((voters, parts[0].observers.len()), (vec![0, 1, 2], 0));
                if version >= 1 {
                    let told = |at: i64| (member.env().wall() - at).abs() < 60_000;
                    let heard = parts[0].current_voters.iter().filter(|voter| told(voter.last_fetch_timestamp));
                    assert!(heard.count() >= 2, "a majority fetches");
                }
                if version >= 2 {
                    let nodes = answer.nodes.iter().map(|node| (node.node_id.0, &*node.listeners[0].host));
                    assert!(nodes.eq((0..3).map(|id| (id, "127.0.0.1"))));
                }
                leaders.push(parts[0].leader_id.0);
            }
        }
        leaders.dedup();
        assert_eq!(leaders.len(), 1, "{leaders:?}");
    });
}

/// (leader, voters, observers), as whoever is asked tells.
async fn quorum(member: &Member) -> (usize, Vec<i32>, Vec<i32>) {
    let part = describe_quorum_request::PartitionData::default();
    let asked = describe_quorum_request::TopicData::default().with_topic_name(topic(METADATA_TOPIC));
    let request = DescribeQuorumRequest::default().with_topics(vec![asked.with_partitions(vec![part])]);
    loop {
        let answer = member.connect().await.ask(2, &request).await;
        let Some(part) = answer.topics.first().map(|topic| &topic.partitions[0]) else { continue };
        let ids = |all: &[describe_quorum_response::ReplicaState]| all.iter().map(|one| one.replica_id.0).collect();
        let leader = usize::try_from(part.leader_id.0).unwrap();
        return (leader, ids(&part.current_voters), ids(&part.observers));
    }
}

async fn until_voters(member: &Member, expected: &[i32]) -> usize {
    for _ in 0..TRIES {
        let (leader, voters, _) = quorum(member).await;
        if voters == expected {
            return leader;
        }
        member.env().sleep(Duration::from_millis(20)).await;
    }
    panic!("the voters stay {:?}", quorum(member).await);
}

async fn add_voter(member: &Member, id: i32, port: u16) -> i16 {
    let listener = add_raft_voter_request::Listener::default().with_name(text("PLAINTEXT"));
    let listener = listener.with_host(text("127.0.0.1")).with_port(port);
    let listeners = if port > 0 { vec![listener] } else { Vec::new() };
    let request = AddRaftVoterRequest::default()
        .with_cluster_id(None)
        .with_voter_id(id)
        .with_listeners(listeners)
        .with_timeout_ms(10_000);
    member.connect().await.ask(0, &request).await.error_code
}

async fn remove_voter(member: &Member, id: i32) -> i16 {
    member
        .connect()
        .await
        .ask(0, &RemoveRaftVoterRequest::default().with_cluster_id(None).with_voter_id(id))
        .await
        .error_code
}

#[test]
fn a_fourth_voter_joins_and_the_leader_leaves() {
    let root = tempfile::tempdir().unwrap();
    // Small snapshots, so that some start from one.
    let config = BrokerConfig { metadata_snapshot_bytes: 1500, ..config() };
    block_on(async {
        let all = members(&config, 3, 1);
        let port = all[3].listen.rsplit_once(':').unwrap().1.parse().unwrap();
        let start = |config: BrokerConfig| Member::start(&root.path().join(config.node_id.to_string()), config);
        let mut members: Vec<Member> = all.into_iter().map(start).collect();
        for member in &mut members {
            member.ready().await;
        }
        assert_eq!(until_voters(&members[3], &[0, 1, 2]).await, quorum(&members[0]).await.0);
        assert_eq!(add_voter(&members[0], 3, 0).await, E::InvalidRequest.code());
        assert_eq!(add_voter(&members[0], 2, port).await, E::DuplicateVoter.code());
        assert_eq!(remove_voter(&members[0], 3).await, E::VoterNotFound.code());
        assert_eq!(add_voter(&members[1], 3, port).await, 0);
        let first = until_voters(&members[0], &[0, 1, 2, 3]).await;

        // The leader leads until it is committed that it does not vote, and then no more.
        assert_eq!(remove_voter(&members[3], i32::try_from(first).unwrap()).await, 0);
        let left: Vec<i32> = (0..4).filter(|id| usize::try_from(*id).unwrap() != first).collect();
        for member in &members {
            assert_ne!(until_voters(member, &left).await, first);
        }
        for n in 0..20 {
            create_on(&members[first], &format!("t{n}"), &[0, 1]).await;
        }
        // Whoever starts again knows from snapshot and log who votes, whatever its settings say.
        let mut again = Vec::new();
        for member in members {
            let (root, config) = member.stop().await;
            let mut member = Member::start(&root, config);
            member.ready().await;
            again.push(member);
        }
        for member in &again {
            assert!(left.contains(&i32::try_from(until_voters(member, &left).await).unwrap()));
        }
    })
    .unwrap();
}
