//! The contract of a run: what was promised, and which harm may come. Which invariants are enforced, and which losses
//! are expected and merely counted, follows from it.

use broker::config::FlushPolicy;

use crate::history::TpId;

/// What was promised to the clients of a run, and what may be done to the brokers.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Contract {
    /// The producers' acks: 0, 1 or -1 (all).
    pub acks: i16,
    /// Brokers of the cluster.
    #[serde(default = "one")]
    pub brokers: u32,
    /// Replicas of each partition.
    pub replication: u32,
    /// `min.insync.replicas`.
    pub min_insync: u32,
    /// `unclean.leader.election.enable`: a replica outside the in-sync set may come to lead, and what was acknowledged
    /// may then be gone.
    #[serde(default)]
    pub unclean: bool,
    /// The partitions' flush policy.
    pub flush: FlushPolicy,
    /// Produce requests a producer may have open at once on one connection.
    pub max_in_flight: u32,
    /// Whether producers are idempotent: a retry is never a second copy.
    pub idempotent: bool,
    /// Whether producers retry, so that a record may be stored more than once (unless idempotent).
    pub retries: bool,
    /// Whether retention or DeleteRecords may remove records.
    pub retention: bool,
    /// Whether of each key only the latest record is kept. The workload's keys then follow from its records' sequence
    /// numbers ([`crate::history::value::key_of`]).
    #[serde(default)]
    pub compaction: bool,
    /// Consumer groups that read the run's topics, numbered from 0 in the history.
    #[serde(default)]
    pub groups: u32,
    /// Whether they commit before they process, so that a crash loses what was under way; else after, so that it repeats it.
    #[serde(default)]
    pub at_most_once: bool,
    /// Whether an operator sets groups back, to have them process again what they had processed.
    #[serde(default)]
    pub rewinds: bool,
    /// By how many records the first group may be behind at most, for as long as there is load; 0: by any number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lag_bound: u64,
    /// Applications that act upon what they read, numbered from 0 in the history; each is a group of its own, behind the
    /// others.
    #[serde(default)]
    pub apps: u32,
    /// Whether they may do twice what they are handed twice: counted.
    #[serde(default)]
    pub effects_repeat: bool,
    /// Partitions that applications alone write: what is there is not their input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_on: Vec<TpId>,
    /// Those that no group reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<TpId>,
    /// Whether a power loss may come, taking what was not synced.
    pub power_loss: bool,
    /// Whether power is lost by a minority at a time only, and only while every in-sync set is whole: then replicas that
    /// were never synced keep what was acknowledged all the same.
    #[serde(default)]
    pub spared: bool,
    /// Whether stored bytes may rot: damage must be detected, never delivered; records may be lost by it.
    pub bit_rot: bool,
    /// Whether brokers' wall clocks may jump or drift.
    pub clock_faults: bool,
    /// A client call must return within this long, in milliseconds of world time, whatever happens.
    pub call_deadline_ms: u64,
    /// After everything is healed, progress must resume within this long, in milliseconds of world time.
    pub drain_deadline_ms: u64,
    /// While only a minority of the brokers is struck, the others must take over within this long, in milliseconds of
    /// world time.
    #[serde(default = "failover_ms")]
    pub failover_ms: u64,
}

/// What an older history, which does not say, had of them.
fn failover_ms() -> u64 {
    5_000
}

/// Keeps what a run has nothing of out of its history's head.
fn is_zero(of: &u64) -> bool {
    *of == 0
}

/// What an older history, which does not say, had of them.
fn one() -> u32 {
    1
}

impl Default for Contract {
    fn default() -> Self {
        Self {
            acks: -1,
            brokers: 1,
            replication: 1,
            min_insync: 1,
            unclean: false,
            flush: FlushPolicy::Always,
            max_in_flight: 1,
            idempotent: false,
            retries: true,
            retention: false,
            compaction: false,
            groups: 0,
            at_most_once: false,
            rewinds: false,
            lag_bound: 0,
            apps: 0,
            effects_repeat: false,
            passed_on: Vec::new(),
            unread: Vec::new(),
            power_loss: false,
            spared: false,
            bit_rot: false,
            clock_faults: false,
            call_deadline_ms: 30_000,
            drain_deadline_ms: 10_000,
            failover_ms: failover_ms(),
        }
    }
}

impl Contract {
    /// Whether every acknowledged record must survive whatever this contract lets happen.
    pub fn acked_is_kept(&self) -> bool {
        let by_all = self.acks == -1 || (self.acks == 1 && self.replication == 1);
        by_all && self.committed_is_kept()
    }

    /// Whether every committed record must: one that every in-sync replica has, and that consumers may have seen.
    pub fn committed_is_kept(&self) -> bool {
        let copies = self.spared && self.replication > 1;
        let durable = self.flush == FlushPolicy::Always || !self.power_loss || copies;
        durable && !self.unclean && !self.bit_rot
    }

    /// Whether there is more than one broker to fail over to.
    pub fn clustered(&self) -> bool {
        self.brokers > 1
    }

    /// Whether two records of one producer to one partition, sent in order, must be stored in order.
    pub fn order_is_kept(&self) -> bool {
        self.idempotent || self.max_in_flight == 1 || !self.retries
    }
}
