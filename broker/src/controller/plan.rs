//! Requests to change the cluster, planned: checked against the image, and answered with the records that carry them
//! out. Nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::config_table::{Kind, setting};
use super::image::{Broker, Image, Topic};
use super::record::{METADATA_TOPIC, MetadataRecord, NO_LEADER, TopicId};
use super::{Change, configs, place};
use crate::config::{BrokerConfig, LogConfig};
use crate::ids::NodeId;

/// Partitions one topic may have here: bounds what one small request can make the broker create.
pub const MAX_PARTITIONS_PER_TOPIC: i32 = 10_000;
/// Partitions a cluster holds at most.
pub const MAX_PARTITIONS: usize = 100_000;
/// The longest topic name: its partitions' directories must have names of at most 255 bytes (`Topic.java`).
const MAX_NAME: usize = 249;

/// Why a request is not carried out: Kafka's error, and a sentence for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The error.
    pub error: ResponseError,
    /// Why.
    pub message: String,
}

/// Denies with a sentence.
pub fn denied<T>(error: ResponseError, message: impl Into<String>) -> Result<T, Denied> {
    Err(Denied { error, message: message.into() })
}

/// What the controller needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Defaults for topics.
    pub log: LogConfig,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub replication: i16,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
}

impl Settings {
    /// Those of a node.
    pub fn of(config: &BrokerConfig) -> Self {
        Self {
            log: config.log.clone(),
            num_partitions: config.num_partitions.max(1),
            replication: config.default_replication_factor.max(1),
            session_timeout: config.broker_session_timeout,
        }
    }
}

/// A change planned: its records, and the topic it is about.
pub(super) struct Planned {
    pub records: Vec<MetadataRecord>,
    pub topic: TopicId,
    /// The topic as it was, if it goes.
    pub gone: Option<Topic>,
}

/// Plans a change. A new topic gets the identity `id`.
pub(super) fn plan(image: &Image, settings: &Settings, change: &Change, id: TopicId) -> Result<Planned, Denied> {
    let id_of = |name: &str| image.topic(name).map_or(TopicId(uuid::Uuid::nil()), |topic| topic.id);
    let (records, topic) = match change {
        Change::Create(new) => (create(image, settings, new, id)?, id),
        Change::Delete(name) => {
            let topic = existing(image, name)?;
            return Ok(Planned { records: delete(topic), topic: topic.id, gone: Some(topic.clone()) });
        }
        Change::Grow(name, count, assignments) => {
            (grow(image, name, *count, assignments.as_deref())?, id_of(name))
        }
        Change::Alter(name, changes) => (alter(image, settings, name, changes)?, id_of(name)),
    };
    Ok(Planned { records, topic, gone: None })
}

/// A topic that a client wants.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1: the broker's default, or what `assignments` says.
    pub partitions: i32,
    /// Replicas of each; -1: the broker's default, or what `assignments` says.
    pub replication: i16,
    /// (partition, its brokers), if the client places them itself.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Settings of its own. A value may be null, which no setting accepts.
    pub configs: Vec<(String, Option<String>)>,
}

/// Plans a topic with the identity `id`.
pub fn create(image: &Image, settings: &Settings, new: &NewTopic, id: TopicId) -> Result<Vec<MetadataRecord>, Denied> {
    check_name(image, &new.name)?;
    let placed = placement(image, settings, new)?;
    room_for(image, placed.len())?;
    let own = own_configs(&new.configs)?;
    if let Err(why) = configs::log_config(&settings.log, &own) {
        return denied(ResponseError::InvalidConfig, why);
    }
    let mut records = vec![MetadataRecord::Topic { id, name: new.name.clone() }];
    records.extend(partitions_of(image, id, 0, placed));
    let settings = own.into_iter().map(|(name, value)| MetadataRecord::Config { topic: id, name, value: Some(value) });
    records.extend(settings);
    Ok(records)
}

/// New partitions from number `first` on: in sync is who may be, and the first of those leads.
fn partitions_of(
    image: &Image,
    topic: TopicId,
    first: i32,
    placed: Vec<Vec<NodeId>>,
) -> impl Iterator<Item = MetadataRecord> {
    let active = |node: &NodeId| image.broker(*node).is_some_and(Broker::is_active);
    (first..).zip(placed).map(move |(partition, replicas)| {
        let in_sync: Vec<NodeId> = replicas.iter().copied().filter(active).collect();
        let leader = in_sync.first().copied().unwrap_or(NO_LEADER);
        // With nobody alive to be in sync, the first replica to come alive is to lead an empty log.
        let in_sync = if in_sync.is_empty() { replicas.clone() } else { in_sync };
        MetadataRecord::Partition { topic, partition, replicas, in_sync, leader }
    })
}

