//! What scenarios have in common: one broker, one topic, a small load, and the knobs that every seed draws anew.

use broker::config::{BrokerConfig, CleanupPolicy, FlushPolicy, LogConfig};
use broker::record::Compression;
use harness::client::group::assign::Assignor;
use harness::group_load::{GroupLoad, coordination};
use harness::plan::{Mark, Target};
use harness::scenario::{Flow, Load, Menace, Setup, Times, TopicSpec};
use harness::seed::Draw;
use std::time::Duration;

use crate::apps::retry::{self, Trouble};

/// Events of the write path: a strike right after one of them lands where the window is narrow.
pub(crate) const WRITE_PATH: &[Mark] = &[Mark::Appended, Mark::Flushed, Mark::Acked, Mark::Rolled];

/// One broker, one topic of 1 to 4 partitions with tiny segments, two client hosts; acks=all, every record on disk
/// before it is acknowledged; no faults yet.
pub(crate) fn one_broker(draw: &mut Draw) -> Setup {
    let log = LogConfig {
        segment_bytes: *draw.pick(&[1 << 10, 4 << 10, 16 << 10, 1 << 20]),
        index_interval_bytes: *draw.pick(&[1, 256, 1024, 4096]),
        retention_ms: None,
        flush: FlushPolicy::Always,
        ..LogConfig::default()
    };
    let broker = BrokerConfig {
        retention_check_interval: Duration::from_millis(draw.between(100, 1000)),
        checkpoint_interval: Duration::from_millis(draw.between(100, 2000)),
        max_open_files: usize::try_from(draw.between(8, 64)).unwrap_or(8),
        auto_create_topics: false,
        groups: coordination(),
        ..BrokerConfig::default()
    };
    let load = Load {
        compression: *draw.aside("compression").pick(Compression::ALL),
        linger_ms: *draw.pick(&[0, 2, 5, 20]),
        value_bytes: *draw.pick(&[(40, 80), (40, 400), (400, 1500)]),
        rate: draw.between(40, 120),
        fetch_wait_ms: *draw.pick(&[20, 100, 250]),
        fetch_bytes: *draw.pick(&[1 << 10, 16 << 10, 1 << 20]),
        ..Load::default()
    };
    let partitions = i32::try_from(draw.between(1, 4)).unwrap_or(1);
    Setup {
        broker,
        topics: vec![TopicSpec { name: "orders".into(), partitions, grows: 0, flow: Flow::Input, log }],
        load,
        latency_ms: *draw.pick(&[(1, 2), (1, 5), (2, 20)]),
        least_strikes: 1,
        ..Setup::one_topic("orders", partitions)
    }
}

/// Three brokers, three replicas of each of 1 to 3 partitions, two of which must be in sync; else as [`one_broker`], with
/// links no slower than a cluster's timeouts allow.
pub(crate) fn three_brokers(draw: &mut Draw) -> Setup {
    let one = one_broker(draw);
    let partitions = i32::try_from(draw.between(1, 3)).unwrap_or(1);
    let cluster = Setup::three_brokers("orders", partitions);
    let broker = BrokerConfig {
        retention_check_interval: one.broker.retention_check_interval,
        checkpoint_interval: one.broker.checkpoint_interval,
        max_open_files: one.broker.max_open_files,
        ..cluster.broker
    };
    let mut topics = one.topics;
    topics[0].partitions = partitions;
    let latency_ms = *draw.pick(&[(1, 2), (1, 5), (2, 10)]);
    // Long enough for a failover, and for another after it.
    let times = Times { strikes_ms: 6000, ..Times::default() };
    // Small ones are taken several times in a run, so that logs are cut behind them and followers need them.
    let metadata_snapshot_bytes = *draw.pick(&[600, 2000, 20 << 20]);
    let broker = BrokerConfig { metadata_snapshot_bytes, ..broker };
    Setup { contract: cluster.contract, broker, topics, latency_ms, times, ..one }
}

