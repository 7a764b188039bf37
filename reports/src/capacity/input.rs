//! THE table of inputs: what a plan is made from. Flags and the keys of a TOML file are these names.

use std::marker::PhantomData;

use super::unit::{
    Bytes, BytesPerRecord, BytesPerSecond, CoreSecondsPerByte, CoreSecondsPerRecord, Cores, Count, Kind, Records,
    RecordsPerSecond, Seconds, Share, Times, Unit,
};

/// Which way an input makes more brokers, partitions or consumers necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// The more of it, the more is needed.
    More,
    /// The less of it, the more is needed.
    Less,
}

/// An input without its type: what tables and parsers need.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name: the flag, and the key in a file.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// A value as one writes it.
    pub example: &'static str,
    /// Its unit.
    pub kind: Kind,
    /// What is accepted, lowest and highest.
    pub within: (f64, f64),
    /// What is assumed unless it is stated, and why.
    pub default: Option<(f64, &'static str)>,
    /// Which way it hurts.
    pub worse: Worse,
    /// Decided, not estimated: one whole number, and no range.
    pub decided: bool,
}

/// An input, its unit in its type.
#[derive(Clone, Copy, Debug)]
pub struct Input<U> {
    /// The rest of it.
    pub row: Row,
    unit: PhantomData<U>,
}

impl<U: Unit> Input<U> {
    const fn new(name: &'static str, about: &'static str, example: &'static str, least: f64, most: f64) -> Self {
        let within = (least, most);
        let row =
            Row { name, about, example, kind: U::KIND, within, default: None, worse: Worse::More, decided: false };
        Self { row, unit: PhantomData }
    }

    const fn or(mut self, value: f64, why: &'static str) -> Self {
        self.row.default = Some((value, why));
        self
    }

    const fn the_less_the_worse(mut self) -> Self {
        self.row.worse = Worse::Less;
        self
    }

    const fn decided(mut self) -> Self {
        self.row.decided = true;
        self
    }
}

/// People a day, of whom each makes [`EVENTS`] records; or else [`RATE`].
pub const USERS: Input<Count> = Input::new("users", "People who use it on a day", "500M", 1.0, 1e12);
/// Records that each of [`USERS`] makes in a day.
pub const EVENTS: Input<Records> = Input::new("events", "Records that each of them makes in a day", "20", 1e-6, 1e9);
/// Records a second, on average.
pub const RATE: Input<RecordsPerSecond> =
    Input::new("rate", "Records a second on average, instead of users and events", "100k/s", 1e-3, 1e12);
/// A record, before compression.
pub const SIZE: Input<BytesPerRecord> =
    Input::new("size", "Bytes of a record before compression, key and headers included", "500B", 1.0, 1e9)
        .or(1000.0, "a guess");
/// What the peak is of the average.
pub const PEAK: Input<Times> =
    Input::new("peak", "Records a second at the peak, in averages", "10x", 1.0, 1e4).or(3.0, "a guess");
/// How long it lasts.
pub const PEAK_LASTS: Input<Seconds> =
    Input::new("peak-lasts", "For how long the peak lasts", "1h", 1.0, 86_400.0 * 30.0).or(3600.0, "a guess");
/// Measured compression.
pub const COMPRESSION: Input<Times> = Input::new(
    "compression",
    "Bytes before compression over bytes after it, as measured on your data",
    "2.5x",
    0.5,
    1e3,
)
.or(1.0, "none; on JSON here lz4 2.5×, zstd-1 4.4×; `bench codecs` measures yours")
.the_less_the_worse();
/// How long records are kept.
pub const RETENTION: Input<Seconds> =
    Input::new("retention", "How long records are kept", "7d", 1.0, 86_400.0 * 36_525.0)
        .or(604_800.0, "Kafka's log.retention.hours");
/// Copies of each partition.
pub const REPLICATION: Input<Count> =
    Input::new("replication", "Replicas of each partition", "3", 1.0, 100.0).or(3.0, "usual").decided();
/// Groups that each read everything.
pub const FAN_OUT: Input<Count> = Input::new(
    "fan-out",
    "How often each record is read: consumer groups, and whatever copies it elsewhere",
    "3",
    1e-3,
    1e4,
)
.or(1.0, "one group");
/// Reads that the page cache does not serve.
pub const COLD_READS: Input<Share> =
    Input::new("cold-reads", "Of what consumers read, how much comes from disk and not from memory", "10%", 0.0, 1.0)
        .or(0.0, "consumers keep up");

