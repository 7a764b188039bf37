//! Topic settings in text, as clients give them, and as [`LogConfig`], as the log takes them.

use std::collections::BTreeMap;

use super::config_table::{Kind, Rule, SETTINGS, Setting, setting};
use crate::config::{CleanupPolicy, FlushPolicy, LogConfig};

/// `Long.MAX_VALUE`, which stands for "never" in Kafka's settings.
const NEVER: u64 = i64::MAX.cast_unsigned();
/// Fractions are kept in millionths.
const MILLION: f64 = 1e6;

/// Checks one value of one setting. The error is a sentence for the client.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    let Some(setting) = setting(name) else { return Err(format!("Unknown topic config name: {name}")) };
    let refused = |why: &str| Err(format!("Invalid value {value} for configuration {name}: {why}"));
    match setting.rule {
        Rule::Free => Ok(()),
        Rule::OnlyDefault if value == setting.default => Ok(()),
        Rule::OnlyDefault => refused(&format!("only {} is supported. {}", setting.default, setting.doc)),
        Rule::Number(min, max) => match value.trim().parse::<i64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(()),
            Ok(_) => refused(&format!("Value must be at least {min} and at most {max}")),
            Err(_) => refused("Not a number"),
        },
        Rule::Fraction(min, max) => match value.trim().parse::<f64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(()),
            _ => refused(&format!("Value must be between {min} and {max}")),
        },
        Rule::OneOf(allowed) => {
            let parts: Vec<&str> = if setting.kind == Kind::List { items(value).collect() } else { vec![value] };
            let known = !parts.is_empty() && parts.iter().all(|part| allowed.contains(part));
            if known { Ok(()) } else { refused(&format!("must be one of {}. {}", allowed.join(", "), setting.doc)) }
        }
    }
}

/// The entries of a list setting.
pub fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Whether a topic sets this boolean.
pub fn is_set(own: &BTreeMap<String, String>, name: &str) -> bool {
    own.get(name).is_some_and(|value| value == "true")
}

/// The log's settings for a topic with these settings of its own, over the broker's defaults. The error is a sentence
/// for the client.
pub fn log_config(base: &LogConfig, own: &BTreeMap<String, String>) -> Result<LogConfig, String> {
    let mut config = base.clone();
    let (mut messages, mut ms) = flush_settings(base.flush);
    for (name, value) in own {
        check(name, value)?;
        match name.as_str() {
            "flush.messages" => messages = unsigned(value),
            "flush.ms" => ms = unsigned(value),
            _ => set(&mut config, name, value),
        }
    }
    config.flush = flush_policy(messages, ms)?;
    Ok(config)
}

/// `min.insync.replicas` of a topic with these settings of its own.
pub fn min_in_sync(base: &LogConfig, own: &BTreeMap<String, String>) -> usize {
    let own = own.get("min.insync.replicas").map(|value| narrow(value));
    usize::try_from(own.unwrap_or(base.min_insync_replicas)).unwrap_or(usize::MAX)
}

/// `unclean.leader.election.enable` of a topic with these settings of its own.
pub fn is_unclean(base: bool, own: &BTreeMap<String, String>) -> bool {
    own.get("unclean.leader.election.enable").map_or(base, |value| value == "true")
}

