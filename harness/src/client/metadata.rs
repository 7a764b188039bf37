//! What a client knows of its cluster: nodes, topics, and who leads which partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::env::Mono;
use broker::ids::{LeaderEpoch, NodeId};
use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use uuid::Uuid;

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The node; `None` while there is none.
    pub node: Option<NodeId>,
    /// Its epoch; -1 if unknown.
    pub epoch: LeaderEpoch,
}

/// What is known of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// Its id; zero if the broker gives none. A topic created again has another.
    pub id: Uuid,
    /// Its leaders, by partition.
    pub leaders: Vec<Leader>,
    /// Kafka's error code for the topic, 0 for none.
    pub code: i16,
    /// Whether it is the cluster's own.
    pub internal: bool,
}

/// The state of the cluster as last heard.
#[derive(Debug, Default)]
pub struct Metadata {
    /// Every node's address, as `host:port`.
    pub nodes: BTreeMap<NodeId, String>,
    /// Who takes administrative requests.
    pub controller: Option<NodeId>,
    topics: BTreeMap<Arc<str>, Topic>,
    heard: Option<Mono>,
}

impl Metadata {
    /// When it was last heard of.
    pub fn heard(&self) -> Option<Mono> {
        self.heard
    }

    /// What is known of a topic.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// The name of the topic of that id.
    pub fn named(&self, id: Uuid) -> Option<Arc<str>> {
        self.topics.iter().find(|(_, topic)| topic.id == id && topic.code == 0).map(|(name, _)| name.clone())
    }

    /// The topics there are, but for internal ones.
    pub fn names(&self) -> BTreeSet<Arc<str>> {
        let open = self.topics.iter().filter(|(_, topic)| topic.code == 0 && !topic.internal);
        open.map(|(name, _)| name.clone()).collect()
    }

    /// Forgets whatever an answer about all topics does not name.
    pub fn drop_others(&mut self, answer: &MetadataResponse) {
        let named: BTreeSet<&str> = answer.topics.iter().filter_map(|topic| Some(&***topic.name.as_ref()?)).collect();
        self.topics.retain(|name, _| named.contains(&**name));
    }

    /// How many partitions a topic has; `None` if unknown.
    pub fn partitions(&self, topic: &str) -> Option<u32> {
        let known = self.topics.get(topic).filter(|t| t.code == 0 && !t.leaders.is_empty())?;
        u32::try_from(known.leaders.len()).ok()
    }

    /// Who leads a partition: the node and its epoch, if there is one.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(NodeId, LeaderEpoch)> {
        let leader = self.topics.get(topic)?.leaders.get(usize::try_from(partition).ok()?)?;
        Some((leader.node?, leader.epoch))
    }

    /// Whether every partition of a topic has a leader, and it has at least `partitions`.
    pub fn is_complete(&self, topic: &str, partitions: u32) -> bool {
        let enough = |t: &Topic| t.leaders.len() >= partitions.max(1) as usize;
        self.topics.get(topic).is_some_and(|t| enough(t) && t.leaders.iter().all(|l| l.node.is_some()))
    }

    /// Takes in an answer. What it says of a partition's leader is ignored if it is older than what is known, by leader
    /// epoch, unless the topic was created again (KIP-320).
    pub fn merge(&mut self, answer: &MetadataResponse, now: Mono) {
        if !answer.brokers.is_empty() {
            let node = |b: &kafka_protocol::messages::metadata_response::MetadataResponseBroker| {
                (NodeId(b.node_id.0), format!("{}:{}", &*b.host, b.port))
            };
            self.nodes = answer.brokers.iter().map(node).collect();
        }
        self.controller = Some(NodeId(answer.controller_id.0)).filter(|id| self.nodes.contains_key(id));
        for heard in &answer.topics {
            let Some(name) = &heard.name else { continue };
            let known = self.topics.remove(&***name as &str);
            self.topics.insert(Arc::from(&***name as &str), merged(known, heard));
        }
        self.heard = Some(now);
    }
}

