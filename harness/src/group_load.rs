//! A consumer group of a run, as data: who is in it, how long each stays, and how it works.

use std::time::Duration;

use broker::config::GroupConfig as Coordination;
use serde::{Deserialize, Serialize};

use crate::client::group::assign::Assignor;

/// Members of one group at most: they are numbered within it.
pub const MOST_MEMBERS: u32 = 100;

/// A group that reads every topic of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupLoad {
    /// Members, spread over the client hosts; at most [`MOST_MEMBERS`].
    pub members: u32,
    /// `partition.assignment.strategy`, or `group.protocol=consumer`.
    pub assignor: Assignor,
    /// Whether the members are static (KIP-345): so many `group.instance.id`s are dealt out to them in turn, so that with
    /// fewer than members two go by one. 0: none has any.
    pub instances: u32,
    /// How long a member stays before it goes and comes again as another, in milliseconds, shortest and longest, for as long
    /// as there is load; (0, 0): until the end.
    pub stay_ms: (u64, u64),
    /// Of those that go, per mille, how many vanish without a word, as in a crash.
    pub vanish_per_mille: u64,
    /// How long it is before a member that went comes again, in milliseconds, shortest and longest.
    pub away_ms: (u64, u64),
    /// Work on each record, in microseconds, shortest and longest.
    pub work_us: (u64, u64),
    /// Batches, per mille, on which a member gets stuck, for as long as there is load.
    pub stuck_per_mille: u64,
    /// For how long, in milliseconds; 0: for half as long again as it may be.
    pub stuck_ms: u64,
    /// `auto.commit.interval.ms`; 0: what was processed is committed after each batch, and that is waited for.
    pub commit_ms: u64,
    /// `session.timeout.ms`.
    pub session_ms: u64,
    /// `heartbeat.interval.ms`.
    pub heartbeat_ms: u64,
    /// `max.poll.interval.ms`.
    pub max_poll_ms: u64,
}

impl Default for GroupLoad {
    fn default() -> Self {
        Self {
            members: 3,
            assignor: Assignor::Range,
            instances: 0,
            stay_ms: (0, 0),
            vanish_per_mille: 0,
            away_ms: (50, 500),
            work_us: (0, 500),
            stuck_per_mille: 0,
            stuck_ms: 0,
            commit_ms: 200,
            session_ms: 700,
            heartbeat_ms: 100,
            max_poll_ms: 2000,
        }
    }
}

impl GroupLoad {
    /// Where the broker shares out, it is the broker that says how often members beat, and how long they may be silent.
    pub fn coordinate(&self, groups: &mut Coordination) {
        if self.assignor == Assignor::Brokers {
            groups.consumer_session_timeout = Duration::from_millis(self.session_ms);
            groups.consumer_heartbeat_interval = Duration::from_millis(self.heartbeat_ms);
        }
    }

    /// The name of group number `group`.
    pub fn name(group: u32) -> String {
        format!("group-{group}")
    }

    /// `group.instance.id` of a member, if it is static.
    pub fn instance(&self, member: u32) -> Option<String> {
        member.checked_rem(self.instances).map(|name| format!("instance-{name}"))
    }
}

/// How brokers coordinate groups in a run of a few seconds.
pub fn coordination() -> Coordination {
    Coordination {
        initial_rebalance_delay: Duration::from_millis(50),
        min_session_timeout: Duration::from_millis(100),
        offsets_topic_partitions: 2,
        ..Coordination::default()
    }
}
