//! What a run of the load generator does, as data: it is part of every result. Arrivals and keys are drawn anew in each run.

use std::time::Duration;

use broker::config::FlushPolicy;
use broker::record::Compression;

use crate::arrivals::Arrivals;
use crate::events::{self, Event};

/// Bytes of a record's value, at most.
const MOST: usize = 16 << 20;

/// How hard the broker is driven.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// Open loop: records come at a rate, all producers together, whatever the broker does. Latency counts from when a record
    /// was meant to be sent.
    Open {
        /// Records a second.
        rate: f64,
        /// How they come.
        arrivals: Arrivals,
    },
    /// Closed loop: each producer has so many records unacknowledged at once, at most, and sends the next when one is.
    Closed {
        /// Records of one producer.
        in_flight: usize,
    },
}

impl Drive {
    /// An open loop at so many records a second; they come as they do, or evenly where nothing is said of it.
    pub fn at(self, rate: f64) -> Self {
        let arrivals = match self {
            Drive::Open { arrivals, .. } => arrivals,
            Drive::Closed { .. } => Arrivals::Fixed,
        };
        Drive::Open { rate, arrivals }
    }
}

/// Which keys records have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// None: the producer fills a batch of one partition, then goes to another.
    None,
    /// One of so many, each as often.
    Even(u64),
    /// One of so many by Zipf's law with exponent 1: a few users make most of the traffic.
    Zipf(u64),
}

/// What is read, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Nothing, until all is sent; then everything is read once, to be checked.
    Afterwards,
    /// What is new, as it comes, by so many groups.
    Tail {
        /// Groups, each of which reads everything.
        groups: usize,
    },
    /// Everything that was sent before the clock starts; nothing is sent meanwhile.
    CatchUp {
        /// Megabytes (10^6 bytes) of values that are there.
        megabytes: u64,
        /// Whether the page cache is emptied of them first, so that they come from the device.
        cold: bool,
    },
    /// What is new, by the members of one group, who share partitions out among themselves; what one of them had read and not
    /// committed when it lost a partition is read again by the next.
    Group {
        /// How they do.
        protocol: Protocol,
    },
    /// What was written while nobody read, by so many groups that come all at once; producers go on at their rate meanwhile. The
    /// clock runs for the measured time without them, then until they have caught up.
    Backlog {
        /// Groups, each of which reads everything.
        groups: usize,
        /// Megabytes (10^6 bytes) of values that are written first, as fast as it goes.
        megabytes: u64,
        /// Percent of what is there when they come that is to be worked off.
        drain_percent: u8,
    },
}

/// By which protocol members of a group share out partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The classic one: all is given up before it is shared out (`RangeAssignor`).
    Eager,
    /// The classic one: only what moves is given up (KIP-429, `CooperativeStickyAssignor`).
    Cooperative,
    /// The broker shares out (KIP-848, `group.protocol=consumer`).
    Consumer,
}

/// One run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// Partitions of the topic.
    pub partitions: i32,
    /// Its replicas.
    pub replication: i16,
    /// Its `min.insync.replicas`.
    pub min_insync: i16,
    /// Bytes of a record's value, at least [`crate::stamp::LEAST`].
    pub record_bytes: usize,
    /// How well values compress: percent of each that is random; the rest repeats.
    pub random_percent: u8,
    /// Their keys.
    pub keys: Keys,
    /// `compression.type`.
    pub compression: Codec,
    /// `acks`: 0, 1 or -1 (all).
    pub acks: i16,
    /// `enable.idempotence`.
    pub idempotent: bool,
    /// Whether the topic is compacted (`cleanup.policy`); then what was overwritten is not looked for.
    pub compacted: bool,
    /// Megabytes (10^6 bytes) that each partition keeps (`retention.bytes`), in segments of a quarter of that; what was deleted is
    /// not looked for. All, if `None`.
    pub retain_megabytes: Option<u64>,
    /// When the broker makes records durable (`flush.messages`, `flush.ms`): of the topic, where the broker is asked to make it.
    pub flush: FlushPolicy,
    /// Producers.
    pub producers: usize,
    /// `batch.size`.
    pub batch_bytes: usize,
    /// `linger.ms`, in microseconds.
    pub linger_us: u64,
    /// `max.in.flight.requests.per.connection`.
    pub requests_in_flight: usize,
    /// How hard the broker is driven.
    pub drive: Drive,
    /// What is read.
    pub reading: Reading,
    /// Consumers of each group, which share its partitions.
    pub consumers: usize,
    /// How long the clock runs, in milliseconds.
    pub measure_ms: u64,
    /// What happens meanwhile, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// How long it may take until the run is steady; then it is measured all the same, and flagged.
    pub warm_up_ms: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            partitions: 1,
            replication: 1,
            min_insync: 1,
            record_bytes: 1024,
            random_percent: 100,
            keys: Keys::None,
            compression: Codec(Compression::None),
            acks: -1,
            idempotent: false,
            compacted: false,
            retain_megabytes: None,
            flush: FlushPolicy::Never,
            producers: 1,
            batch_bytes: 256 << 10,
            linger_us: 1000,
            requests_in_flight: 5,
            drive: Drive::Closed { in_flight: 8192 },
            reading: Reading::Afterwards,
            consumers: 1,
            measure_ms: 5000,
            events: Vec::new(),
            warm_up_ms: 10_000,
        }
    }
}

