//! What is left of a run: the verdict, its evidence, and the line that plays it again.

use serde::{Deserialize, Serialize};

use crate::history::Phase;
use crate::plan::Strike;
use crate::verdict::{Finding, Promise, Verdict};

/// The outcome of one run. Two runs of one (code, scenario, seed, keep) differ in `cost.cpu_ns` alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReport {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Which strikes of the plan were kept: all, if `None`.
    pub keep: Option<Vec<u32>>,
    /// The planted defect, if one was active.
    pub planted: Option<broker::planted::Defect>,
    /// What it amounts to.
    pub verdict: Verdict,
    /// What was found, the gravest first; at most a few of each invariant.
    pub findings: Vec<Finding>,
    /// A row for each invariant that this contract calls for.
    pub evidence: Vec<Evidence>,
    /// When each phase began, in nanoseconds of world time.
    pub phases: Vec<(Phase, u64)>,
    /// The plan as kept, and what became of each strike.
    pub strikes: Vec<Struck>,
    /// How long partitions could not be written to, by fault.
    #[serde(default)]
    pub outages: Vec<Outage>,
    /// What consumer groups did, and what rebalancing cost them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupWork>,
    /// What was drawn for this seed, as (name, value), for the reader.
    pub knobs: Vec<(String, String)>,
    /// The run's partitions, by their number in the history.
    pub partitions: Vec<String>,
    /// What it took.
    pub cost: Cost,
    /// A hash over every event of the history.
    pub trace: u64,
    /// The command that plays it again.
    pub replay: String,
}

/// How much an invariant had to judge by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its id.
    pub invariant: String,
    /// What it says, in one line.
    pub about: String,
    /// What kind of promise it guards.
    pub promise: Promise,
    /// How often it was put to the test.
    pub count: u64,
    /// Violations found (all, not only those listed).
    pub violations: u64,
    /// Expected losses counted.
    pub expected: u64,
}

/// What became of a planned strike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Struck {
    /// As planned.
    pub strike: Strike,
    /// When it struck, in nanoseconds of world time; `None` if its trigger never came.
    pub at: Option<u64>,
    /// When it was cured.
    pub healed: Option<u64>,
    /// Whom it hit and how, or why it passed.
    pub on: String,
}

/// How long partitions could not be written to around the strikes of one fault: of each strike and partition the longest
/// silence between two acknowledgements that touches it, in milliseconds of world time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The fault's name.
    pub fault: String,
    /// Strikes times partitions.
    pub count: u64,
    /// The median.
    pub p50_ms: u64,
    /// The 99th percentile.
    pub p99_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

/// What one consumer group did until the final read. A hand-off is a partition's way from one owner to the next; it is idle
/// from when the former gave it up or was last heard of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupWork {
    /// Its number.
    pub group: u32,
    /// Partitions that were ever owned.
    pub partitions: u64,
    /// How long since each of them had its first owner, in milliseconds of world time, all together, until the final read.
    pub owned_ms: u64,
    /// Generations: how often the partitions were shared out.
    pub rounds: u64,
    /// Partitions that came to another owner, or to the same one anew.
    pub handoffs: u64,
    /// How long partitions were idle, in milliseconds of world time, all together.
    pub idle_ms: u64,
    /// The median of one hand-off.
    pub idle_p50_ms: u64,
    /// The 99th percentile.
    pub idle_p99_ms: u64,
    /// The longest.
    pub idle_max_ms: u64,
    /// Records handed out.
    pub delivered: u64,
    /// Of those, below what had been handed out before.
    pub again: u64,
    /// Of the records handed out, per mille, those of the partition that had most.
    pub hottest_per_mille: u64,
    /// Records that were acknowledged and not committed: the median of looks every 100 ms of world time.
    pub lag_p50: u64,
    /// The 99th percentile.
    pub lag_p99: u64,
    /// The most.
    pub lag_max: u64,
}

/// What a run took, in exact counts (and one time).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    /// World time simulated, in nanoseconds.
    pub world_ns: u64,
    /// CPU time of the thread, in nanoseconds.
    pub cpu_ns: u64,
    /// Steps of the simulator.
    pub steps: u64,
    /// Events in the history.
    pub events: u64,
    /// Client calls.
    pub calls: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records delivered to consumers.
    pub delivered: u64,
    /// Fsyncs that returned success, as stated by brokers.
    pub flushes: u64,
    /// Snapshots of the metadata that nodes fetched from their leader, because its log no longer had what they lacked.
    #[serde(default)]
    pub snapshots_fetched: u64,
    /// Requests of members of consumer groups to their coordinators.
    #[serde(default)]
    pub group_requests: u64,
    /// Requests of all APIs, between whomever.
    #[serde(default)]
    pub requests: u64,
    /// Bytes given to the network.
    #[serde(default)]
    pub network_bytes: u64,
    /// Writes of files.
    #[serde(default)]
    pub disk_writes: u64,
    /// Bytes written to them.
    #[serde(default)]
    pub disk_bytes: u64,
    /// Syncs of files and directories, counted at the disk's door.
    #[serde(default)]
    pub disk_syncs: u64,
    /// World time from each send to its acknowledgement, in nanoseconds, of all that were acknowledged.
    #[serde(default)]
    pub publish_ns: u64,
}
