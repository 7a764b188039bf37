//! The consumer, by assignment: fetches from the leaders, hands out records in order, and never skips one.
//!
//! A partition's position moves only past what was handed out, to the end of the batches it came in. A damaged batch is
//! an error, reported with its code and never handed out; the position stays before it.

mod answers;
mod validate;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use broker::env::{Env, Mono};
use broker::ids::{LeaderEpoch, NodeId, Offset, Timestamp, TopicPartition};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::outcome::Failure;
use super::record::Fetched;
use super::signal::Signal;
use super::{CallError, Client, admin};

/// Where to begin reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// At this offset.
    Offset(Offset),
    /// At this offset, after a record of this leader epoch (-1 if unknown), which the leader's log must have (KIP-320).
    After(Offset, LeaderEpoch),
    /// At the first record still there.
    Earliest,
    /// After the last committed record.
    Latest,
    /// At the first record at or after this time in milliseconds; after the last if there is none.
    Timestamp(Timestamp),
}

/// What to do when the position is not in the log (`auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfRange {
    /// Report it and stay.
    Error,
    /// Go on with the first record still there.
    Earliest,
    /// Go on after the last committed record.
    Latest,
}

/// How a consumer fetches. The comments name Kafka's settings.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `fetch.max.wait.ms`: how long a broker waits for `min_bytes`.
    pub max_wait: Duration,
    /// `fetch.min.bytes`.
    pub min_bytes: i32,
    /// `fetch.max.bytes`, of one answer.
    pub max_bytes: i32,
    /// `max.partition.fetch.bytes`, of one partition in one answer.
    pub partition_max_bytes: i32,
    /// `auto.offset.reset`.
    pub out_of_range: OutOfRange,
    /// Whether, under a new leader, the position is first found to be in its log (KIP-320). Kafka's client always does.
    pub validate: bool,
    /// Whether what comes next is asked for before what came is handed out, as Kafka's client does; if not, when it is polled
    /// for, so that at most one answer of a partition is on its way or waits.
    pub prefetch: bool,
    /// `client.rack`: a leader elsewhere may send the consumer to a follower in the same rack (KIP-392).
    pub rack: Option<String>,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            out_of_range: OutOfRange::Error,
            validate: true,
            prefetch: false,
            rack: None,
        }
    }
}

/// What one poll brought from one partition: records, or an error, or word of a reset.
#[derive(Clone, Debug)]
pub struct Polled {
    /// Which partition.
    pub tp: TopicPartition,
    /// The position before.
    pub from: Offset,
    /// The records from there, in order.
    pub records: Vec<Fetched>,
    /// The position now.
    pub position: Offset,
    /// The leader epoch of the batch before it; -1 if unknown.
    pub epoch: LeaderEpoch,
    /// The high watermark that the leader stated with them; -1 if none.
    pub high: Offset,
    /// The first offset still there, as the leader stated with them; -1 if none.
    pub log_start: Offset,
    /// Why there are no records: the position was out of range, the batch there is damaged, or reading is refused.
    pub error: Option<CallError>,
    /// True if the position was out of range, or the log was cut below it, and it was moved, by the configured policy.
    pub reset: bool,
}

/// A consumer of assigned partitions.
pub struct Consumer<E: Env> {
    client: Client<E>,
    config: ConsumerConfig,
    state: RefCell<BTreeMap<TopicPartition, Reading>>,
    inbox: Rc<Inbox>,
    /// Which of a node's partitions is asked for first.
    turn: Cell<usize>,
}

/// Answers that came and were not yet handed out.
#[derive(Default)]
struct Inbox {
    answers: RefCell<VecDeque<Answer>>,
    verdicts: RefCell<VecDeque<validate::Verdict>>,
    came: Signal,
}

impl Inbox {
    fn take_verdict(&self) -> Option<validate::Verdict> {
        self.verdicts.borrow_mut().pop_front()
    }
}

/// The end of one fetch: what was asked for, and what came.
struct Answer {
    asked: Vec<(TopicPartition, Offset, LeaderEpoch)>,
    end: Result<FetchResponse, Failure>,
}

