//! How a subscribing consumer behaves. The comments name Kafka's settings.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::assign::Assignor;
use super::member::words::Rules;
use super::watch::Watch;
use crate::client::backoff::Backoff;
use crate::client::consumer::ConsumerConfig;

/// When a record's offset is committed: before it is handed out, or after it was processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Before: a crash loses what was under way, and nothing is processed twice.
    AtMostOnce,
    /// After: a crash repeats what was under way, and nothing is left out.
    AtLeastOnce,
}

/// What a consumer subscribes to.
#[derive(Clone)]
pub enum Topics {
    /// These.
    List(BTreeSet<Arc<str>>),
    /// Whichever of the topics there are (internal ones aside) this says yes to.
    Matching(Rc<dyn Fn(&str) -> bool>),
}

/// How a subscribing consumer behaves.
#[derive(Clone)]
pub struct GroupConfig {
    /// `group.id`.
    pub group: Arc<str>,
    /// `group.instance.id`: makes the member static (KIP-345).
    pub instance: Option<Arc<str>>,
    /// `partition.assignment.strategy`, the best first; [`Assignor::Brokers`] alone: `group.protocol=consumer`.
    pub assignors: Vec<Assignor>,
    /// `session.timeout.ms`; where the broker shares out, its own counts for it.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`; where the broker shares out, what it says counts.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`; the rebalance timeout too.
    pub max_poll_interval: Duration,
    /// When offsets are committed.
    pub promise: Promise,
    /// `auto.commit.interval.ms`: under [`Promise::AtLeastOnce`], what was processed is committed so often, when
    /// partitions are given up, and on close. `None` leaves it to the application (`enable.auto.commit=false`).
    pub auto_commit: Option<Duration>,
    /// Whether the application says of each record that it is processed, in any order ([`GroupConsumer::done`]); else it says
    /// so of all that it was handed by polling again.
    ///
    /// [`GroupConsumer::done`]: super::consumer::GroupConsumer::done
    pub one_by_one: bool,
    /// `default.api.timeout.ms`: the longest that a commit inside a poll or a close takes.
    pub patience: Duration,
    /// How it fetches; `out_of_range` is where to begin without a committed offset, too (`auto.offset.reset`).
    pub fetch: ConsumerConfig,
    /// Who is told of what happens, for the history.
    pub watch: Option<Rc<dyn Watch>>,
}

impl GroupConfig {
    /// A member of `group` with Kafka's defaults, but for times: those are for clusters that break every few seconds.
    pub fn new(group: impl Into<Arc<str>>) -> Self {
        Self {
            group: group.into(),
            instance: None,
            assignors: vec![Assignor::Range],
            session_timeout: Duration::from_secs(6),
            heartbeat_interval: Duration::from_millis(1500),
            max_poll_interval: Duration::from_secs(20),
            promise: Promise::AtLeastOnce,
            auto_commit: Some(Duration::from_secs(1)),
            one_by_one: false,
            patience: Duration::from_secs(5),
            fetch: ConsumerConfig::default(),
            watch: None,
        }
    }

    /// Whether the broker shares out (KIP-848).
    pub(super) fn is_brokers(&self) -> bool {
        self.assignors == [Assignor::Brokers]
    }

    /// The part that concerns membership.
    pub(super) fn rules(&self, retry: Backoff) -> Rules {
        Rules {
            instance: self.instance.clone(),
            assignors: self.assignors.clone(),
            session_timeout: self.session_timeout,
            heartbeat_interval: self.heartbeat_interval,
            max_poll_interval: self.max_poll_interval,
            retry,
        }
    }
}