/// The value in force of a setting.
pub fn shown(config: &LogConfig, setting: &Setting) -> String {
    let (messages, ms) = flush_settings(config.flush);
    let limit = |limit: Option<u64>| limit.map_or("-1".into(), |n| n.to_string());
    match setting.name {
        "cleanup.policy" => match config.cleanup {
            CleanupPolicy::Delete => "delete".into(),
            CleanupPolicy::Compact => "compact".into(),
            CleanupPolicy::CompactDelete => "compact,delete".into(),
        },
        "delete.retention.ms" => config.delete_retention_ms.to_string(),
        "flush.messages" => messages.to_string(),
        "flush.ms" => ms.to_string(),
        "index.interval.bytes" => config.index_interval_bytes.to_string(),
        "max.compaction.lag.ms" => config.max_compaction_lag_ms.to_string(),
        "max.message.bytes" => config.max_message_bytes.to_string(),
        "min.cleanable.dirty.ratio" => (f64::from(config.min_cleanable_dirty_millionths) / MILLION).to_string(),
        "min.compaction.lag.ms" => config.min_compaction_lag_ms.to_string(),
        "message.timestamp.type" if config.log_append_time => "LogAppendTime".into(),
        "min.insync.replicas" => config.min_insync_replicas.to_string(),
        "retention.bytes" => limit(config.retention_bytes),
        "retention.ms" => limit(config.retention_ms),
        "segment.bytes" => config.segment_bytes.to_string(),
        "segment.ms" => config.segment_ms.to_string(),
        _ => setting.default.into(),
    }
}

/// Every setting with its value in force for a topic, and whether the topic, the broker (true) or neither set it.
pub fn describe<'a>(
    base: &'a LogConfig,
    own: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (&'static Setting, String, Source)> + 'a {
    SETTINGS.iter().map(move |setting| {
        let inherited = shown(base, setting);
        match own.get(setting.name) {
            Some(value) => (setting, value.clone(), Source::Topic),
            None if inherited != setting.default => (setting, inherited, Source::Broker),
            None => (setting, inherited, Source::Default),
        }
    })
}

/// Who gave a setting its value, as DescribeConfigs numbers it (`ConfigSource`, KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// The topic (`DYNAMIC_TOPIC_CONFIG`).
    Topic = 1,
    /// The broker's settings at its start (`STATIC_BROKER_CONFIG`).
    Broker = 4,
    /// Nobody (`DEFAULT_CONFIG`).
    Default = 5,
}

/// Sets a value that was checked; a setting without effect on the log is left to the topic's own list.
fn set(config: &mut LogConfig, name: &str, value: &str) {
    match name {
        "cleanup.policy" => config.cleanup = cleanup(value),
        "delete.retention.ms" => config.delete_retention_ms = unsigned(value),
        "index.interval.bytes" => config.index_interval_bytes = narrow(value),
        "max.compaction.lag.ms" => config.max_compaction_lag_ms = unsigned(value),
        "min.cleanable.dirty.ratio" => config.min_cleanable_dirty_millionths = millionths(value),
        "min.compaction.lag.ms" => config.min_compaction_lag_ms = unsigned(value),
        "max.message.bytes" => config.max_message_bytes = narrow(value),
        "message.timestamp.type" => config.log_append_time = value == "LogAppendTime",
        "min.insync.replicas" => config.min_insync_replicas = narrow(value),
        "retention.bytes" => config.retention_bytes = limit(value),
        "retention.ms" => config.retention_ms = limit(value),
        "segment.bytes" => config.segment_bytes = unsigned(value),
        "segment.ms" => config.segment_ms = unsigned(value),
        _ => {}
    }
}

/// A number that was checked to be one; negative ones become 0, which no rule lets through unmeant.
fn unsigned(value: &str) -> u64 {
    value.trim().parse::<i64>().ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

fn narrow(value: &str) -> u32 {
    u32::try_from(unsigned(value)).unwrap_or(u32::MAX)
}

fn cleanup(value: &str) -> CleanupPolicy {
    let has = |policy| items(value).any(|item| item == policy);
    match (has("compact"), has("delete")) {
        (true, true) => CleanupPolicy::CompactDelete,
        (true, false) => CleanupPolicy::Compact,
        _ => CleanupPolicy::Delete,
    }
}

/// A fraction that was checked to be one, in millionths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
fn millionths(value: &str) -> u32 {
    (value.trim().parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0) * MILLION).round() as u32
}

/// A limit, where -1 stands for none.
fn limit(value: &str) -> Option<u64> {
    value.trim().parse::<i64>().ok().and_then(|n| u64::try_from(n).ok())
}