/// One assigned partition.
struct Reading {
    name: TopicName,
    position: Offset,
    high: Offset,
    /// A fetch from here is under way, or its answer waits in the inbox.
    fetching: Option<Offset>,
    /// A new position is to be found first.
    reset: Option<Reset>,
    failures: u32,
    not_before: Mono,
    /// The follower to which the leader has sent the consumer.
    preferred: Option<NodeId>,
    paused: bool,
    /// The epoch of the batch before the position, as far as that is known; -1 if not.
    epoch: LeaderEpoch,
    /// The leader epoch under which the position was last known to be in the log; -1 for none.
    validated: LeaderEpoch,
    /// The leader epoch that the fetch under way states.
    fetched_under: LeaderEpoch,
    /// That is being found out under this leader epoch.
    validating: Option<LeaderEpoch>,
    /// Where the log begins by the word of whoever refused the last fetch; -1 if nobody said.
    begins: Offset,
}

/// How to find a new position.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reset {
    /// The ListOffsets query.
    query: i64,
    /// The log was cut below the old one: it is no good, though the log may reach as far again.
    cut: bool,
}

impl Reading {
    /// Whether an answer or a new position is waited for.
    fn is_busy(&self) -> bool {
        self.fetching.is_some() || self.reset.is_some() || self.validating.is_some()
    }
}

impl<E: Env> Consumer<E> {
    /// A consumer on `client`'s connections.
    pub fn new(client: Client<E>, config: ConsumerConfig) -> Self {
        Self { client, config, state: RefCell::default(), inbox: Rc::default(), turn: Cell::new(0) }
    }

    /// Begins reading a partition. Returns the first offset wanted.
    pub async fn assign(&self, tp: TopicPartition, from: Position, deadline: Mono) -> Result<Offset, CallError> {
        let position = match from {
            Position::Offset(offset) | Position::After(offset, _) => offset,
            Position::Earliest => self.client.list_offsets(&tp, admin::EARLIEST, deadline).await?.offset,
            Position::Latest => self.client.list_offsets(&tp, admin::LATEST, deadline).await?.offset,
            Position::Timestamp(time) => match self.client.list_offsets(&tp, time, deadline).await?.offset {
                -1 => self.client.list_offsets(&tp, admin::LATEST, deadline).await?.offset,
                found => found,
            },
        };
        let epoch = if let Position::After(_, epoch) = from { epoch } else { -1 };
        let reading = Reading {
            name: TopicName(StrBytes::from_string(tp.topic.to_string())),
            position,
            high: -1,
            fetching: None,
            reset: None,
            failures: 0,
            not_before: Mono(0),
            preferred: None,
            paused: false,
            epoch,
            // The leader that wrote the record before it has it: no epoch outlives the log of its leader.
            validated: epoch,
            fetched_under: -1,
            validating: None,
            begins: -1,
        };
        self.state.borrow_mut().insert(tp, reading);
        Ok(position)
    }

    /// Stops reading a partition.
    pub fn unassign(&self, tp: &TopicPartition) {
        self.state.borrow_mut().remove(tp);
    }

