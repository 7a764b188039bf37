//! What a scenario is: a name and a function from draws to a setup. The setup is plain data; the runner does the rest.

use std::time::Duration;

use broker::config::{BrokerConfig, LogConfig};
use broker::group::{OFFSETS_TOPIC, partition_of};
use broker::ids::TopicPartition;

use crate::app::App;
use crate::contract::Contract;
use crate::group_load::{GroupLoad, coordination};
use crate::history::TpId;
use crate::plan::{Mark, Target};
use crate::recipe::Step;
use crate::seed::Draw;

/// One row of the catalogue.
pub struct Scenario {
    /// Its name on the command line, snake_case.
    pub name: &'static str,
    /// One line: what is done to whom, and what must hold.
    pub about: &'static str,
    /// Builds the setup. All that varies between seeds (segment sizes, linger, rates) is drawn here.
    pub setup: fn(&mut Draw) -> Setup,
}

/// Everything a run is made of, but its seed.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What is promised and what may be done.
    pub contract: Contract,
    /// Every broker's settings; listening address, node id, cluster id, rack and voters are set by the runner.
    pub broker: BrokerConfig,
    /// Racks that the brokers are spread over, in turn; 0: they have none.
    pub racks: u32,
    /// How many of the brokers vote in the metadata quorum, the first ones; 0: all.
    pub voters: u32,
    /// How many nodes besides the brokers are controllers alone: these vote then, and no broker does. 0: brokers vote.
    pub controllers: u32,
    /// Whether a second process of the last broker can be started, which must have no vote: a quorum bears no voter twice.
    /// What that one has, nobody states: invariants of copies are not judged.
    pub twin: bool,
    /// The topics, made in warm-up.
    pub topics: Vec<TopicSpec>,
    /// Who works.
    pub load: Load,
    /// The applications under test, each on a host of its own, numbered from 0.
    pub apps: Vec<App>,
    /// Which faults may strike, and how.
    pub menu: Vec<Menace>,
    /// Strikes in a fixed order, each waiting for the state that the next one needs.
    pub recipe: Vec<Step>,
    /// How long the phases last.
    pub times: Times,
    /// One-way latency of every link, lowest and highest, in milliseconds.
    pub latency_ms: (u64, u64),
    /// The seed cannot work without these many strikes having struck: fewer make the run vacuous.
    pub least_strikes: usize,
    /// The seed cannot work unless a node has fetched so many snapshots of the metadata: fewer make the run vacuous.
    pub least_snapshots: u64,
}

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many more it may be given during the run.
    pub grows: i32,
    /// Who writes and who reads it. Those for applications come behind all others.
    pub flow: Flow,
    /// Its log settings.
    pub log: LogConfig,
}

/// Who writes a topic, and whether groups read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The load's producers write it; groups read it.
    Input,
    /// Applications write it, and groups read it.
    Between,
    /// Applications write it, and no group reads it.
    End,
}

/// The clients and what they do.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Client hosts; producers and consumers are spread over them.
    pub hosts: u32,
    /// Producers in the run.
    pub producers: u32,
    /// Records a second over all producers, in open loop: a late answer does not slow the sender down.
    pub rate: u64,
    /// A record's value, bytes, lowest and highest.
    pub value_bytes: (u64, u64),
    /// When each producer sends so many times as much, in milliseconds since it began, from and to; (0, 0): never.
    #[serde(skip_serializing_if = "is_default")]
    pub spike_ms: (u64, u64),
    /// How many times as much.
    #[serde(skip_serializing_if = "is_default")]
    pub spike_factor: u32,
    /// By how many records the first group may be behind at most: producers look at its lag, and wait while it is too much;
    /// 0: they do not look.
    #[serde(skip_serializing_if = "is_default")]
    pub lag_bound: u64,
    /// Records without a key, per mille; the others draw one of 64 keys.
    pub keyless_per_mille: u64,
    /// By how much the keys differ in frequency: the exponent of Zipf's law, in hundredths; 0: not at all.
    #[serde(skip_serializing_if = "is_default")]
    pub zipf_percent: u64,
    /// Over how many keys each is spread by a salt; 0 or 1: it is left whole.
    #[serde(skip_serializing_if = "is_default")]
    pub salts: u64,
    /// Producers, per mille, that name each record's partition themselves, which a custom partitioner would do; those of
    /// the others are chosen by the client: by the key, or sticky. Of a topic that may grow they are always named.
    pub naming_per_mille: u64,
    /// `linger.ms` of the producers.
    pub linger_ms: u64,
    /// `batch.size` of the producers, bytes.
    pub batch_bytes: usize,
    /// `compression.type` of the producers.
    pub compression: broker::record::Compression,
    /// Consumers that follow the log from its start, each reading every partition.
    pub tailers: u32,
    /// Consumers that read everything again and again: from offset 0, after a seek, from a time on.
    pub replayers: u32,
    /// Clients that ask ListOffsets: earliest, latest, by timestamp, max timestamp.
    pub seekers: u32,
    /// Clients that ask DeleteRecords now and then.
    pub deleters: u32,
    /// Consumer groups, numbered from 0; each reads every topic.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupLoad>,
    /// Whether consumers read from the nearest replica (`client.rack`, KIP-392); they are spread over the racks.
    pub near: bool,
    /// Fetch's `max.wait.ms` and `min.bytes`.
    pub fetch_wait_ms: u64,
    /// `max.partition.fetch.bytes`.
    pub fetch_bytes: i32,
    /// `request.timeout.ms` of every client.
    pub request_timeout_ms: u64,
    /// `delivery.timeout.ms` of the producers.
    pub delivery_timeout_ms: u64,
}