/// How full disks may be.
pub const FILL: Input<Share> =
    Input::new("fill", "How full a disk may be: the rest is for indexes, open segments, moves", "70%", 0.01, 1.0)
        .or(0.7, "0.5 to 0.7 are usual")
        .the_less_the_worse();
/// How busy all else may be.
pub const UTILISATION: Input<Share> =
    Input::new("utilisation", "How busy disk, network and processors may be at the peak", "60%", 0.01, 1.0)
        .or(0.6, "as in Confluent's calculator")
        .the_less_the_worse();
/// Brokers that may be gone at the peak.
pub const LOSE_BROKERS: Input<Count> =
    Input::new("lose-brokers", "Brokers that may be gone, and the rest carries all of it", "1", 0.0, 99.0)
        .or(1.0, "one fails, or is restarted")
        .decided();
/// Racks that brokers are spread over.
pub const RACKS: Input<Count> =
    Input::new("racks", "Racks, or zones, that brokers are spread over evenly", "3", 1.0, 1e3)
        .or(3.0, "three zones")
        .the_less_the_worse()
        .decided();
/// Racks that may be gone.
pub const LOSE_RACKS: Input<Count> =
    Input::new("lose-racks", "Whether a whole rack may be gone, and the rest carries all of it: 0 or 1", "1", 0.0, 1.0)
        .or(0.0, "no")
        .decided();

/// A broker's disks.
pub const DISK: Input<Bytes> =
    Input::new("disk", "What the disks of a broker hold", "10TB", 1e9, 1e17).or(10e12, "a guess").the_less_the_worse();
/// What they write and read.
pub const DISK_RATE: Input<BytesPerSecond> =
    Input::new("disk-rate", "What the disks of a broker write and read in a second, together", "500MB/s", 1e5, 1e12)
        .or(5e8, "a guess; `bench log` measures it")
        .the_less_the_worse();
/// A broker's network.
pub const NETWORK: Input<BytesPerSecond> =
    Input::new("network", "What a broker's network carries in a second, each way", "10Gbit/s", 1e5, 1e12)
        .or(1.25e9, "10 Gbit/s")
        .the_less_the_worse();
/// A broker's processor.
pub const CORES: Input<Cores> =
    Input::new("cores", "Processor cores of a broker", "16", 0.1, 1e4).or(16.0, "a guess").the_less_the_worse();
/// What a broker takes in, whatever limits it.
pub const BROKER_RATE: Input<BytesPerSecond> = Input::new(
    "broker-rate",
    "What one broker takes in from producers and other brokers in a second; `bench load` measures it",
    "300MB/s",
    1e3,
    1e12,
)
.the_less_the_worse();
/// What bytes cost.
pub const CPU_PER_GB: Input<CoreSecondsPerByte> = Input::new(
    "cpu-per-gb",
    "Core-seconds for each GB that comes in or goes out, replication included",
    "10",
    1e-12,
    1e-5,
)
.or(1e-8, "AKalculator says 48, a hot path on loopback 0.5; `bench load` and `bench cluster` measure it");
/// What records cost.
pub const CPU_PER_MILLION: Input<CoreSecondsPerRecord> = Input::new(
    "cpu-per-million",
    "Core-seconds for each million records produced, whatever their size",
    "0.5",
    0.0,
    1e-2,
)
.or(5e-7, "2.1 million/s of 100 B on one core here (Iggy)");
/// What the kernel may cache with.
pub const CACHE: Input<Bytes> =
    Input::new("cache", "Memory of a broker that is left for the page cache", "32GB", 1e7, 1e14)
        .or(32e9, "half of 64 GB")
        .the_less_the_worse();
/// Replicas that a broker can have.
pub const REPLICAS_PER_BROKER: Input<Count> =
    Input::new("replicas-per-broker", "Replicas of partitions that a broker can have", "4000", 1.0, 1e7)
        .or(4000.0, "MSK's cap for brokers of 16 cores")
        .the_less_the_worse();

