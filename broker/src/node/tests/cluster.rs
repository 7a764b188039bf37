//! Three brokers over loopback: what is acknowledged by all is on all, is read from the nearest, and outlives its leader.

use std::future::Future;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::*;

use super::admin::{elect, reassign};
use super::produce_fetch::{fetch, produce, topic, values};
use crate::config::{BrokerConfig, FlushPolicy, GroupConfig, LogConfig};
use crate::controller::record::text;
use crate::env::Env;
use crate::fact::Fact;
use crate::group::OFFSETS_TOPIC;
use crate::ids::NodeId;
use crate::node::testing::*;
use crate::record::Compression;

/// How often a client asks again, a moment apart, before it gives up.
const TRIES: usize = 600;

fn config() -> BrokerConfig {
    let log = LogConfig { min_insync_replicas: 2, ..LogConfig::default() };
    BrokerConfig {
        log,
        replica_fetch_backoff: Duration::from_millis(50),
        broker_heartbeat_interval: Duration::from_millis(100),
        broker_session_timeout: Duration::from_millis(1000),
        ..settings(FlushPolicy::Always)
    }
}

async fn pause(member: &Member) {
    member.env().sleep(Duration::from_millis(20)).await;
}

/// Who leads the topic's only partition, as a broker knows.
async fn leader(member: &Member, name: &str) -> Option<usize> {
    let asked = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let answer = member.connect().await.ask(9, &MetadataRequest::default().with_topics(Some(vec![asked]))).await;
    let partition = answer.topics.first()?.partitions.first()?;
    usize::try_from(partition.leader_id.0).ok()
}

/// Produces to whoever leads among `members` until it is acknowledged by all; returns the leader.
async fn produce_until(members: &[(usize, Member)], name: &str, value: &str) -> usize {
    for _ in 0..TRIES {
        for (number, member) in members {
            if leader(member, name).await != Some(*number) {
                continue;
            }
            let records = batch(&[value], Compression::None);
            let request = produce(name, uuid::Uuid::nil(), 9, 0, -1, records);
            let answer = member.connect().await.ask(9, &request).await;
            if answer.responses[0].partition_responses[0].error_code == 0 {
                return *number;
            }
        }
        pause(&members[0].1).await;
    }
    panic!("nobody acknowledges {value}");
}

/// Fetches from the start as a consumer in `rack`, by version 12.
async fn read(member: &Member, name: &str, rack: &str) -> (i16, i32, Vec<String>) {
    let request = fetch(name, uuid::Uuid::nil(), 12, 0, 0).with_rack_id(text(rack));
    let answer = member.connect().await.ask(12, &request).await;
    let partition = &answer.responses[0].partitions[0];
    let read = partition.records.as_ref().map(values).unwrap_or_default();
    let read = read.into_iter().map(|(_, value)| value).collect();
    (partition.error_code, partition.preferred_read_replica.0, read)
}

#[test]
fn what_all_have_outlives_its_leader_and_is_read_nearby() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |members| async move {
        let mut members: Vec<(usize, Member)> = members.into_iter().enumerate().collect();
        let wanted = CreatableTopic::default().with_name(topic("t")).with_num_partitions(1).with_replication_factor(3);
        let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(5000);
        let made = members[0].1.connect().await.ask(7, &request).await;
        assert_eq!(made.topics[0].error_code, 0);

        let first = produce_until(&members, "t", "one").await;
        let near = (first + 1) % 3;
        // The leader sends a consumer of another rack to that rack's broker, which serves it as soon as it knows how far.
        let rack = format!("r{near}");
        for tries in 0.. {
            let (error, preferred, read_here) = read(&members[first].1, "t", &rack).await;
            assert_eq!(error, 0);
            let (_, _, read_there) = read(&members[near].1, "t", &rack).await;
            if (preferred, read_there) == (i32::try_from(near).unwrap(), vec!["one".to_owned()]) {
                assert!(read_here.is_empty());
                break;
            }
            assert!(tries < TRIES, "it is never read nearby");
            pause(&members[first].1).await;
        }
        // Who tells no rack reads from the leader only.
        let (error, _, _) = read(&members[near].1, "t", "").await;
        assert_eq!(error, ResponseError::NotLeaderOrFollower.code());
        for (number, member) in members.iter().filter(|(number, _)| *number != first) {
            let replicated = member.facts().into_iter().any(|fact| matches!(fact, Fact::Replicated { .. }));
            assert!(replicated, "broker {number} has nothing");
        }

        let (_, gone) = members.remove(first);
        gone.stop().await;
        let second = produce_until(&members, "t", "two").await;
        assert_ne!(second, first);
        let (_, leads) = members.iter().find(|(number, _)| *number == second).unwrap();
        assert_eq!(read(leads, "t", "").await.2, ["one", "two"]);
    });
}