/// One broker, 2 to 6 partitions and three client hosts, for scenarios of consumer groups.
pub(crate) fn one_for_groups(draw: &mut Draw) -> Setup {
    for_groups(one_broker(draw), draw)
}

/// Three brokers, 2 to 6 partitions and three client hosts, for scenarios of consumer groups.
pub(crate) fn three_for_groups(draw: &mut Draw) -> Setup {
    for_groups(three_brokers(draw), draw)
}

fn for_groups(mut setup: Setup, draw: &mut Draw) -> Setup {
    setup.topics[0].partitions = i32::try_from(draw.between(2, 6)).unwrap_or(2);
    setup.load.hosts = 3;
    if draw.aside("the brokers' assignor").chance(300) {
        setup.broker.groups.consumer_assignors.reverse();
    }
    setup
}

/// A consumer group of 2 to 4 members, by any of the members' assignors or the brokers' (KIP-848), that commits after each batch or now and then.
pub(crate) fn group(draw: &mut Draw) -> GroupLoad {
    use Assignor::{Brokers, CooperativeSticky, Range, RoundRobin, Sticky};
    let brokers = draw.aside("who shares out").chance(350);
    let group = GroupLoad {
        members: u32::try_from(draw.between(2, 4)).unwrap_or(2),
        // As many groups of either kind: eager and cooperative.
        assignor: *draw.pick(&[Range, RoundRobin, Sticky, CooperativeSticky, CooperativeSticky, CooperativeSticky]),
        commit_ms: *draw.pick(&[0, 50, 200, 500]),
        work_us: *draw.pick(&[(0, 200), (100, 1000), (500, 5000)]),
        ..GroupLoad::default()
    };
    if brokers { GroupLoad { assignor: Brokers, ..group } } else { group }
}

/// Puts an application that tries again over the first topic, with a retry topic and a dead-letter topic of its own.
pub(crate) fn tries_again(setup: &mut Setup, draw: &mut Draw, trouble: Trouble) {
    let input = setup.topics[0].clone();
    let own = |what: &str, partitions, flow| TopicSpec {
        name: format!("{}.{what}", input.name),
        partitions,
        flow,
        ..input.clone()
    };
    let lanes = i32::try_from(draw.between(1, 3)).unwrap_or(1);
    setup.topics.extend([own("retry", lanes, Flow::Between), own("dead", 1, Flow::End)]);
    // Whoever handles a poll's records one after another, some of them slowly, must not be thrown out for it.
    setup.load.fetch_bytes = 4 << 10;
    setup.load.linger_ms = 0;
    let group = GroupLoad { max_poll_ms: 6000, commit_ms: *draw.pick(&[100, 300]), ..group(draw) };
    setup.apps = vec![retry::app("retry and dead letters", group, trouble)];
}

/// Lets producers have up to five requests open, for half of the seeds; half of those are idempotent. Without
/// idempotence a retry may then overtake, so order is no longer promised.
pub(crate) fn pipelined(setup: &mut Setup, draw: &mut Draw) {
    let drawn = draw.below(1000);
    if drawn < 500 {
        setup.contract.max_in_flight = 5;
        setup.contract.idempotent = drawn < 250;
    }
}

/// Has a cleaner rewrite the first topic's small segments, often, while three producers write and somebody reads it anew.
pub(crate) fn compacted(setup: &mut Setup, draw: &mut Draw) {
    setup.contract.compaction = true;
    // A second copy of a record would be the one that stays.
    setup.contract.idempotent = true;
    setup.contract.max_in_flight = 5;
    setup.broker.cleaner_backoff = Duration::from_millis(draw.between(20, 300));
    setup.broker.cleaner_dedupe_buffer = *draw.pick(&[200, 600, 1 << 20]);
    let log = &mut setup.topics[0].log;
    log.cleanup = CleanupPolicy::Compact;
    log.segment_bytes = *draw.pick(&[600, 1200, 2500]);
    log.min_cleanable_dirty_millionths = *draw.pick(&[0, 100_000, 500_000]);
    setup.load.keyless_per_mille = 0;
    setup.load.producers = 3;
    setup.load.rate = 200;
    setup.load.replayers = 1;
}

