//! Requests to change the cluster, planned: checked against the image, and answered with the records that carry them
//! out. Nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::config_table::{Kind, setting};
use super::configs;
use super::image::{Image, Topic};
use super::partition::PartitionState;
use super::placement::Placer;
use super::record::{METADATA_TOPIC, MetadataRecord, TopicId, text};
use super::request::Settings;
use crate::ids::NodeId;

/// Partitions one topic may have here: bounds what one small request can make the broker create.
pub const MAX_PARTITIONS_PER_TOPIC: i32 = 10_000;
/// Partitions the cluster holds at most.
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

/// An end in Kafka's terms: the error's code, 0 for none, and its sentence.
pub fn code_and_message<T>(end: &Result<T, Denied>) -> (i16, Option<StrBytes>) {
    match end {
        Ok(_) => (0, None),
        Err(Denied { error, message }) => (error.code(), Some(text(message))),
    }
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
pub fn create(
    image: &Image,
    settings: &Settings,
    new: &NewTopic,
    id: TopicId,
    draw: &mut dyn FnMut() -> u64,
) -> Result<Vec<MetadataRecord>, Denied> {
    check_name(image, &new.name)?;
    let replicas = placed(image, settings, new, draw)?;
    room_for(image, replicas.len())?;
    let own = own_configs(&new.configs)?;
    if let Err(why) = configs::log_config(&settings.log, &own) {
        return denied(ResponseError::InvalidConfig, why);
    }
    let mut records = vec![MetadataRecord::Topic { id, name: new.name.clone() }];
    let settings = own.into_iter().map(|(name, value)| MetadataRecord::Config { topic: id, name, value: Some(value) });
    records.extend(settings);
    let why = if new.assignments.is_empty() {
        ResponseError::InvalidReplicationFactor
    } else {
        ResponseError::InvalidReplicaAssignment
    };
    for (partition, replicas) in (0..).zip(replicas) {
        records.push(partition_of(image, id, partition, replicas, why)?);
    }
    Ok(records)
}

/// A new partition, led by the first of its replicas that is active.
fn partition_of(
    image: &Image,
    topic: TopicId,
    partition: i32,
    replicas: Vec<NodeId>,
    why: ResponseError,
) -> Result<MetadataRecord, Denied> {
    match PartitionState::new(replicas, |node| image.is_active(node)) {
        Some(state) => Ok(MetadataRecord::Partition { topic, partition, state }),
        None => denied(why, format!("All brokers of partition {partition} are fenced or in controlled shutdown.")),
    }
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

/// The replicas of each partition of a new topic.
fn placed(
    image: &Image,
    settings: &Settings,
    new: &NewTopic,
    draw: &mut dyn FnMut() -> u64,
) -> Result<Vec<Vec<NodeId>>, Denied> {
    if !new.assignments.is_empty() {
        if new.partitions != -1 || new.replication != -1 {
            let message =
                "A manual partition assignment was specified, but numPartitions or replicationFactor was not -1.";
            return denied(ResponseError::InvalidRequest, message);
        }
        return assigned(image, &new.assignments);
    }
    let replication = if new.replication == -1 { settings.replication } else { new.replication };
    let Some(replication) = usize::try_from(replication).ok().filter(|replication| *replication > 0) else {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return denied(ResponseError::InvalidReplicationFactor, message);
    };
    let count = if new.partitions == -1 { settings.num_partitions } else { new.partitions };
    if !(1..=MAX_PARTITIONS_PER_TOPIC).contains(&count) {
        let message = format!("Number of partitions was set to {count}: it must be 1 to {MAX_PARTITIONS_PER_TOPIC}.");
        return denied(ResponseError::InvalidPartitions, message);
    }
    place(image, count, replication, draw)
}

fn place(
    image: &Image,
    count: i32,
    replication: usize,
    draw: &mut dyn FnMut() -> u64,
) -> Result<Vec<Vec<NodeId>>, Denied> {
    let mut placer = Placer::new(image, draw);
    if let Some(why) = placer.refuses(replication) {
        let message = format!("Unable to replicate the partition {replication} time(s): {why}");
        return denied(ResponseError::InvalidReplicationFactor, message);
    }
    Ok((0..count).map(|_| placer.place(replication, draw)).collect())
}

/// The replicas that a client has named for each partition, if they are numbered from 0.
fn assigned(image: &Image, assignments: &[(i32, Vec<i32>)]) -> Result<Vec<Vec<NodeId>>, Denied> {
    let numbered: BTreeMap<i32, &Vec<i32>> =
        assignments.iter().map(|(partition, brokers)| (*partition, brokers)).collect();
    if !numbered.keys().copied().eq((0..).take(assignments.len())) {
        let message = "Partitions must be a consecutive sequence from 0, each of them named once.";
        return denied(ResponseError::InvalidReplicaAssignment, message);
    }
    if assignments.len() > MAX_PARTITIONS_PER_TOPIC as usize {
        return denied(ResponseError::InvalidPartitions, format!("At most {MAX_PARTITIONS_PER_TOPIC} partitions."));
    }
    let first = numbered.values().next().map(|brokers| brokers.len());
    numbered.into_values().map(|brokers| checked(image, brokers, first)).collect()
}

fn checked(image: &Image, brokers: &[i32], replication: Option<usize>) -> Result<Vec<NodeId>, Denied> {
    let replicas: Vec<NodeId> = brokers.iter().copied().map(NodeId).collect();
    check_assignment(image, &replicas, replication)?;
    Ok(replicas)
}

/// Whether a client may place a partition so: on registered brokers, each once, and on as many as its other partitions
/// (`validateManualPartitionAssignment`).
pub(super) fn check_assignment(image: &Image, replicas: &[NodeId], replication: Option<usize>) -> Result<(), Denied> {
    let refused = |why: String| {
        denied(ResponseError::InvalidReplicaAssignment, format!("The manual partition assignment includes {why}"))
    };
    if replicas.is_empty() {
        return refused("an empty replica list.".into());
    }
    if let Some(unknown) = replicas.iter().find(|node| image.broker(**node).is_none()) {
        return refused(format!("broker {}, but no such broker is registered.", unknown.0));
    }
    if replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len() {
        return refused("a broker more than once.".into());
    }
    match replication {
        Some(other) if other != replicas.len() => {
            refused(format!("a partition with {} replica(s), but others have {other}.", replicas.len()))
        }
        _ => Ok(()),
    }
}

fn room_for(image: &Image, more: usize) -> Result<(), Denied> {
    if image.partition_count().saturating_add(more) <= MAX_PARTITIONS {
        return Ok(());
    }
    denied(ResponseError::PolicyViolation, format!("The cluster holds at most {MAX_PARTITIONS} partitions."))
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

/// Plans more partitions for a topic, up to `count` in all, with as many replicas each as its first one has.
pub fn grow(
    image: &Image,
    name: &str,
    count: i32,
    assignments: Option<&[Vec<i32>]>,
    draw: &mut dyn FnMut() -> u64,
) -> Result<Vec<MetadataRecord>, Denied> {
    let topic = existing(image, name)?;
    let now = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if count <= now || count > MAX_PARTITIONS_PER_TOPIC {
        let message =
            format!("The topic has {now} partitions: {count} is not more, or above {MAX_PARTITIONS_PER_TOPIC}.");
        return denied(ResponseError::InvalidPartitions, message);
    }
    let more = usize::try_from(count - now).unwrap_or(0);
    let replication = topic.partitions.first().map_or(1, |first| first.replicas.len());
    let (replicas, why) = match assignments {
        Some(assignments) if assignments.len() != more => {
            let message = format!("{more} additional partition(s), but {} assignment(s).", assignments.len());
            return denied(ResponseError::InvalidReplicaAssignment, message);
        }
        Some(assignments) => {
            let replicas = assignments.iter().map(|brokers| checked(image, brokers, Some(replication)));
            (replicas.collect::<Result<Vec<_>, _>>()?, ResponseError::InvalidReplicaAssignment)
        }
        None => (place(image, count - now, replication, draw)?, ResponseError::InvalidReplicationFactor),
    };
    room_for(image, more)?;
    let numbered = (now..).zip(replicas);
    numbered.map(|(partition, replicas)| partition_of(image, topic.id, partition, replicas, why)).collect()
}

/// The topic of that name.
pub(super) fn existing<'a>(image: &'a Image, name: &str) -> Result<&'a Topic, Denied> {
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
    settings: &Settings,
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
        let value = altered(settings, &own, name, change)?;
        match &value {
            Some(value) => own.insert(name.clone(), value.clone()),
            None => own.remove(name),
        };
        records.push(MetadataRecord::Config { topic: topic.id, name: name.clone(), value });
    }
    match configs::log_config(&settings.log, &own) {
        Ok(_) => Ok(records),
        Err(why) => denied(ResponseError::InvalidConfig, why),
    }
}

fn altered(
    settings: &Settings,
    own: &BTreeMap<String, String>,
    name: &str,
    change: &Alteration,
) -> Result<Option<String>, Denied> {
    let Some(setting) = setting(name) else {
        return denied(ResponseError::InvalidConfig, format!("Unknown topic config name: {name}"));
    };
    let list = || match (setting.kind, own.get(name)) {
        (Kind::List, Some(value)) => Ok(value.clone()),
        (Kind::List, None) => Ok(configs::shown(&settings.log, setting)),
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
