//! Broker settings from the command line, under the names that Kafka's `server.properties` gives them.

use std::time::Duration;

use broker::config::{BrokerConfig, FlushPolicy, ProcessRoles};
use broker::group::consumer::ASSIGNORS;

/// One setting.
pub struct Setting {
    /// Kafka's name.
    pub name: &'static str,
    /// What it does, with its unit.
    pub about: &'static str,
    set: fn(&mut BrokerConfig, &str) -> Result<(), String>,
}

const fn row(
    name: &'static str,
    about: &'static str,
    set: fn(&mut BrokerConfig, &str) -> Result<(), String>,
) -> Setting {
    Setting { name, about, set }
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    row("auto.create.topics.enable", "make topics that clients ask for", |c, v| put(&mut c.auto_create_topics, v)),
    row("auto.leader.rebalance.enable", "put preferred leaders back", |c, v| put(&mut c.auto_leader_rebalance, v)),
    row("broker.heartbeat.interval.ms", "tell the controller so often that it lives", |c, v| {
        ms(&mut c.broker_heartbeat_interval, v)
    }),
    row("broker.rack", "the rack shown to clients", |c, v| {
        c.rack = Some(v.into());
        Ok(())
    }),
    row("broker.session.timeout.ms", "fence a broker that is silent for so long", |c, v| {
        ms(&mut c.broker_session_timeout, v)
    }),
    row("connections.max.idle.ms", "close connections idle for so long", |c, v| ms(&mut c.connections_max_idle, v)),
    row("controller.quorum.election.timeout.ms", "a candidate tries again after it", |c, v| {
        ms(&mut c.quorum_election_timeout, v)
    }),
    row("controller.quorum.fetch.timeout.ms", "a voter that hears no leader for so long stands", |c, v| {
        ms(&mut c.quorum_fetch_timeout, v)
    }),
    row("default.replication.factor", "of topics made without one", replication),
    row("group.consumer.assignors", "of the newer protocol: the first decides, if members like none better", assignors),
    row("group.consumer.heartbeat.interval.ms", "what members of the newer protocol are told", |c, v| {
        ms(&mut c.groups.consumer_heartbeat_interval, v)
    }),
    row("group.consumer.max.size", "members of a group of the newer protocol at most", |c, v| {
        put(&mut c.groups.consumer_max_size, v)
    }),
    row("group.consumer.session.timeout.ms", "so long may a member of the newer protocol be silent", |c, v| {
        ms(&mut c.groups.consumer_session_timeout, v)
    }),
    row("group.initial.rebalance.delay.ms", "an empty group waits so long for more members", |c, v| {
        ms(&mut c.groups.initial_rebalance_delay, v)
    }),
    row("group.max.session.timeout.ms", "the longest that members may ask for", |c, v| {
        ms(&mut c.groups.max_session_timeout, v)
    }),
    row("group.max.size", "members of a group at most", |c, v| put(&mut c.groups.max_size, v)),
    row("group.min.session.timeout.ms", "the shortest that members may ask for", |c, v| {
        ms(&mut c.groups.min_session_timeout, v)
    }),
    row("leader.imbalance.check.interval.seconds", "put preferred leaders back so often", |c, v| {
        seconds(&mut c.leader_imbalance_check_interval, v)
    }),
    row("log.flush.offset.checkpoint.interval.ms", "write recovery points so often", |c, v| {
        ms(&mut c.checkpoint_interval, v)
    }),
    row("log.index.interval.bytes", "bytes of log between index entries", |c, v| {
        put(&mut c.log.index_interval_bytes, v)
    }),
    row("log.message.timestamp.type", "CreateTime or LogAppendTime", timestamp_type),
    row("log.recycle.segments", "files of deleted segments kept of a partition, to write new ones into", |c, v| {
        put(&mut c.log.recycle_segments, v)
    }),
    row("log.retention.bytes", "bytes kept of a partition; -1 for all", |c, v| limit(&mut c.log.retention_bytes, v)),
    row("log.retention.check.interval.ms", "apply retention so often", |c, v| ms(&mut c.retention_check_interval, v)),
    row("log.retention.ms", "keep records for so long; -1 for ever", |c, v| limit(&mut c.log.retention_ms, v)),
    row("log.roll.ms", "close a segment whose first record is older", |c, v| put(&mut c.log.segment_ms, v)),
    row("log.segment.bytes", "close a segment before it grows past this", |c, v| put(&mut c.log.segment_bytes, v)),
    row("max.connections", "one more is closed at once", |c, v| put(&mut c.max_connections, v)),
    row("message.max.bytes", "the largest batch accepted", |c, v| put(&mut c.log.max_message_bytes, v)),
    row("min.insync.replicas", "for acks=all", |c, v| put(&mut c.log.min_insync_replicas, v)),
    row("num.partitions", "of topics made without a count", |c, v| put(&mut c.num_partitions, v)),
    row("offset.metadata.max.bytes", "of a client's own words with a committed offset", |c, v| {
        put(&mut c.groups.offset_metadata_max_bytes, v)
    }),
    row("offsets.commit.timeout.ms", "a commit that takes longer is answered with an error", |c, v| {
        ms(&mut c.groups.offsets_commit_timeout, v)
    }),
    row("offsets.retention.minutes", "keep the offsets of a group without members for so long", |c, v| {
        minutes(&mut c.groups.offsets_retention, v)
    }),
    row("offsets.topic.num.partitions", "partitions that groups are spread over", |c, v| {
        c.groups.offsets_topic_partitions = v
            .parse()
            .ok()
            .filter(|count| (1..=10_000).contains(count))
            .ok_or_else(|| format!("'{v}' is no number of partitions: it must be 1 to 10000"))?;
        Ok(())
    }),
    row("offsets.topic.replication.factor", "of the topic that keeps groups; 3 or the voters if not given", |c, v| {
        c.groups.offsets_topic_replication = Some(replicas(v)?);
        Ok(())
    }),
    row("offsets.topic.segment.bytes", "of that topic", |c, v| put(&mut c.groups.offsets_topic_segment_bytes, v)),
    row("process.roles", "broker, controller, or broker,controller, which it is if not given", |c, v| {
        c.process_roles = match v {
            "broker" => ProcessRoles::Broker,
            "controller" => ProcessRoles::Controller,
            "broker,controller" | "controller,broker" => ProcessRoles::Combined,
            _ => return Err(format!("'{v}' is no role; a node is broker, controller, or broker,controller")),
        };
        Ok(())
    }),
    row("producer.id.expiration.ms", "forget idempotent producers idle for so long", |c, v| {
        ms(&mut c.producer_id_expiration, v)
    }),
    row("replica.fetch.backoff.ms", "pause after a fetch from a leader failed", |c, v| {
        ms(&mut c.replica_fetch_backoff, v)
    }),
    row("replica.fetch.max.bytes", "fetched of a partition at once", |c, v| put(&mut c.replica_fetch_max_bytes, v)),
    row("replica.fetch.response.max.bytes", "fetched from a leader at once", |c, v| {
        put(&mut c.replica_fetch_response_max_bytes, v)
    }),
    row("replica.fetch.wait.max.ms", "a follower's fetch waits so long for news", |c, v| {
        ms(&mut c.replica_fetch_wait_max, v)
    }),
    row("replica.lag.time.max.ms", "a follower behind for so long leaves the in-sync set", |c, v| {
        ms(&mut c.replica_lag_time_max, v)
    }),
    row("socket.request.max.bytes", "the largest request read", |c, v| put(&mut c.socket_request_max_bytes, v)),
    row("unclean.leader.election.enable", "let a replica lead that may lack records", |c, v| {
        put(&mut c.unclean_leader_election, v)
    }),
];

