//! Makes the topics before the load, and reads every partition from its start after it: the ground truth.

use std::sync::Arc;

use broker::config::{FlushPolicy, LogConfig};
use broker::env::Env;
use broker::ids::Offset;

use crate::client::Client;
use crate::client::admin::{EARLIEST, LATEST};
use crate::contract::Contract;
use crate::history::{Call, Phase, Reply};
use crate::scenario::TopicSpec;

use super::reader::Reader;
use super::{Role, seeker};

/// One attempt's patience, in milliseconds.
const PATIENCE_MS: u64 = 2000;
/// The API key of CreateTopics.
const CREATE_TOPICS: i16 = 19;
/// Damaged offsets skipped in one partition, at most.
const MOST_SKIPPED: u32 = 10_000;
/// Kafka's code for a batch whose CRC does not match.
const CORRUPT_MESSAGE: i16 = 2;
/// Kafka's code for a topic that is there already.
const TOPIC_ALREADY_EXISTS: i16 = 36;

pub(super) async fn play<E: Env>(role: Role<E>) {
    let client = role.client();
    if !role.stage.ready() {
        make_topics(&role, &client).await;
        role.stage.set_ready();
    }
    while role.stage.phase() < Phase::FinalRead {
        role.pause(10).await;
    }
    for at in role.stage.live() {
        if !role.stage.final_read_of(at) {
            let end = read_whole(&role, &client, at).await;
            role.stage.final_end(at, end);
        }
    }
}

/// Makes every topic.
async fn make_topics<E: Env>(role: &Role<E>, client: &Client<E>) {
    for topic in &role.stage.setup.topics {
        make_topic(role, client, topic).await;
    }
}

/// Makes a topic, trying again until it is there with a leader for each partition.
pub(super) async fn make_topic<E: Env>(role: &Role<E>, client: &Client<E>, topic: &TopicSpec) {
    let replication = i16::try_from(role.stage.setup.contract.replication).unwrap_or(1);
    let name: Arc<str> = topic.name.as_str().into();
    let owned = configs(&topic.log, &role.stage.setup.contract);
    let configs: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_str())).collect();
    loop {
        let asked = client.create_topic(&name, topic.partitions, replication, &configs, role.within(PATIENCE_MS));
        let made = role.noted(Call::Admin { api: CREATE_TOPICS }, asked, |_| Reply::None).await;
        let there = made.is_ok() || made.is_err_and(|e| e.code == TOPIC_ALREADY_EXISTS);
        let partitions = u32::try_from(topic.partitions).unwrap_or(1);
        if there && client.wait_topic(&name, partitions, role.within(PATIENCE_MS)).await.is_ok() {
            break;
        }
        role.pause(50).await;
    }
}

/// Reads one partition from its first offset to its end; returns that end.
async fn read_whole<E: Env>(role: &Role<E>, client: &Client<E>, at: usize) -> Offset {
    let start = ask(role, client, at, EARLIEST).await;
    let end = ask(role, client, at, LATEST).await;
    let reader = Reader::new(role);
    reader.assign(at, start).await;
    let (mut position, mut skipped) = (start, 0);
    // Where retention has left nothing to read, the broker is still to say that this is the end.
    let mut told = false;
    while position < end || !told {
        for part in reader.poll().await {
            told |= part.error.is_none() && !part.reset;
            if part.position > position {
                role.stage.final_poll();
            }
            position = part.position;
            // Damage was noticed, as it must be: the rest of the partition is still to be read.
            if part.error.is_some_and(|e| e.code == CORRUPT_MESSAGE) && skipped < MOST_SKIPPED {
                skipped += 1;
                position += 1;
                reader.assign(at, position).await;
            }
        }
        if position >= end && !told {
            told = reader.note_end(at);
            role.stage.final_poll();
        }
    }
    end
}

/// ListOffsets, until it answers.
async fn ask<E: Env>(role: &Role<E>, client: &Client<E>, at: usize, query: i64) -> Offset {
    loop {
        match seeker::ask(role, client, at, query).await {
            Ok(listed) => return listed.offset,
            Err(_) => role.pause(50).await,
        }
    }
}

/// A topic's settings under Kafka's names: its log's, and what the contract promises.
pub(super) fn configs(log: &LogConfig, contract: &Contract) -> Vec<(&'static str, String)> {
    let limit = |x: Option<u64>| x.map_or("-1".to_string(), |x| x.to_string());
    let time = if log.log_append_time { "LogAppendTime" } else { "CreateTime" };
    let mut rows = vec![
        ("segment.bytes", log.segment_bytes.to_string()),
        ("segment.ms", log.segment_ms.to_string()),
        ("index.interval.bytes", log.index_interval_bytes.to_string()),
        ("retention.ms", limit(log.retention_ms)),
        ("retention.bytes", limit(log.retention_bytes)),
        ("max.message.bytes", log.max_message_bytes.to_string()),
        ("min.insync.replicas", contract.min_insync.to_string()),
        ("message.timestamp.type", time.to_string()),
    ];
    if log.cleanup.compacts() {
        let policy = if log.cleanup.deletes() { "compact,delete" } else { "compact" };
        let ratio = f64::from(log.min_cleanable_dirty_millionths) / 1e6;
        rows.push(("cleanup.policy", policy.into()));
        rows.push(("min.cleanable.dirty.ratio", ratio.to_string()));
        rows.push(("delete.retention.ms", log.delete_retention_ms.to_string()));
    }
    if contract.unclean {
        rows.push(("unclean.leader.election.enable", "true".into()));
    }
    match log.flush {
        FlushPolicy::Never => {}
        FlushPolicy::Records(n) => rows.push(("flush.messages", n.to_string())),
        FlushPolicy::Millis(ms) => rows.push(("flush.ms", ms.to_string())),
        FlushPolicy::Always => rows.push(("flush.messages", "1".into())),
    }
    rows
}
