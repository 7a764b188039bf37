//! The plan of a run's faults, as data: built before the run from (scenario, seed, keep-mask), so that it can be printed,
//! shrunk and replayed.

use serde::{Deserialize, Serialize};

/// When a strike comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Trigger {
    /// So many milliseconds after the strikes phase begins.
    At {
        /// Milliseconds of world time.
        ms: u64,
    },
    /// At the n-th event of a kind, counted from the beginning of the strikes phase (n from 1).
    Nth {
        /// What is counted.
        of: Mark,
        /// Which one.
        n: u64,
    },
}

/// Events that a trigger can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// A batch was appended.
    Appended,
    /// An fsync returned.
    Flushed,
    /// A produce request was acknowledged.
    Acked,
    /// A segment was rolled.
    Rolled,
    /// A fetch was answered with records.
    Served,
    /// Retention moved a log's start.
    Trimmed,
    /// A broker finished its recovery.
    Recovered,
}

/// Whom a strike hits, by role; resolved when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A broker that is up, by draw.
    Broker,
    /// The leader of partition `p` of the run's list.
    LeaderOf(u32),
    /// A client host, by draw.
    Client,
    /// The link between a client host and a broker, by draw.
    ClientLink,
}

/// One planned fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Strike {
    /// Its number in the plan: stable under shrinking.
    pub id: u32,
    /// When.
    pub trigger: Trigger,
    /// The fault's name: a row of the fault table.
    pub fault: String,
    /// Whom.
    pub target: Target,
    /// How long until it is cured, in milliseconds.
    pub duration_ms: u64,
    /// How hard, in the fault's own unit (its row says which).
    pub force: u64,
    /// Seeds the strike's own draws.
    pub salt: u64,
}

/// All faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In the order of their ids.
    pub strikes: Vec<Strike>,
}