    /// Moves the position of an assigned partition; the next poll reads from there. False if it is not assigned.
    pub fn seek(&self, tp: &TopicPartition, position: Offset) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(reading) = state.get_mut(tp) else { return false };
        // An answer under way is for the old position: it is recognised by that and dropped.
        (reading.position, reading.reset, reading.fetching) = (position, None, None);
        (reading.failures, reading.not_before, reading.preferred) = (0, Mono(0), None);
        (reading.epoch, reading.validated, reading.validating) = (-1, -1, None);
        true
    }

    /// Stops (or goes on) handing out records of an assigned partition; its position stays. False if it is not assigned.
    pub fn pause(&self, tp: &TopicPartition, paused: bool) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(reading) = state.get_mut(tp) else { return false };
        // An answer under way is dropped; what it brings is fetched again from the same position.
        (reading.paused, reading.fetching) = (paused, None);
        true
    }

    /// The next offset wanted of an assigned partition.
    pub fn position(&self, tp: &TopicPartition) -> Option<Offset> {
        self.state.borrow().get(tp).map(|reading| reading.position)
    }

    /// The high watermark last heard of an assigned partition; -1 before the first answer.
    pub fn high(&self, tp: &TopicPartition) -> Option<Offset> {
        self.state.borrow().get(tp).map(|reading| reading.high)
    }

    /// Waits for records, at most `timeout`: returns what came of one answer, or nothing. Passing errors (no leader, lost
    /// connections) are retried with backoff inside; an error that is returned stands until something changes.
    pub async fn poll(&self, timeout: Duration) -> Vec<Polled> {
        let env = self.client.env();
        let deadline = env.now().after(timeout);
        loop {
            let (came, changed) = (self.inbox.came.count(), self.client.changed().count());
            while let Some(answer) = self.take() {
                let polled = self.absorb(answer);
                if !polled.is_empty() {
                    if self.config.prefetch {
                        self.fetch(env.now());
                    }
                    return polled;
                }
            }
            while let Some(verdict) = self.inbox.take_verdict() {
                if let Some(told) = self.judge_position(&verdict) {
                    return vec![told];
                }
            }
            if let Some(moved) = self.reset(deadline).await {
                return vec![moved];
            }
            let now = env.now();
            let next = self.fetch(now).map_or(deadline, |next| next.min(deadline));
            if now >= deadline {
                return Vec::new();
            }
            let either = std::future::poll_fn(|cx| {
                let moved = self.inbox.came.poll_past(came, cx) | self.client.changed().poll_past(changed, cx);
                if moved { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            });
            env.timeout(next.since(now), either).await;
        }
    }

    fn take(&self) -> Option<Answer> {
        self.inbox.answers.borrow_mut().pop_front()
    }

    /// Fetches whatever is assigned, has a leader that is connected, and is not being fetched already. Returns when the
    /// first partition ends its backoff.
    fn fetch(&self, now: Mono) -> Option<Mono> {
        let mut by_node: BTreeMap<NodeId, Vec<(TopicPartition, FetchPartition, TopicName)>> = BTreeMap::new();
        let (mut next, mut doubtful) = (None::<Mono>, Vec::new());
        for (tp, reading) in self.state.borrow().iter() {
            if reading.is_busy() || reading.paused {
                continue;
            }
            if reading.not_before > now {
                next = Some(next.map_or(reading.not_before, |n| n.min(reading.not_before)));
                continue;
            }
            let Some((leader, epoch)) = self.client.leader(&tp.topic, tp.partition) else { continue };
            // A leader older than what was read before the position was deposed, and does not know: it may lack that (KIP-320).
            if (0..reading.epoch).contains(&epoch) {
                self.client.refresh();
                continue;
            }
            if self.must_validate(reading, epoch) {
                doubtful.push((tp.clone(), leader, epoch));
                continue;
            }
            let node = reading.preferred.unwrap_or(leader);
            let part = FetchPartition::default()
                .with_partition(tp.partition)
                .with_current_leader_epoch(epoch)
                .with_fetch_offset(reading.position)
                .with_partition_max_bytes(self.config.partition_max_bytes);
            by_node.entry(node).or_default().push((tp.clone(), part, reading.name.clone()));
        }
        for (tp, leader, epoch) in doubtful {
            self.validate(&tp, leader, epoch, now);
        }
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        for (node, mut parts) in by_node {
            // A broker fills its answer in the order asked: each partition gets to be the first.
            let first = turn % parts.len();
            parts.rotate_left(first);
            self.fetch_from(node, parts, now);
        }
        next
    }

    fn fetch_from(&self, node: NodeId, parts: Vec<(TopicPartition, FetchPartition, TopicName)>, now: Mono) {
        let Some(connection) = self.client.connection(node) else { return };
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut asked = Vec::with_capacity(parts.len());
        for (tp, part, name) in parts {
            asked.push((tp, part.fetch_offset, part.current_leader_epoch));
            match topics.iter_mut().find(|topic| topic.topic == name) {
                Some(topic) => topic.partitions.push(part),
                None => topics.push(FetchTopic::default().with_topic(name).with_partitions(vec![part])),
            }
        }
        let wait = self.config.max_wait;
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(self.config.min_bytes)
            .with_max_bytes(self.config.max_bytes)
            .with_session_epoch(-1)
            .with_rack_id(StrBytes::from_string(self.config.rack.clone().unwrap_or_default()))
            .with_topics(topics);
        for (tp, from, under) in &asked {
            if let Some(reading) = self.state.borrow_mut().get_mut(tp) {
                (reading.fetching, reading.fetched_under) = (Some(*from), *under);
            }
        }
        let (inbox, parts) = (self.inbox.clone(), asked.clone());
        let deadline = now.after(self.client.settings().request_timeout.saturating_add(wait));
        let submitted = connection.submit(&request, deadline, move |end| {
            inbox.answers.borrow_mut().push_back(Answer { asked, end });
            inbox.came.raise();
        });
        if let Err(failure) = submitted {
            self.inbox.answers.borrow_mut().push_back(Answer { asked: parts, end: Err(failure) });
            self.inbox.came.raise();
        }
    }
}