/// A setting and its value, as `name=value`.
#[derive(Clone, Debug)]
pub struct Assignment {
    row: usize,
    value: String,
}

impl Assignment {
    /// Parses `name=value`. The value is tried on default settings, so that it is refused here and not later.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err("a setting is written name=value, as num.partitions=4".into());
        };
        let Some(row) = SETTINGS.iter().position(|s| s.name == name) else {
            let closest = SETTINGS.iter().min_by_key(|s| strsim::damerau_levenshtein(s.name, name));
            let tip = closest.map_or("", |s| s.name);
            return Err(format!("there is no setting '{name}'; did you mean '{tip}'? --help lists them"));
        };
        let parsed = Self { row, value: value.into() };
        parsed.apply(&mut BrokerConfig::default())?;
        Ok(parsed)
    }

    /// Puts the value where it belongs.
    pub fn apply(&self, config: &mut BrokerConfig) -> Result<(), String> {
        (SETTINGS[self.row].set)(config, &self.value)
    }
}

/// A flush policy, as `always`, `never`, `1000` (records) or `50ms`.
pub fn flush(text: &str) -> Result<FlushPolicy, String> {
    let valid = "a flush policy is always, never, a number of records as 1000, or a time as 50ms";
    match text {
        "always" => return Ok(FlushPolicy::Always),
        "never" => return Ok(FlushPolicy::Never),
        _ => {}
    }
    if let Ok(records) = text.parse::<u64>() {
        return match records {
            0 => Err(valid.into()),
            1 => Ok(FlushPolicy::Always),
            n => Ok(FlushPolicy::Records(n)),
        };
    }
    match super::limits::duration(text).map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)) {
        Ok(ms) if ms > 0 => Ok(FlushPolicy::Millis(ms)),
        _ => Err(valid.into()),
    }
}

