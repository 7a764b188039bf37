//! The cluster as all metadata records so far say it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{MetadataRecord, TopicId};
use crate::ids::{LeaderEpoch, NodeId, TopicPartition};

/// A partition's place in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Who leads it.
    pub leader: NodeId,
    /// In which epoch. Never falls.
    pub leader_epoch: LeaderEpoch,
    /// Who has it, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// Who has all that is committed.
    pub in_sync: Vec<NodeId>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// By number.
    pub partitions: Vec<PartitionState>,
    /// The settings that differ from the broker's defaults, under Kafka's names.
    pub configs: BTreeMap<String, String>,
}

/// The cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    topics: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<TopicId, Arc<str>>,
    partitions: usize,
    next_producer_id: i64,
}

impl Image {
    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// The topic with that identity.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(self.names.get(&id)?)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values()
    }

    /// One partition's state.
    pub fn partition(&self, tp: &TopicPartition) -> Option<&PartitionState> {
        self.topics.get(&tp.topic)?.partitions.get(usize::try_from(tp.partition).ok()?)
    }

    /// The first producer id that nobody has.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// Adds a topic as it is.
    pub fn insert(&mut self, topic: Topic) {
        self.remove(&topic.name.clone());
        self.partitions += topic.partitions.len();
        self.names.insert(topic.id, topic.name.clone());
        self.topics.insert(topic.name.clone(), topic);
    }

    /// Adds a record. One that speaks of a topic that is gone changes nothing.
    pub fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Broker { node } => self.started(*node),
            MetadataRecord::Topic { id, name } => {
                let name: Arc<str> = name.as_str().into();
                if let Some(old) = self.names.get(id).cloned() {
                    self.remove(&old);
                }
                self.remove(&name);
                self.names.insert(*id, name.clone());
                let topic = Topic { id: *id, name: name.clone(), partitions: Vec::new(), configs: BTreeMap::new() };
                self.topics.insert(name, topic);
            }
            MetadataRecord::Partition { topic, partition, replicas } => {
                let (Some(topic), Some(leader)) = (self.by_id(*topic), replicas.first()) else { return };
                if usize::try_from(*partition) != Ok(topic.partitions.len()) {
                    return;
                }
                topic.partitions.push(PartitionState {
                    leader: *leader,
                    leader_epoch: 0,
                    in_sync: replicas.clone(),
                    replicas: replicas.clone(),
                });
                self.partitions += 1;
            }
            MetadataRecord::Config { topic, name, value } => {
                let Some(topic) = self.by_id(*topic) else { return };
                match value {
                    Some(value) => topic.configs.insert(name.clone(), value.clone()),
                    None => topic.configs.remove(name),
                };
            }
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = self.next_producer_id.max(*next),
            MetadataRecord::Removed { topic } => {
                if let Some(name) = self.names.get(topic).cloned() {
                    self.remove(&name);
                }
            }
        }
    }

    fn started(&mut self, node: NodeId) {
        let led = self.topics.values_mut().flat_map(|topic| &mut topic.partitions).filter(|p| p.leader == node);
        led.for_each(|p| p.leader_epoch = p.leader_epoch.saturating_add(1));
    }

    fn by_id(&mut self, id: TopicId) -> Option<&mut Topic> {
        self.topics.get_mut(self.names.get(&id)?)
    }

    fn remove(&mut self, name: &str) {
        if let Some(topic) = self.topics.remove(name) {
            self.names.remove(&topic.id);
            self.partitions -= topic.partitions.len();
        }
    }
}