/// Keeps what a run has nothing of out of its replay line.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A fault that may strike.
#[derive(Clone, Debug)]
pub struct Menace {
    /// A row of the fault table.
    pub fault: &'static str,
    /// Whom.
    pub target: Target,
    /// How many times, lowest and highest.
    pub count: (u64, u64),
    /// Until cured, in milliseconds, shortest and longest.
    pub duration_ms: (u64, u64),
    /// How hard, in the fault's unit, least and most.
    pub force: (u64, u64),
    /// Besides moments of time: events after which it may strike.
    pub after: &'static [Mark],
}

/// How long phases last, in milliseconds of world time.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Load without faults.
    pub steady_ms: u64,
    /// Load with faults.
    pub strikes_ms: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            hosts: 2,
            producers: 2,
            rate: 60,
            value_bytes: (40, 400),
            spike_ms: (0, 0),
            spike_factor: 0,
            lag_bound: 0,
            zipf_percent: 0,
            salts: 0,
            keyless_per_mille: 300,
            naming_per_mille: 500,
            linger_ms: 5,
            batch_bytes: 16 << 10,
            compression: broker::record::Compression::None,
            tailers: 1,
            replayers: 0,
            seekers: 0,
            deleters: 0,
            groups: Vec::new(),
            near: false,
            fetch_wait_ms: 250,
            fetch_bytes: 256 << 10,
            request_timeout_ms: 1500,
            delivery_timeout_ms: 6000,
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self { steady_ms: 500, strikes_ms: 4000 }
    }
}