fn put<T: std::str::FromStr>(to: &mut T, value: &str) -> Result<(), String> {
    *to = value.parse().map_err(|_| format!("'{value}' is no value for it"))?;
    Ok(())
}

fn ms(to: &mut Duration, value: &str) -> Result<(), String> {
    let mut number = 0u64;
    put(&mut number, value)?;
    *to = Duration::from_millis(number);
    Ok(())
}

fn assignors(config: &mut BrokerConfig, value: &str) -> Result<(), String> {
    let named: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(unknown) = named.iter().find(|name| !ASSIGNORS.contains(&name.as_str())) {
        return Err(format!("there is no assignor '{unknown}': there are {}", ASSIGNORS.join(" and ")));
    }
    config.groups.consumer_assignors = named;
    Ok(())
}

fn seconds(to: &mut Duration, value: &str) -> Result<(), String> {
    let mut number = 0u64;
    put(&mut number, value)?;
    *to = Duration::from_secs(number);
    Ok(())
}

fn minutes(to: &mut Duration, value: &str) -> Result<(), String> {
    let mut number = 0u64;
    put(&mut number, value)?;
    *to = Duration::from_secs(number.saturating_mul(60));
    Ok(())
}

fn replicas(value: &str) -> Result<i16, String> {
    let parsed = value.parse().ok().filter(|number| *number >= 1);
    parsed.ok_or_else(|| format!("'{value}' is no number of replicas: it must be at least 1"))
}

fn replication(config: &mut BrokerConfig, value: &str) -> Result<(), String> {
    config.default_replication_factor = replicas(value)?;
    Ok(())
}

fn limit(to: &mut Option<u64>, value: &str) -> Result<(), String> {
    if value == "-1" {
        *to = None;
        return Ok(());
    }
    let mut number = 0u64;
    put(&mut number, value)?;
    *to = Some(number);
    Ok(())
}

fn timestamp_type(config: &mut BrokerConfig, value: &str) -> Result<(), String> {
    config.log.log_append_time = match value {
        "CreateTime" => false,
        "LogAppendTime" => true,
        _ => return Err(format!("'{value}' is neither CreateTime nor LogAppendTime")),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_reach_the_broker() {
        let mut config = BrokerConfig::default();
        for text in
            ["num.partitions=4", "log.retention.ms=-1", "log.retention.bytes=1000", "auto.create.topics.enable=false"]
        {
            Assignment::parse(text).unwrap().apply(&mut config).unwrap();
        }
        assert_eq!((config.num_partitions, config.auto_create_topics), (4, false));
        assert_eq!((config.log.retention_ms, config.log.retention_bytes), (None, Some(1000)));
    }

    #[test]
    fn wrong_settings_are_answered_with_what_is_valid() {
        assert!(Assignment::parse("num.partitions").unwrap_err().contains("name=value"));
        assert!(Assignment::parse("num.partition=4").unwrap_err().contains("'num.partitions'"));
        assert!(Assignment::parse("num.partitions=many").unwrap_err().contains("'many'"));
        assert!(Assignment::parse("log.message.timestamp.type=x").is_err());
    }

    #[test]
    fn settings_are_sorted_by_name() {
        assert!(SETTINGS.is_sorted_by_key(|s| s.name));
    }

    #[test]
    fn flush_policies() {
        assert_eq!(flush("always"), Ok(FlushPolicy::Always));
        assert_eq!(flush("1"), Ok(FlushPolicy::Always));
        assert_eq!(flush("1000"), Ok(FlushPolicy::Records(1000)));
        assert_eq!(flush("50ms"), Ok(FlushPolicy::Millis(50)));
        for wrong in ["", "0", "sometimes", "0ms", "-5"] {
            assert!(flush(wrong).is_err(), "{wrong}");
        }
    }
}
