//! The cluster as all metadata records so far say it is.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use super::partition::PartitionState;
use super::record::{Incarnation, MetadataRecord, TopicId, Voter};
use crate::ids::{BrokerEpoch, NodeId, TopicPartition};
use crate::planted::{Defect, planted};

/// A broker, as it has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerState {
    /// Which.
    pub node: NodeId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Counts its starts, among those of all brokers.
    pub epoch: BrokerEpoch,
    /// Where it is found.
    pub host: String,
    /// And on which port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether it may lead and be in sync nowhere: it is new, or has not been heard of for too long.
    pub fenced: bool,
    /// Whether it is on its way out.
    pub shutting_down: bool,
}

impl BrokerState {
    /// Whether it may lead and be in sync (`ClusterControlManager.isActive`).
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.shutting_down
    }
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

impl Topic {
    /// Its partitions with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (i32, &PartitionState)> {
        (0..).zip(&self.partitions)
    }
}

/// The cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    brokers: BTreeMap<NodeId, BrokerState>,
    topics: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<TopicId, Arc<str>>,
    partitions: usize,
    next_producer_id: i64,
    voters: Vec<Voter>,
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

    /// One partition's state, by its topic's identity.
    pub fn partition_by_id(&self, topic: TopicId, partition: i32) -> Option<&PartitionState> {
        self.topic_by_id(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// Every partition with its topic and number.
    pub fn all_partitions(&self) -> impl Iterator<Item = (&Topic, i32, &PartitionState)> {
        self.topics.values().flat_map(|topic| topic.numbered().map(move |(number, state)| (topic, number, state)))
    }

    /// The partitions that this node has a replica of.
    pub fn partitions_of(&self, node: NodeId) -> impl Iterator<Item = (&Topic, i32, &PartitionState)> {
        self.all_partitions().filter(move |(_, _, state)| state.replicas.contains(&node))
    }

    /// Whether this node leads anything.
    pub fn leads(&self, node: NodeId) -> bool {
        self.all_partitions().any(|(_, _, state)| state.leader == Some(node))
    }

    /// The broker with that id.
    pub fn broker(&self, node: NodeId) -> Option<&BrokerState> {
        self.brokers.get(&node)
    }

    /// All brokers that have registered and were not unregistered since, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &BrokerState> {
        self.brokers.values()
    }

    /// The brokers that are not fenced, by id: those that clients are told of.
    pub fn unfenced_brokers(&self) -> impl Iterator<Item = &BrokerState> {
        self.brokers.values().filter(|broker| !broker.fenced)
    }

    /// Whether this broker may lead and be in sync.
    pub fn is_active(&self, node: NodeId) -> bool {
        self.brokers.get(&node).is_some_and(BrokerState::is_active)
    }

    /// The first producer id that was not handed out.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Who votes on metadata, as the last record about that says; empty if there was none, and who votes is a setting.
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// Adds a topic as it is.
    pub fn insert(&mut self, topic: Topic) {
        self.remove(&topic.name.clone());
        if let Some(old) = self.names.get(&topic.id).cloned() {
            self.remove(&old);
        }
        self.partitions += topic.partitions.len();
        self.names.insert(topic.id, topic.name.clone());
        self.topics.insert(topic.name.clone(), topic);
    }

    /// Adds a record. One that speaks of a topic that is gone, or of a broker's former start, changes nothing.
    pub fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Leader { .. } => {}
            MetadataRecord::Voters { voters } => self.voters.clone_from(voters),
            MetadataRecord::RegisterBroker { node, incarnation, epoch, host, port, rack, fenced } => {
                let (host, rack) = (host.clone(), rack.clone());
                let shutting_down = self.brokers.get(node).is_some_and(|old| old.epoch == *epoch && old.shutting_down);
                let (node, incarnation, epoch, port) = (*node, *incarnation, *epoch, *port);
                let fenced = *fenced;
                let broker = BrokerState { node, incarnation, epoch, host, port, rack, fenced, shutting_down };
                self.brokers.insert(node, broker);
            }
            MetadataRecord::BrokerChange { node, epoch, fenced, shutting_down } => {
                let Some(broker) = self.brokers.get_mut(node).filter(|broker| broker.epoch == *epoch) else { return };
                broker.fenced = fenced.unwrap_or(broker.fenced);
                broker.shutting_down = shutting_down.unwrap_or(broker.shutting_down);
            }
            MetadataRecord::UnregisterBroker { node, epoch } => {
                if self.brokers.get(node).is_some_and(|broker| broker.epoch == *epoch) {
                    self.brokers.remove(node);
                }
            }
            MetadataRecord::Topic { id, name } => self.insert(Topic {
                id: *id,
                name: name.as_str().into(),
                partitions: Vec::new(),
                configs: BTreeMap::new(),
            }),
            MetadataRecord::Partition { topic, partition, state } => self.put(*topic, *partition, state),
            MetadataRecord::PartitionChange { topic, partition, change } => {
                let state = usize::try_from(*partition).ok();
                if let Some(state) = state.and_then(|number| self.by_id(*topic)?.partitions.get_mut(number)) {
                    state.apply(change);
                }
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

    /// Records that make an empty image this one: its snapshot.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::with_capacity(self.brokers.len() + 2 * self.topics.len() + self.partitions + 2);
        if !self.voters.is_empty() {
            records.push(MetadataRecord::Voters { voters: self.voters.clone() });
        }
        for broker in self.brokers.values() {
            let (node, incarnation, epoch) = (broker.node, broker.incarnation, broker.epoch);
            let (host, port, rack, fenced) = (broker.host.clone(), broker.port, broker.rack.clone(), broker.fenced);
            records.push(MetadataRecord::RegisterBroker { node, incarnation, epoch, host, port, rack, fenced });
            if broker.shutting_down {
                records.push(MetadataRecord::BrokerChange { node, epoch, fenced: None, shutting_down: Some(true) });
            }
        }
        for topic in self.topics.values() {
            let id = topic.id;
            records.push(MetadataRecord::Topic { id, name: topic.name.to_string() });
            records.extend(topic.configs.iter().map(|(name, value)| MetadataRecord::Config {
                topic: id,
                name: name.clone(),
                value: Some(value.clone()),
            }));
            records.extend(topic.numbered().map(|(partition, state)| MetadataRecord::Partition {
                topic: id,
                partition,
                state: if planted(Defect::CtSnapshotForgetsEpochs) {
                    PartitionState { leader_epoch: 0, ..state.clone() }
                } else {
                    state.clone()
                },
            }));
        }
        if self.next_producer_id > 0 {
            let (node, epoch, next) = (NodeId(-1), -1, self.next_producer_id);
            records.push(MetadataRecord::ProducerIds { node, epoch, next });
        }
        records
    }

    fn put(&mut self, topic: TopicId, partition: i32, state: &PartitionState) {
        let (Some(topic), Ok(number)) = (self.by_id(topic), usize::try_from(partition)) else { return };
        if let Some(there) = topic.partitions.get_mut(number) {
            there.clone_from(state);
        } else if number == topic.partitions.len() {
            topic.partitions.push(state.clone());
            self.partitions += 1;
        }
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