/// Whoever is asked has the controller make a topic that a client merely names, and shows it at once.
#[test]
fn a_topic_that_is_named_is_made_by_whoever_is_asked() {
    let root = tempfile::tempdir().unwrap();
    let config = BrokerConfig { default_replication_factor: 2, ..config() };
    with_cluster(root.path(), 3, &config, |members| async move {
        for (number, member) in members.iter().enumerate() {
            let name = topic(&format!("named-{number}"));
            let asked = vec![MetadataRequestTopic::default().with_name(Some(name))];
            let request = MetadataRequest::default().with_topics(Some(asked)).with_allow_auto_topic_creation(true);
            let answer = member.connect().await.ask(9, &request).await;
            let found = answer.topics.first().unwrap();
            assert_eq!((found.error_code, found.partitions.len()), (0, 1), "broker {number}");
            assert_eq!(found.partitions[0].replica_nodes.len(), 2);
        }
    });
}

#[test]
fn a_created_topic_is_answered_with_its_replicas() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |members| async move {
        let wanted = CreatableTopic::default().with_name(topic("t")).with_num_partitions(4).with_replication_factor(2);
        let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(5000);
        let made = &members[1].connect().await.ask(7, &request).await.topics[0];
        assert_eq!((made.error_code, made.num_partitions, made.replication_factor), (0, 4, 2));
    });
}

/// A broker that cannot join its cluster knows no topic, and must not say so: a client would take its own for deleted.
#[test]
fn before_it_has_joined_nothing_is_told_of_the_cluster() {
    let root = tempfile::tempdir().unwrap();
    crate::env::real::block_on(async {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        drop(held);
        let listen = format!("127.0.0.1:{port}");
        // Nobody is there at port 1.
        let voters = (0..).map(NodeId).zip([listen.clone(), "127.0.0.1:1".into(), "127.0.0.1:1".into()]).collect();
        let env = TestEnv::new(root.path());
        let config = BrokerConfig { listen, voters, ..config() };
        let (node, listener) = crate::node::start::start(env.clone(), config).await.unwrap();
        let serving = node.clone();
        env.spawn("broker", async move {
            crate::node::accept::until(&serving, listener, std::future::pending(), std::future::pending()).await;
        });
        let asked = vec![MetadataRequestTopic::default().with_name(Some(topic("t")))];
        let mut wire = Wire::connect(&env, port).await;
        wire.send(9, &MetadataRequest::default().with_topics(Some(asked))).await;
        assert!(env.timeout(Duration::from_millis(300), wire.receive_raw()).await.is_none());
        assert_eq!(node.not_here("t", 0), ResponseError::NotLeaderOrFollower);
    })
    .unwrap();
}

/// The broker that coordinates the group, as those of `members` know that lead what they say they lead.
async fn coordinator(members: &[(usize, Member)]) -> usize {
    for _ in 0..TRIES {
        for (number, member) in members {
            let request = FindCoordinatorRequest::default().with_key(text("g"));
            let found = member.connect().await.ask(3, &request).await;
            let asked = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
            let serves = member.connect().await.ask(5, &asked).await.groups[0].error_code == 0;
            if serves && usize::try_from(found.node_id.0) == Ok(*number) {
                return *number;
            }
        }
        pause(&members[0].1).await;
    }
    panic!("nobody coordinates");
}