impl Spec {
    /// Why it cannot be run, if so.
    pub fn refused(&self) -> Option<String> {
        let least = crate::stamp::LEAST;
        let checks = [
            (
                self.record_bytes < least,
                format!("record_bytes must be at least {least}: a record says when it was sent"),
            ),
            (self.record_bytes > MOST, format!("record_bytes is at most {MOST}")),
            (self.retain_megabytes.is_some_and(|mb| mb < 4), "retain_megabytes must be at least 4".into()),
            (
                self.retain_megabytes.is_some() && self.partitions > 1,
                "retention is measured of one partition: each deletes up to another record".into(),
            ),
            (self.partitions < 1, "partitions must be at least 1".into()),
            (self.random_percent > 100, "random_percent is at most 100".into()),
            (!(1..=64).contains(&self.producers), "producers must be 1 to 64".into()),
            (!(1..=64).contains(&self.consumers), "consumers must be 1 to 64".into()),
            (self.measure_ms < 50, "measure_ms must be at least 50".into()),
            (!matches!(self.acks, -1..=1), "acks is -1 (all), 0 or 1".into()),
            (self.idempotent && self.acks != -1, "an idempotent producer needs acks=-1 (all)".into()),
            (!(1..=5).contains(&self.requests_in_flight), "requests_in_flight must be 1 to 5".into()),
            (matches!(self.drive, Drive::Closed { in_flight: 0 }), "in_flight must be at least 1".into()),
            (
                matches!(self.drive, Drive::Open { rate, .. } if !(1.0..=1e8).contains(&rate)),
                "the rate must be 1 to 100,000,000 records a second".into(),
            ),
            (
                matches!(self.drive, Drive::Open { arrivals: Arrivals::Bursts { factor, length_ms, every_ms }, .. }
                    if factor == 0 || length_ms == 0 || u64::from(factor) * length_ms > every_ms),
                "bursts of that factor and length hold more than their period's records".into(),
            ),
            (matches!(self.keys, Keys::Even(0) | Keys::Zipf(0)), "there must be at least 1 key".into()),
            (!(1..=64).contains(&self.groups()), "groups must be 1 to 64".into()),
            (
                matches!((self.reading, self.drive), (Reading::Backlog { .. }, Drive::Closed { .. })),
                "a backlog is worked off while producers go on at a rate: it needs an open loop".into(),
            ),
            (
                matches!(self.reading, Reading::Backlog { drain_percent, .. } if !(1..=100).contains(&drain_percent)),
                "drain_percent must be 1 to 100".into(),
            ),
        ];
        let wrong = checks.into_iter().find(|(wrong, _)| *wrong).map(|(_, why)| why);
        wrong.or_else(|| events::refused(self).map(Into::into))
    }

    /// Groups that read while the clock runs.
    pub fn groups(&self) -> usize {
        match self.reading {
            Reading::Afterwards | Reading::CatchUp { .. } | Reading::Group { .. } => 1,
            Reading::Tail { groups } | Reading::Backlog { groups, .. } => groups,
        }
    }

    /// Whether consumers read what comes while the clock runs.
    pub fn reads_along(&self) -> bool {
        self.is_timed_to_the_end() || matches!(self.reading, Reading::Backlog { .. })
    }

    /// Whether it is timed when each record is read.
    pub fn is_timed_to_the_end(&self) -> bool {
        matches!(self.reading, Reading::Tail { .. } | Reading::Group { .. })
    }

    /// How many records have so many megabytes of values.
    pub fn records(&self, megabytes: u64) -> u64 {
        (megabytes * 1_000_000).div_ceil(self.record_bytes.max(1) as u64)
    }

    /// How long the clock runs.
    pub fn measure(&self) -> Duration {
        Duration::from_millis(self.measure_ms)
    }
}

/// `compression.type`, under Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec(pub Compression);

impl Codec {
    const NAMES: [(&'static str, Compression); 5] = [
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];

    /// All, batches as they are first.
    pub fn all() -> [Self; 5] {
        Self::NAMES.map(|(_, codec)| Self(codec))
    }

    /// The one of that name, or what there are.
    pub fn named(said: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == said);
        found.map(|(_, codec)| Codec(*codec)).ok_or_else(|| {
            let valid = Self::NAMES.map(|(name, _)| name).join(", ");
            format!("no compression '{said}': {valid}")
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, codec)| *codec == self.0).map_or("none", |(name, _)| name)
    }
}

impl serde::Serialize for Codec {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Codec {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::named(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_the_way_through_json() {
        let spec = Spec {
            compression: Codec(Compression::Zstd),
            drive: Drive::Open { rate: 5.5, arrivals: Arrivals::Bursts { factor: 2, length_ms: 5, every_ms: 10 } },
            reading: Reading::CatchUp { megabytes: 3, cold: true },
            flush: FlushPolicy::Always,
            ..Spec::default()
        };
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
        assert!(serde_json::from_str::<Spec>(r#"{"compression": "brotli"}"#).unwrap_err().to_string().contains("lz4"));
        assert!(serde_json::from_str::<Spec>(r#"{"partitons": 4}"#).is_err(), "a word that it does not know");
    }

    #[test]
    fn what_cannot_be_run_says_why() {
        assert_eq!(Spec::default().refused(), None);
        let bad = [
            Spec { record_bytes: 8, ..Spec::default() },
            Spec { partitions: 0, ..Spec::default() },
            Spec { drive: Drive::Closed { in_flight: 0 }, ..Spec::default() },
            Spec { drive: Drive::Open { rate: f64::NAN, arrivals: Arrivals::Fixed }, ..Spec::default() },
            Spec { idempotent: true, acks: 1, ..Spec::default() },
            Spec { keys: Keys::Zipf(0), ..Spec::default() },
            Spec { reading: Reading::Tail { groups: 0 }, ..Spec::default() },
            Spec { reading: Reading::Backlog { groups: 1, megabytes: 5, drain_percent: 100 }, ..Spec::default() },
        ];
        for spec in bad {
            assert!(spec.refused().is_some(), "{spec:?}");
        }
    }
}