/// Whether a topic may have this name (`Topic.validate`).
pub fn is_legal(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn check_name(image: &Image, name: &str) -> Result<(), Denied> {
    if !is_legal(name) || name == METADATA_TOPIC {
        let message = format!("Topic name {name:?} is illegal: up to {MAX_NAME} of a-z A-Z 0-9 . _ -");
        return denied(ResponseError::InvalidTopicException, message);
    }
    if image.topic(name).is_some() {
        return denied(ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists."));
    }
    // Metric names turn dots into underscores, so Kafka keeps such names apart (`Topic.hasCollision`).
    let folded = name.replace('.', "_");
    let collides = |topic: &&Topic| topic.name.len() == name.len() && topic.name.replace('.', "_") == folded;
    if name.contains(['.', '_'])
        && let Some(other) = image.topics().find(collides)
    {
        let message = format!("Topic '{name}' collides with existing topic: {}", other.name);
        return denied(ResponseError::InvalidTopicException, message);
    }
    Ok(())
}

fn placement(image: &Image, settings: &Settings, new: &NewTopic) -> Result<Vec<Vec<NodeId>>, Denied> {
    if !new.assignments.is_empty() {
        if new.partitions != -1 || new.replication != -1 {
            let message =
                "A manual partition assignment was specified, but numPartitions or replicationFactor was not -1.";
            return denied(ResponseError::InvalidRequest, message);
        }
        return assigned(image, &new.assignments, 0);
    }
    let factor = if new.replication == -1 { settings.replication } else { new.replication };
    let count = match new.partitions {
        -1 => settings.num_partitions,
        n if (1..=MAX_PARTITIONS_PER_TOPIC).contains(&n) => n,
        n => {
            let message = format!("Number of partitions was set to {n}: it must be 1 to {MAX_PARTITIONS_PER_TOPIC}.");
            return denied(ResponseError::InvalidPartitions, message);
        }
    };
    place::spread(image, image.partition_count(), usize::try_from(count).unwrap_or(0), factor)
}

/// The placement that an assignment asks for, of partitions numbered from `first`.
fn assigned(image: &Image, assignments: &[(i32, Vec<i32>)], first: i32) -> Result<Vec<Vec<NodeId>>, Denied> {
    let placed: BTreeMap<i32, &Vec<i32>> =
        assignments.iter().map(|(partition, brokers)| (*partition, brokers)).collect();
    if !placed.keys().copied().eq((first..).take(assignments.len())) {
        return denied(ResponseError::InvalidReplicaAssignment, "Partitions must be consecutive, each placed once.");
    }
    if assignments.len() > usize::try_from(MAX_PARTITIONS_PER_TOPIC).unwrap_or(0) {
        return denied(ResponseError::InvalidPartitions, format!("At most {MAX_PARTITIONS_PER_TOPIC} partitions."));
    }
    let placed: Vec<Vec<NodeId>> = placed.into_values().map(|ids| ids.iter().copied().map(NodeId).collect()).collect();
    let factor = placed.first().map_or(0, Vec::len);
    for replicas in &placed {
        let distinct: BTreeSet<&NodeId> = replicas.iter().collect();
        let known = replicas.iter().all(|node| image.broker(*node).is_some());
        if replicas.is_empty() || replicas.len() != factor || distinct.len() != replicas.len() || !known {
            let message = "Each partition must have the same number of different, known brokers.";
            return denied(ResponseError::InvalidReplicaAssignment, message);
        }
    }
    Ok(placed)
}

fn room_for(image: &Image, more: usize) -> Result<(), Denied> {
    if image.partition_count().saturating_add(more) <= MAX_PARTITIONS {
        return Ok(());
    }
    denied(ResponseError::PolicyViolation, format!("This cluster holds at most {MAX_PARTITIONS} partitions."))
}

fn own_configs(configs: &[(String, Option<String>)]) -> Result<BTreeMap<String, String>, Denied> {
    let mut own = BTreeMap::new();
    for (name, value) in configs {
        let Some(value) = value else {
            return denied(ResponseError::InvalidConfig, format!("Null value not supported for topic config {name}."));
        };
        if own.insert(name.clone(), value.clone()).is_some() {
            return denied(ResponseError::InvalidConfig, format!("Topic config {name} is given twice."));
        }
    }
    Ok(own)
}

/// Plans more partitions for a topic, up to `count` in all.
pub fn grow(
    image: &Image,
    name: &str,
    count: i32,
    assignments: Option<&[Vec<i32>]>,
) -> Result<Vec<MetadataRecord>, Denied> {
    let topic = existing(image, name)?;
    let now = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if count <= now || count > MAX_PARTITIONS_PER_TOPIC {
        let message =
            format!("The topic has {now} partitions: {count} is not more, or above {MAX_PARTITIONS_PER_TOPIC}.");
        return denied(ResponseError::InvalidPartitions, message);
    }
    let more = usize::try_from(count - now).unwrap_or(0);
    room_for(image, more)?;
    let placed = match assignments {
        Some(assignments) => {
            let numbered: Vec<_> = (now..).zip(assignments.iter().cloned()).collect();
            let placed = assigned(image, &numbered, now)?;
            if placed.len() != more {
                let message = "The assignment does not place each new partition once.";
                return denied(ResponseError::InvalidReplicaAssignment, message);
            }
            placed
        }
        None => {
            let factor = topic.partitions.first().map_or(1, |state| state.replicas.len());
            place::spread(image, image.partition_count(), more, i16::try_from(factor).unwrap_or(i16::MAX))?
        }
    };
    Ok(partitions_of(image, topic.id, now, placed).collect())
}

fn existing<'a>(image: &'a Image, name: &str) -> Result<&'a Topic, Denied> {
    match image.topic(name) {
        Some(topic) => Ok(topic),
        None => denied(ResponseError::UnknownTopicOrPartition, "This server does not host this topic-partition."),
    }
}

