//! Nodes that are controllers alone, and brokers that do not vote.

use std::time::Duration;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;

use super::produce_fetch::topic;
use crate::config::{BrokerConfig, FlushPolicy, ProcessRoles};
use crate::env::real::block_on;
use crate::node::testing::*;

/// Three controllers, and two brokers.
async fn apart(root: &std::path::Path) -> (Vec<Member>, Vec<Member>) {
    let config = BrokerConfig {
        replica_fetch_backoff: Duration::from_millis(50),
        broker_heartbeat_interval: Duration::from_millis(100),
        ..settings(FlushPolicy::Always)
    };
    let start = |(n, config): (usize, BrokerConfig)| {
        let process_roles = if n < 3 { ProcessRoles::Controller } else { ProcessRoles::Broker };
        Member::start(&root.join(n.to_string()), BrokerConfig { process_roles, ..config })
    };
    let mut all: Vec<Member> = members(&config, 3, 2).into_iter().enumerate().map(start).collect();
    for member in &mut all {
        member.ready().await;
    }
    let brokers = all.split_off(3);
    (all, brokers)
}

async fn offered(member: &Member) -> Vec<i16> {
    let request = ApiVersionsRequest::default();
    member.connect().await.ask(0, &request).await.api_keys.iter().map(|api| api.api_key).collect()
}

async fn described(member: &Member, endpoint: i8) -> (i16, Vec<i32>) {
    let request = DescribeClusterRequest::default().with_endpoint_type(endpoint);
    let answer = member.connect().await.ask(1, &request).await;
    let mut ids: Vec<i32> = answer.brokers.iter().map(|broker| broker.broker_id.0).collect();
    ids.sort_unstable();
    (answer.error_code, ids)
}

#[test]
fn controllers_have_no_replicas_and_serve_no_clients() {
    let root = tempfile::tempdir().unwrap();
    block_on(async {
        let (controllers, brokers) = apart(root.path()).await;
        let wanted = |name, replicas| {
            let topic = CreatableTopic::default().with_name(topic(name)).with_num_partitions(4);
            let topics = vec![topic.with_replication_factor(replicas)];
            CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(5000)
        };
        // Whichever node is asked, the active controller decides.
        for (member, name, replicas, code) in
            [(&brokers[0], "a", 2, 0), (&controllers[1], "b", 2, 0), (&controllers[2], "c", 3, 38)]
        {
            let answer = member.connect().await.ask(7, &wanted(name, replicas)).await;
            assert_eq!(answer.topics[0].error_code, code, "{name}");
        }
        // KIP-919.
        assert_eq!(described(&brokers[0], 1).await, (0, vec![3, 4]));
        assert_eq!(described(&controllers[0], 2).await, (0, vec![0, 1, 2]));
        assert_eq!(described(&controllers[0], 1).await, (114, vec![]));
        assert_eq!(described(&brokers[0], 2).await, (114, vec![]));

        let (few, all) = (offered(&controllers[0]).await, offered(&brokers[0]).await);
        assert!(all.contains(&ProduceRequest::KEY) && all.contains(&MetadataRequest::KEY));
        for key in [ProduceRequest::KEY, MetadataRequest::KEY, FindCoordinatorRequest::KEY, ListOffsetsRequest::KEY] {
            assert!(!few.contains(&key), "{key}");
        }
        // What is not offered ends the connection, and no other.
        let mut wire = controllers[0].connect().await;
        wire.send(9, &MetadataRequest::default()).await;
        assert_eq!(wire.receive_raw().await, None);
        assert_eq!(described(&controllers[0], 2).await.0, 0);
        for member in brokers.into_iter().chain(controllers) {
            member.stop().await;
        }
    })
    .unwrap();
}
