//! The cluster as all metadata records so far say it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::record::{MetadataRecord, NO_LEADER, TopicId};
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch, TopicPartition};

/// A broker that has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub node: NodeId,
    /// Tells its processes apart.
    pub incarnation: Uuid,
    /// Its registration.
    pub epoch: BrokerEpoch,
    /// Where it listens.
    pub host: String,
    /// And on which port.
    pub port: u16,
    /// Its rack.
    pub rack: Option<String>,
    /// It may not lead, and is no member of an in-sync set that grows.
    pub fenced: bool,
    /// It is about to shut down.
    pub shutting_down: bool,
}

impl Broker {
    /// Whether it may lead and join in-sync sets.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.shutting_down
    }
}

/// A partition's place in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Who leads it; `None`: nobody can.
    pub leader: Option<NodeId>,
    /// In which epoch. Never falls.
    pub leader_epoch: LeaderEpoch,
    /// Counts its states.
    pub partition_epoch: PartitionEpoch,
    /// Who has it, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// Who has all that is committed.
    pub in_sync: Vec<NodeId>,
}

impl PartitionState {
    /// Every change counts; another leader, or the same one elected again, leads in the next epoch. One whose in-sync set
    /// changes goes on in its own, as since Kafka 3.6: it waits for all that may be in sync (KIP-497).
    fn change(&mut self, leader: Option<NodeId>, in_sync: Option<&[NodeId]>) {
        self.partition_epoch += 1;
        if leader.is_some() {
            self.leader_epoch += 1;
        }
        if let Some(leader) = leader {
            self.leader = Some(leader).filter(|leader| *leader != NO_LEADER);
        }
        if let Some(in_sync) = in_sync {
            self.in_sync = in_sync.to_vec();
        }
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

/// The cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    topics: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<TopicId, Arc<str>>,
    partitions: usize,
    brokers: BTreeMap<NodeId, Broker>,
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

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// The broker with that id, if it ever joined.
    pub fn broker(&self, node: NodeId) -> Option<&Broker> {
        self.brokers.get(&node)
    }

    /// Every broker that ever joined, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    /// The first producer id that was given to nobody.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
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
            MetadataRecord::Leader { .. } => {}
            MetadataRecord::RegisterBroker { node, incarnation, epoch, host, port, rack } => {
                let (host, rack) = (host.clone(), rack.clone());
                let (node, incarnation, epoch, port) = (*node, *incarnation, *epoch, *port);
                let broker =
                    Broker { node, incarnation, epoch, host, port, rack, fenced: true, shutting_down: false };
                self.brokers.insert(node, broker);
            }
            MetadataRecord::BrokerChange { node, epoch, fenced, shutting_down } => {
                if let Some(broker) = self.brokers.get_mut(node).filter(|broker| broker.epoch == *epoch) {
                    broker.fenced = fenced.unwrap_or(broker.fenced);
                    broker.shutting_down = shutting_down.unwrap_or(broker.shutting_down);
                }
            }
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = *next,
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
            MetadataRecord::Partition { topic, partition, replicas, in_sync, leader } => {
                let Some(topic) = self.by_id(*topic) else { return };
                if usize::try_from(*partition) != Ok(topic.partitions.len()) {
                    return;
                }
                topic.partitions.push(PartitionState {
                    leader: Some(*leader).filter(|leader| *leader != NO_LEADER),
                    leader_epoch: 0,
                    partition_epoch: 0,
                    in_sync: in_sync.clone(),
                    replicas: replicas.clone(),
                });
                self.partitions += 1;
            }
            MetadataRecord::PartitionChange { topic, partition, leader, in_sync } => {
                let at = usize::try_from(*partition).unwrap_or(usize::MAX);
                let Some(state) = self.by_id(*topic).and_then(|topic| topic.partitions.get_mut(at)) else { return };
                state.change(*leader, in_sync.as_deref());
            }
            MetadataRecord::Config { topic, name, value } => {
                let Some(topic) = self.by_id(*topic) else { return };
                match value {
                    Some(value) => topic.configs.insert(name.clone(), value.clone()),
                    None => topic.configs.remove(name),
                };
            }
            MetadataRecord::Removed { topic } => {
                if let Some(name) = self.names.get(topic).cloned() {
                    self.remove(&name);
                }
            }
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