/// Plans the end of a topic.
pub fn delete(topic: &Topic) -> Vec<MetadataRecord> {
    vec![MetadataRecord::Removed { topic: topic.id }]
}

/// What to do with one setting (KIP-339).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// Give it this value.
    Set(String),
    /// Back to the default.
    Delete,
    /// Add these to its list.
    Append(String),
    /// Take these from its list.
    Subtract(String),
}

/// Plans changes to a topic's settings: all of them or none.
pub fn alter(
    image: &Image,
    broker: &Settings,
    name: &str,
    changes: &[(String, Alteration)],
) -> Result<Vec<MetadataRecord>, Denied> {
    let topic = existing(image, name)?;
    let mut own = topic.configs.clone();
    let mut seen = BTreeMap::new();
    let mut records = Vec::new();
    for (name, change) in changes {
        if seen.insert(name, ()).is_some() {
            return denied(ResponseError::InvalidRequest, format!("Error due to duplicate config keys: {name}"));
        }
        let value = altered(broker, &own, name, change)?;
        match &value {
            Some(value) => own.insert(name.clone(), value.clone()),
            None => own.remove(name),
        };
        records.push(MetadataRecord::Config { topic: topic.id, name: name.clone(), value });
    }
    match configs::log_config(&broker.log, &own) {
        Ok(_) => Ok(records),
        Err(why) => denied(ResponseError::InvalidConfig, why),
    }
}

fn altered(
    broker: &Settings,
    own: &BTreeMap<String, String>,
    name: &str,
    change: &Alteration,
) -> Result<Option<String>, Denied> {
    let Some(setting) = setting(name) else {
        return denied(ResponseError::InvalidConfig, format!("Unknown topic config name: {name}"));
    };
    let list = || match (setting.kind, own.get(name)) {
        (Kind::List, Some(value)) => Ok(value.clone()),
        (Kind::List, None) => Ok(configs::shown(&broker.log, setting)),
        _ => denied(ResponseError::InvalidConfig, format!("Can't append to or subtract from {name}: it is no list.")),
    };
    Ok(match change {
        Alteration::Delete => None,
        Alteration::Set(value) => Some(value.clone()),
        Alteration::Append(more) => {
            let old = list()?;
            let mut all: Vec<&str> = configs::items(&old).collect();
            for item in configs::items(more) {
                if !all.contains(&item) {
                    all.push(item);
                }
            }
            Some(all.join(","))
        }
        Alteration::Subtract(less) => {
            let less: Vec<&str> = configs::items(less).collect();
            let left: Vec<String> = configs::items(&list()?).filter(|i| !less.contains(i)).map(str::to_owned).collect();
            Some(left.join(","))
        }
    })
}