/// Has producers ask for the leader's acknowledgement alone, or for none, for some seeds; not if they are idempotent.
pub(crate) fn less_acks(setup: &mut Setup, draw: &mut Draw) {
    if !setup.contract.idempotent {
        setup.contract.acks = match draw.aside("acks").below(1000) {
            0..150 => 0,
            150..350 => 1,
            _ => -1,
        };
    }
}

/// As [`less_acks`], but for none: nobody waits for what is sent without an acknowledgement, so where a cut link, or a disk
/// that is slow or full, holds it up it comes in while the final read goes on, which has then not read all.
pub(crate) fn one_ack(setup: &mut Setup, draw: &mut Draw) {
    less_acks(setup, draw);
    if setup.contract.acks == 0 {
        setup.contract.acks = 1;
    }
}

/// Gives up early, for most seeds: a record's time is over while its answer is still on the way, so that the client must
/// say what it does not know.
pub(crate) fn impatient(setup: &mut Setup, draw: &mut Draw) {
    setup.load.request_timeout_ms = *draw.pick(&[200, 500, 1500]);
    setup.load.delivery_timeout_ms = setup.load.request_timeout_ms + *draw.pick(&[50, 300, 4500]);
}

/// A fault of a broker that strikes `count` times, at moments or right after events of the write path.
pub(crate) fn on_broker(fault: &'static str, count: (u64, u64), duration_ms: (u64, u64)) -> Menace {
    Menace { fault, target: Target::Broker, count, duration_ms, force: (0, 0), after: WRITE_PATH }
}

/// The API keys that faults of single requests are about.
pub(crate) const FETCH: u64 = 1;
/// JoinGroup, by which members enter a group of the older protocol.
pub(crate) const JOIN_GROUP: u64 = 11;
/// ConsumerGroupHeartbeat, by which they enter one of the newer (KIP-848).
pub(crate) const GROUP_HEARTBEAT: u64 = 68;
/// Vote, by which the metadata quorum elects its leader.
pub(crate) const VOTE: u64 = 52;
/// AlterPartition, by which a leader has its in-sync set changed.
pub(crate) const ALTER_PARTITION: u64 = 56;

/// An API as the force of a fault.
pub(crate) fn api(key: u64) -> (u64, u64) {
    (key, key)
}

/// The same, of others.
pub(crate) fn at(target: Target, menace: Menace) -> Menace {
    Menace { target, ..menace }
}

/// The same, on the heels of other events.
pub(crate) fn after(after: &'static [Mark], menace: Menace) -> Menace {
    Menace { after, ..menace }
}

/// Has every replica sync as `flush` says.
pub(crate) fn flushes(setup: &mut Setup, flush: FlushPolicy) {
    setup.contract.flush = flush;
    for topic in &mut setup.topics {
        topic.log.flush = flush;
    }
}

/// A fault of the link between a client and the broker.
pub(crate) fn on_link(fault: &'static str, count: (u64, u64), duration_ms: (u64, u64)) -> Menace {
    Menace { fault, target: Target::ClientLink, count, duration_ms, force: (0, 0), after: WRITE_PATH }
}

/// A fault of an application's host.
pub(crate) fn on_app(fault: &'static str, count: (u64, u64), duration_ms: (u64, u64)) -> Menace {
    Menace { fault, target: Target::App, count, duration_ms, force: (0, 0), after: &[] }
}

/// A fault of a client host.
pub(crate) fn on_client(fault: &'static str, count: (u64, u64), duration_ms: (u64, u64)) -> Menace {
    Menace { fault, target: Target::Client, count, duration_ms, force: (0, 0), after: &[] }
}