fn merged(known: Option<Topic>, heard: &MetadataResponseTopic) -> Topic {
    let mut topic =
        Topic { id: heard.topic_id, leaders: Vec::new(), code: heard.error_code, internal: heard.is_internal };
    for partition in &heard.partitions {
        let Ok(at) = usize::try_from(partition.partition_index) else { continue };
        // An answer names each partition once, so no honest index is beyond their number.
        if at >= heard.partitions.len() {
            continue;
        }
        if topic.leaders.len() <= at {
            topic.leaders.resize(at + 1, Leader { node: None, epoch: -1 });
        }
        let node = (partition.leader_id.0 >= 0).then_some(NodeId(partition.leader_id.0));
        topic.leaders[at] = Leader { node, epoch: partition.leader_epoch };
    }
    let Some(known) = known.filter(|known| known.id == topic.id) else { return topic };
    for (new, old) in topic.leaders.iter_mut().zip(known.leaders) {
        if old.epoch > new.epoch && new.epoch >= 0 {
            *new = old;
        }
    }
    topic
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};
    use kafka_protocol::messages::{BrokerId, TopicName};
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn answer(id: u128, leaders: &[(i32, i32)]) -> MetadataResponse {
        let partition = |(at, (leader, epoch)): (usize, &(i32, i32))| {
            let at = i32::try_from(at).unwrap();
            let partition = MetadataResponsePartition::default().with_partition_index(at);
            partition.with_leader_id(BrokerId(*leader)).with_leader_epoch(*epoch)
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
            .with_topic_id(Uuid::from_u128(id))
            .with_partitions(leaders.iter().enumerate().map(partition).collect());
        let broker = |id| {
            let host = StrBytes::from_string(format!("n{id}"));
            MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(9092)
        };
        let brokers = vec![broker(1), broker(2)];
        MetadataResponse::default().with_brokers(brokers).with_controller_id(BrokerId(2)).with_topics(vec![topic])
    }

    #[test]
    fn knows_nodes_controller_and_leaders() {
        let mut metadata = Metadata::default();
        metadata.merge(&answer(1, &[(1, 5), (-1, 5)]), Mono(9));
        assert_eq!(metadata.nodes[&NodeId(1)], "n1:9092");
        assert_eq!(metadata.controller, Some(NodeId(2)));
        assert_eq!(metadata.leader("t", 0), Some((NodeId(1), 5)));
        assert_eq!(metadata.leader("t", 1), None);
        assert_eq!(metadata.leader("t", 2), None);
        assert_eq!(metadata.partitions("t"), Some(2));
        assert!(!metadata.is_complete("t", 2));
        assert_eq!(metadata.heard(), Some(Mono(9)));
    }

    #[test]
    fn an_older_epoch_is_ignored_unless_the_topic_is_another() {
        let mut metadata = Metadata::default();
        metadata.merge(&answer(1, &[(1, 5)]), Mono(0));
        metadata.merge(&answer(1, &[(2, 4)]), Mono(1));
        assert_eq!(metadata.leader("t", 0), Some((NodeId(1), 5)));
        metadata.merge(&answer(1, &[(2, 6)]), Mono(2));
        assert_eq!(metadata.leader("t", 0), Some((NodeId(2), 6)));
        metadata.merge(&answer(2, &[(1, 0)]), Mono(3));
        assert_eq!(metadata.leader("t", 0), Some((NodeId(1), 0)));
    }

    #[test]
    fn an_answer_about_all_topics_ends_those_it_does_not_name() {
        let mut metadata = Metadata::default();
        metadata.merge(&answer(1, &[(1, 0)]), Mono(0));
        assert_eq!(metadata.names(), ["t".into()].into());
        let mut other = answer(2, &[(1, 0)]);
        other.topics[0].name = Some(TopicName(StrBytes::from_static_str("__own")));
        other.topics[0].is_internal = true;
        metadata.drop_others(&other);
        metadata.merge(&other, Mono(1));
        assert_eq!((metadata.names(), metadata.partitions("__own")), (BTreeSet::new(), Some(1)));
    }

    #[test]
    fn a_partition_index_beyond_their_number_takes_no_memory() {
        let mut metadata = Metadata::default();
        let mut lie = answer(1, &[(1, 0)]);
        lie.topics[0].partitions[0].partition_index = i32::MAX;
        metadata.merge(&lie, Mono(0));
        assert_eq!(metadata.partitions("t"), None);
    }
}