#[test]
fn what_a_group_has_committed_outlives_its_coordinator() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |members| async move {
        assert_eq!(create(&members[0], "t").await, 0);
        let mut members: Vec<(usize, Member)> = members.into_iter().enumerate().collect();
        let first = coordinator(&members).await;
        let part = OffsetCommitRequestPartition::default().with_committed_offset(7);
        let part = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![part]);
        let commit = OffsetCommitRequest::default().with_group_id(GroupId(text("g"))).with_topics(vec![part]);
        for tries in 0.. {
            let answer = members[first].1.connect().await.ask(8, &commit).await;
            match answer.topics[0].partitions[0].error_code {
                0 => break,
                // Too few replicas are in sync yet.
                code => assert_eq!((code, tries < TRIES), (ResponseError::CoordinatorNotAvailable.code(), true)),
            }
            pause(&members[first].1).await;
        }
        let one = OffsetFetchRequestTopic::default().with_name(topic("t")).with_partition_indexes(vec![0]);
        let fetch = OffsetFetchRequest::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![one]));
        let other = members.iter().find(|(number, _)| *number != first).unwrap();
        let refused = other.1.connect().await.ask(7, &fetch).await;
        assert_eq!(refused.error_code, ResponseError::NotCoordinator.code());
        members.remove(first).1.stop().await;
        let second = coordinator(&members).await;
        let (_, leads) = members.iter().find(|(number, _)| *number == second).unwrap();
        let told = leads.connect().await.ask(7, &fetch).await;
        assert_eq!((told.error_code, told.topics[0].partitions[0].committed_offset), (0, 7));
    });
}

#[test]
fn whoever_coordinated_a_group_and_does_not_any_more_says_so() {
    let root = tempfile::tempdir().unwrap();
    let groups = GroupConfig { offsets_topic_partitions: 1, ..GroupConfig::default() };
    with_cluster(root.path(), 3, &BrokerConfig { groups, ..config() }, |members| async move {
        let members: Vec<(usize, Member)> = members.into_iter().enumerate().collect();
        let first = coordinator(&members).await;
        let next = (first + 1) % 3;
        let order = [next, first, (first + 2) % 3].map(|number| i32::try_from(number).unwrap());
        assert_eq!(reassign(&members[0].1, OFFSETS_TOPIC, Some(&order), false).await, 0);
        for tries in 0.. {
            assert!(tries < TRIES, "{next} never leads");
            // It may not be in sync yet.
            elect(&members[0].1, 2, 0, OFFSETS_TOPIC).await;
            if coordinator(&members).await == next {
                break;
            }
            pause(&members[first].1).await;
        }
        let asked = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
        let told = members[first].1.connect().await.ask(5, &asked).await;
        assert_eq!(told.groups[0].error_code, ResponseError::NotCoordinator.code());
    });
}

async fn create(member: &Member, name: &str) -> i16 {
    let wanted = CreatableTopic::default().with_name(topic(name)).with_num_partitions(1).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(5000);
    member.connect().await.ask(7, &request).await.topics[0].error_code
}

/// What the controller had begun when it lost its office is asked of the next one, not of the client (KIP-590). It may have
/// been decided all the same.
#[test]
fn a_change_of_controllers_is_not_the_clients_business() {
    let root = tempfile::tempdir().unwrap();
    with_cluster(root.path(), 3, &config(), |members| async move {
        let mut members = members;
        assert_eq!(create(&members[0], "first").await, 0);
        let leads = |member: &Member| {
            member
                .facts()
                .iter()
                .filter_map(|fact| match fact {
                    Fact::QuorumLeads { epoch, .. } => Some(*epoch),
                    _ => None,
                })
                .max()
        };
        let last = (0..3).max_by_key(|at| leads(&members[*at])).unwrap();
        let controller = members.remove(last);
        let asked = (0..16).map(|n| {
            let members = &members;
            async move {
                for round in 0..8 {
                    let error = create(&members[n % 2], &format!("t-{n}-{round}")).await;
                    assert!([0, ResponseError::TopicAlreadyExists.code()].contains(&error), "{error}");
                }
            }
        });
        futures_all(asked.collect(), async {
            members[0].env().sleep(Duration::from_millis(100)).await;
            controller.stop().await;
        })
        .await;
    });
}

/// All of `works` and `beside`, at once.
async fn futures_all(works: Vec<impl Future<Output = ()>>, beside: impl Future<Output = ()>) {
    let mut works: Vec<_> = works.into_iter().map(|work| Some(Box::pin(work))).collect();
    let mut beside = Some(Box::pin(beside));
    std::future::poll_fn(|cx| {
        for work in &mut works {
            work.take_if(|work| work.as_mut().poll(cx).is_ready());
        }
        beside.take_if(|beside| beside.as_mut().poll(cx).is_ready());
        let over = beside.is_none() && works.iter().all(Option::is_none);
        if over { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