/// What a partition takes.
pub const PARTITION_RATE: Input<RecordsPerSecond> =
    Input::new("partition-rate", "Records a second that one partition takes from producers", "10k/s", 1e-3, 1e9)
        .or(10_000.0, "a guess")
        .the_less_the_worse();
/// What a consumer handles.
pub const CONSUMER_RATE: Input<RecordsPerSecond> =
    Input::new("consumer-rate", "Records a second that one consumer handles", "5k/s", 1e-3, 1e9)
        .or(10_000.0, "a guess: measure your handler")
        .the_less_the_worse();
/// Room for growth.
pub const HEADROOM: Input<Times> = Input::new(
    "headroom",
    "So many times as many partitions as the peak needs: keys stay where they are as it grows",
    "2x",
    1.0,
    1e3,
)
.or(1.0, "none");
/// Partitions in any case.
pub const LEAST_PARTITIONS: Input<Count> =
    Input::new("least-partitions", "Partitions of all topics that there are in any case", "1000", 1.0, 1e9)
        .or(1.0, "what throughput needs")
        .decided();
/// Consumers, if they are not to be reckoned.
pub const CONSUMERS: Input<Count> =
    Input::new("consumers", "Consumers of a group; reckoned from the two goals below unless stated", "24", 1.0, 1e9)
        .the_less_the_worse()
        .decided();

/// How fresh the cache must reach back.
pub const CACHE_WINDOW: Input<Seconds> =
    Input::new("cache-window", "How far back the page cache should reach at the peak", "60s", 0.001, 86_400.0 * 365.0)
        .or(60.0, "followers and consumers are no further behind");
/// How late records may be.
pub const MAX_DELAY: Input<Seconds> =
    Input::new("max-delay", "How late a record may be handled at the end of a peak", "60s", 0.001, 86_400.0 * 30.0)
        .or(60.0, "a guess")
        .the_less_the_worse();
/// For how long consumers may be away.
pub const OUTAGE: Input<Seconds> =
    Input::new("outage", "For how long all consumers are away, and a backlog builds up", "1h", 1.0, 86_400.0 * 365.0)
        .or(3600.0, "a bad deployment");
/// How soon they must have caught up.
pub const CATCH_UP: Input<Seconds> =
    Input::new("catch-up", "How soon after that they must have worked it off", "4h", 1.0, 86_400.0 * 365.0)
        .or(14_400.0, "a guess")
        .the_less_the_worse();
/// What a broker takes of a lost one's data.
pub const REBUILD_RATE: Input<BytesPerSecond> = Input::new(
    "rebuild-rate",
    "What each broker takes in to replace a lost one: its replication throttle",
    "50MB/s",
    1e3,
    1e12,
)
.or(5e7, "a guess")
.the_less_the_worse();

/// All of them, in the order of the report.
pub const ALL: &[(&str, &[&Row])] = &[
    (
        "Load",
        &[
            &USERS.row,
            &EVENTS.row,
            &RATE.row,
            &SIZE.row,
            &PEAK.row,
            &PEAK_LASTS.row,
            &COMPRESSION.row,
            &RETENTION.row,
            &REPLICATION.row,
            &FAN_OUT.row,
            &COLD_READS.row,
        ],
    ),
    ("Margins", &[&FILL.row, &UTILISATION.row, &LOSE_BROKERS.row, &RACKS.row, &LOSE_RACKS.row]),
    (
        "One broker",
        &[
            &DISK.row,
            &DISK_RATE.row,
            &BROKER_RATE.row,
            &NETWORK.row,
            &CORES.row,
            &CPU_PER_GB.row,
            &CPU_PER_MILLION.row,
            &CACHE.row,
            &REPLICAS_PER_BROKER.row,
        ],
    ),
    (
        "Partitions and consumers",
        &[&PARTITION_RATE.row, &CONSUMER_RATE.row, &HEADROOM.row, &LEAST_PARTITIONS.row, &CONSUMERS.row],
    ),
    ("Goals", &[&CACHE_WINDOW.row, &MAX_DELAY.row, &OUTAGE.row, &CATCH_UP.row, &REBUILD_RATE.row]),
];

/// All of them, without their headings.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    ALL.iter().flat_map(|(_, rows)| rows.iter().copied())
}

/// The one of that name.
pub fn find(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}