impl Setup {
    /// The partitions of all topics, in the order that numbers them in the history; those that a topic may grow by too, and
    /// behind them, where there are groups, those that their coordinators write to.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let of = |(name, count): (&str, i32)| (0..count).map(|p| TopicPartition::new(name, p)).collect::<Vec<_>>();
        let topics = self.topics.iter().map(|t| (t.name.as_str(), t.partitions + t.grows));
        let own = (OFFSETS_TOPIC, self.broker.groups.offsets_topic_partitions);
        topics.chain((self.groups() > 0).then_some(own)).flat_map(of).collect()
    }

    /// Consumer groups: those of the load, and behind them one of each application.
    pub fn groups(&self) -> u32 {
        u32::try_from(self.load.groups.len() + self.apps.len()).unwrap_or(u32::MAX)
    }

    /// The number of an application's group.
    pub fn group_of(&self, app: u32) -> u32 {
        u32::try_from(self.load.groups.len()).unwrap_or(u32::MAX).saturating_add(app)
    }

    /// How many topics the load's producers write.
    pub fn inputs(&self) -> usize {
        self.topics.iter().take_while(|topic| topic.flow == Flow::Input).count()
    }

    /// The numbers in the history of the partitions of topics that flow so.
    pub fn that_flow(&self, so: impl Fn(Flow) -> bool) -> Vec<TpId> {
        let flows = self.topics.iter().flat_map(|t| (0..t.partitions + t.grows).map(|_| t.flow));
        (0..).map(TpId).zip(flows).filter(|(_, flow)| so(*flow)).map(|(tp, _)| tp).collect()
    }

    /// The number in the history of the partition whose leader coordinates group number `group`.
    pub fn coordinated_by(&self, group: u32) -> u32 {
        let own = partition_of(&GroupLoad::name(group), self.broker.groups.offsets_topic_partitions);
        let before: i32 = self.topics.iter().map(|t| t.partitions + t.grows).sum();
        u32::try_from(before + own).unwrap_or(u32::MAX)
    }

    /// The plainest setup: one broker, one topic, acks=all, every record on disk before it is acknowledged, two client
    /// hosts, no faults.
    pub fn one_topic(name: &str, partitions: i32) -> Setup {
        let contract = Contract::default();
        let log = LogConfig { retention_ms: None, flush: contract.flush, ..LogConfig::default() };
        Setup {
            contract,
            broker: BrokerConfig { auto_create_topics: false, groups: coordination(), ..BrokerConfig::default() },
            racks: 0,
            voters: 0,
            controllers: 0,
            twin: false,
            topics: vec![TopicSpec { name: name.into(), partitions, grows: 0, flow: Flow::Input, log }],
            load: Load::default(),
            apps: Vec::new(),
            menu: Vec::new(),
            recipe: Vec::new(),
            times: Times::default(),
            latency_ms: (1, 5),
            least_strikes: 0,
            least_snapshots: 0,
        }
    }

    /// As [`Setup::one_topic`], on a cluster of three: three replicas of each partition, of which two must be in sync,
    /// and timeouts short enough for a run of a few seconds to see several elections.
    pub fn three_brokers(name: &str, partitions: i32) -> Setup {
        let mut setup = Setup::one_topic(name, partitions);
        setup.contract.brokers = 3;
        setup.contract.replication = 3;
        setup.contract.min_insync = 2;
        let ms = Duration::from_millis;
        setup.broker = BrokerConfig {
            quorum_election_timeout: ms(200),
            quorum_fetch_timeout: ms(400),
            broker_heartbeat_interval: ms(100),
            broker_session_timeout: ms(600),
            replica_lag_time_max: ms(500),
            replica_fetch_wait_max: ms(100),
            replica_fetch_backoff: ms(50),
            ..setup.broker
        };
        setup
    }

    /// The faults that may strike, by name.
    pub fn faults(&self) -> impl Iterator<Item = &'static str> {
        self.recipe.iter().map(Step::fault).chain(self.menu.iter().map(|menace| menace.fault))
    }

    /// What was drawn for this seed, for the reader of a report.
    pub fn knobs(&self) -> Vec<(String, String)> {
        let mut rows = vec![
            ("acks".into(), self.contract.acks.to_string()),
            ("flush".into(), format!("{:?}", self.contract.flush).to_lowercase()),
            ("max.in.flight".into(), self.contract.max_in_flight.to_string()),
            ("records/s".into(), self.load.rate.to_string()),
            ("value bytes".into(), format!("{}..{}", self.load.value_bytes.0, self.load.value_bytes.1)),
            ("linger.ms".into(), self.load.linger_ms.to_string()),
            ("compression.type".into(), format!("{:?}", self.load.compression).to_lowercase()),
            ("latency ms".into(), format!("{}..{}", self.latency_ms.0, self.latency_ms.1)),
        ];
        if self.contract.idempotent {
            rows.push(("enable.idempotence".into(), "true".into()));
        }
        if self.contract.brokers > 1 {
            let contract = &self.contract;
            rows.push(("brokers".into(), contract.brokers.to_string()));
            if self.controllers > 0 {
                rows.push(("controllers".into(), self.controllers.to_string()));
            }
            rows.push(("replication".into(), contract.replication.to_string()));
            rows.push(("min.insync.replicas".into(), contract.min_insync.to_string()));
            rows.push(("metadata snapshot bytes".into(), self.broker.metadata_snapshot_bytes.to_string()));
        }
        if self.load.lag_bound > 0 {
            rows.push(("lag at most".into(), self.load.lag_bound.to_string()));
        }
        for (n, group) in (0..).zip(&self.load.groups) {
            let kind = if group.instances > 0 { "static " } else { "" };
            let of = format!("{} {kind}members, {}", group.members, group.assignor.name());
            rows.push((GroupLoad::name(n), of));
        }
        for (n, app) in (0..).zip(&self.apps) {
            let of = format!("{}, {} members, {}", app.name, app.group.members, app.group.assignor.name());
            rows.push((GroupLoad::name(self.group_of(n)), of));
        }
        if let Some(t) = self.topics.first() {
            rows.push(("segment.bytes".into(), t.log.segment_bytes.to_string()));
            rows.push(("index.interval.bytes".into(), t.log.index_interval_bytes.to_string()));
        }
        rows
    }
}
