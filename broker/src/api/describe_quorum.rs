//! DescribeQuorum (55): who votes on metadata, who follows, and how far each is (KIP-595, KIP-836).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node as QuorumNode, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::{METADATA_TOPIC, text};
use crate::env::{Env, Mono};
use crate::ids::NodeId;
use crate::node::Node;
use crate::node::raft::Described;
use crate::quorum::Replica;

/// The first version that tells when a replica last fetched, and last had everything (KIP-836).
const FIRST_WITH_TIMES: i16 = 1;
/// The first version with error messages and with the nodes' addresses (KIP-853).
const FIRST_WITH_NODES: i16 = 2;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(asked) = call.decode::<DescribeQuorumRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let Some(described) = node.raft.describe().await else { return Answer::Close };
        let teller = Teller { node: &node, version: head.version };
        respond::<DescribeQuorumRequest>(head, &teller.response(&asked, &described))
    })
}

struct Teller<'a, E: Env> {
    node: &'a Node<E>,
    version: i16,
}

impl<E: Env> Teller<'_, E> {
    fn response(&self, asked: &DescribeQuorumRequest, described: &Described) -> DescribeQuorumResponse {
        let response = DescribeQuorumResponse::default().with_error_message(None);
        if described.replicas.is_empty() {
            return response.with_error_code(ResponseError::NotLeaderOrFollower.code());
        }
        let topics = asked.topics.iter().map(|topic| {
            let known = &**topic.topic_name == METADATA_TOPIC;
            let parts = topic.partitions.iter().map(|part| {
                let answer =
                    PartitionData::default().with_partition_index(part.partition_index).with_error_message(None);
                match known && part.partition_index == 0 {
                    true => self.partition(answer, described),
                    false => answer.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
                }
            });
            TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(parts.collect())
        });
        let response = response.with_topics(topics.collect());
        if self.version < FIRST_WITH_NODES {
            return response;
        }
        let nodes = described.replicas.iter().filter_map(|replica| self.address(replica.node));
        response.with_nodes(nodes.collect())
    }

    fn partition(&self, answer: PartitionData, described: &Described) -> PartitionData {
        let who = |votes: bool| -> Vec<ReplicaState> {
            let of = described.replicas.iter().filter(|replica| replica.votes == votes);
            of.map(|replica| self.replica(replica)).collect()
        };
        answer
            .with_leader_id(BrokerId(self.node.config.node_id.0))
            .with_leader_epoch(described.epoch)
            .with_high_watermark(described.high_watermark)
            .with_current_voters(who(true))
            .with_observers(who(false))
    }

    fn replica(&self, replica: &Replica) -> ReplicaState {
        let state =
            ReplicaState::default().with_replica_id(BrokerId(replica.node.0)).with_log_end_offset(replica.log_end);
        if self.version < FIRST_WITH_TIMES {
            return state;
        }
        let itself = replica.node == self.node.config.node_id;
        let at = |when: Option<Mono>| if itself { self.node.env.wall() } else { when.map_or(-1, |at| self.wall(at)) };
        state
            .with_last_fetch_timestamp(at(replica.last_fetch))
            .with_last_caught_up_timestamp(at(replica.last_caught_up))
    }

    /// What the wall clock showed then, as it goes now.
    fn wall(&self, at: Mono) -> i64 {
        let ago = self.node.env.now().since(at).as_millis();
        self.node.env.wall().saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX))
    }

    /// Where it listens for the others of the quorum. An observer that has not registered has told nobody.
    fn address(&self, id: NodeId) -> Option<QuorumNode> {
        let image = self.node.image();
        let (host, port) = match image.broker(id) {
            Some(broker) => (broker.host.clone(), broker.port),
            None => self.voter(id)?,
        };
        let listener = Listener::default().with_name(text("PLAINTEXT")).with_host(text(&host)).with_port(port);
        Some(QuorumNode::default().with_node_id(BrokerId(id.0)).with_listeners(vec![listener]))
    }

    fn voter(&self, id: NodeId) -> Option<(String, u16)> {
        self.node.voters().into_iter().find(|(voter, ..)| *voter == id).map(|(_, host, port)| (host, port))
    }
}