fn flush_settings(policy: FlushPolicy) -> (u64, u64) {
    match policy {
        FlushPolicy::Never => (NEVER, NEVER),
        FlushPolicy::Records(n) => (n, NEVER),
        FlushPolicy::Millis(ms) => (NEVER, ms),
        FlushPolicy::Always => (1, NEVER),
    }
}

fn flush_policy(messages: u64, ms: u64) -> Result<FlushPolicy, String> {
    match (messages, ms) {
        (0 | 1, _) => Ok(FlushPolicy::Always),
        (NEVER, NEVER) => Ok(FlushPolicy::Never),
        (NEVER, ms) => Ok(FlushPolicy::Millis(ms)),
        (messages, NEVER) => Ok(FlushPolicy::Records(messages)),
        _ => Err("flush.messages and flush.ms exclude each other, unless flush.messages is 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn kafkas_defaults_are_ours() {
        for (setting, value, source) in describe(&LogConfig::default(), &BTreeMap::new()) {
            assert_eq!((value.as_str(), source), (setting.default, Source::Default), "{}", setting.name);
            assert_eq!(check(setting.name, setting.default), Ok(()), "{}", setting.name);
        }
    }

    #[test]
    fn what_is_set_is_in_force_and_shown() {
        let pairs = own(&[
            ("segment.bytes", "14"),
            ("retention.ms", "-1"),
            ("retention.bytes", "5"),
            ("flush.messages", "1"),
            ("max.message.bytes", "9"),
            ("min.insync.replicas", "2"),
            ("index.interval.bytes", "0"),
            ("segment.ms", "7"),
            ("message.timestamp.type", "LogAppendTime"),
            ("cleanup.policy", "compact,delete"),
            ("delete.retention.ms", "11"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("min.compaction.lag.ms", "12"),
            ("max.compaction.lag.ms", "13"),
        ]);
        let config = log_config(&LogConfig::default(), &pairs).unwrap();
        let expected = LogConfig {
            segment_bytes: 14,
            segment_ms: 7,
            index_interval_bytes: 0,
            retention_ms: None,
            retention_bytes: Some(5),
            max_message_bytes: 9,
            flush: FlushPolicy::Always,
            min_insync_replicas: 2,
            log_append_time: true,
            cleanup: CleanupPolicy::CompactDelete,
            delete_retention_ms: 11,
            min_cleanable_dirty_millionths: 10_000,
            min_compaction_lag_ms: 12,
            max_compaction_lag_ms: 13,
            recycle_segments: 0,
        };
        assert_eq!(config, expected);
        for (name, value) in &pairs {
            assert_eq!(&shown(&config, setting(name).unwrap()), value, "{name}");
        }
    }

    #[test]
    fn the_brokers_flush_policy_is_kept_unless_a_topic_has_its_own() {
        let base = LogConfig { flush: FlushPolicy::Always, ..LogConfig::default() };
        assert_eq!(log_config(&base, &own(&[])).unwrap().flush, FlushPolicy::Always);
        let lazy = own(&[("flush.messages", "9223372036854775807")]);
        assert_eq!(log_config(&base, &lazy).unwrap().flush, FlushPolicy::Never);
        assert!(log_config(&base, &own(&[("flush.messages", "5"), ("flush.ms", "5")])).is_err());
        let timed = own(&[("flush.messages", "9223372036854775807"), ("flush.ms", "5")]);
        assert_eq!(log_config(&base, &timed).unwrap().flush, FlushPolicy::Millis(5));
    }

    #[test]
    fn values_that_promise_too_much_are_refused() {
        for (name, value) in [
            ("segment.bytes", "13"),
            ("segment.bytes", "2147483648"),
            ("retention.ms", "soon"),
            ("retention.ms", "-2"),
            ("cleanup.policy", "compacted"),
            ("cleanup.policy", ""),
            ("compression.type", "zstd"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("unclean.leader.election.enable", "yes"),
            ("no.such.thing", "1"),
        ] {
            assert!(check(name, value).is_err(), "{name}={value}");
        }
    }
}
