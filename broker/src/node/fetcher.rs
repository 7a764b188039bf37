//! Following: one task for each node that leads something followed here. It fetches for all of those partitions at once,
//! appends what comes, cuts what does not belong, and makes durable what the flush policy promises before it lets the
//! leader count on it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};
use tokio::sync::Notify;

use super::Node;
use super::checkpoints::{self, state_trim};
use super::partition::Partition;
use super::role::Role;
use super::wait::Parts;
use crate::controller::record::TopicId;
use crate::env::{Disk, Env, Mono};
use crate::fact::Fact;
use crate::ids::{NodeId, Offset, TopicPartition};
use crate::log::LogError;
use crate::planted::{Defect, planted};
use crate::record::Batches;
use crate::replica::fetch_session::{Ask, Asking, Key};
use crate::replica::follower::{Answered, Asked, Standing, Step};

/// The version of Fetch that followers speak.
const FETCH_VERSION: i16 = 17;
/// How much longer than its leader may hold it a fetch is waited for.
const SLACK: Duration = Duration::from_secs(1);

/// One partition that is followed.
struct Following<E: Env> {
    partition: Rc<Partition<E>>,
    /// It is not asked for before that.
    after: Mono,
}

/// What is followed from one leader.
struct Fetcher<E: Env> {
    leader: NodeId,
    followed: RefCell<BTreeMap<TopicPartition, Following<E>>>,
    session: RefCell<Asking<FetchPartition>>,
    more: Notify,
    running: Cell<bool>,
}

/// The fetchers, by leader.
pub(super) struct Fetchers<E: Env>(RefCell<BTreeMap<NodeId, Rc<Fetcher<E>>>>);

impl<E: Env> Default for Fetchers<E> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<E: Env> Fetchers<E> {
    /// Follows that partition no more.
    pub(super) fn forget(&self, tp: &TopicPartition) {
        for fetcher in self.0.borrow().values() {
            fetcher.followed.borrow_mut().remove(tp);
        }
    }
}

/// Follows `leader`'s partition from now on.
pub(super) fn follow<E: Env>(node: &Rc<Node<E>>, leader: NodeId, partition: &Rc<Partition<E>>) {
    let mut all = node.fetchers.0.borrow_mut();
    let fetcher = all.entry(leader).or_insert_with(|| {
        Rc::new(Fetcher {
            leader,
            followed: RefCell::default(),
            session: RefCell::default(),
            more: Notify::new(),
            running: Cell::new(false),
        })
    });
    let following = Following { partition: partition.clone(), after: Mono(0) };
    fetcher.followed.borrow_mut().insert(partition.tp.clone(), following);
    fetcher.more.notify_one();
    if !fetcher.running.replace(true) {
        let (node, fetcher) = (node.clone(), fetcher.clone());
        node.env.clone().spawn("fetcher", async move { run(&node, &fetcher).await });
    }
}

async fn run<E: Env>(node: &Rc<Node<E>>, fetcher: &Fetcher<E>) {
    while !node.is_stopping() {
        let now = node.env.now();
        make_durable(node, fetcher.due(node, now)).await;
        let due = fetcher.due(node, now);
        if due.is_empty() {
            let next = fetcher.followed.borrow().values().map(|following| following.after).min();
            match next {
                Some(next) => drop(node.env.timeout(next.since(now), fetcher.more.notified()).await),
                None => fetcher.more.notified().await,
            }
            continue;
        }
        let (wanted, asked) = wanted(node, fetcher, &due);
        if wanted.is_empty() {
            // Their part changes at this very moment.
            due.iter().for_each(|partition| fetcher.rest(node, &partition.tp));
            continue;
        }
        let request = request(node, fetcher.session.borrow_mut().ask(wanted));
        let patience = node.config.replica_fetch_wait_max + SLACK;
        let answer = node.peers.call_as(fetcher.leader, request, FETCH_VERSION, patience).await;
        match answer {
            Ok(answer) if answer.error_code == 0 => {
                fetcher.session.borrow_mut().answered(answer.session_id);
                take(node, fetcher, answer, &asked).await;
            }
            // Without the session it is asked again at once.
            Ok(answer) if is_no_session(answer.error_code) && fetcher.session.borrow_mut().lost() => {}
            _ => {
                fetcher.session.borrow_mut().lost();
                due.iter().for_each(|partition| fetcher.rest(node, &partition.tp));
            }
        }
    }
}

impl<E: Env> Fetcher<E> {
    /// The partitions to ask for. One that is off line rests until it is looked at again.
    fn due(&self, node: &Node<E>, now: Mono) -> Vec<Rc<Partition<E>>> {
        let mut due = Vec::new();
        for following in self.followed.borrow_mut().values_mut().filter(|following| following.after <= now) {
            if following.partition.is_online() {
                due.push(following.partition.clone());
            } else {
                following.after = now.after(node.config.replica_fetch_backoff);
            }
        }
        due
    }

    /// The same for a topic that is gone from the image, and soon from here.
    fn rest_topic(&self, node: &Node<E>, topic: TopicId) {
        let after = node.env.now().after(node.config.replica_fetch_backoff);
        let mut followed = self.followed.borrow_mut();
        followed.values_mut().filter(|following| following.partition.topic == topic).for_each(|f| f.after = after);
    }

    /// Lets a partition rest after something went wrong (`replica.fetch.backoff.ms`).
    fn rest(&self, node: &Node<E>, tp: &TopicPartition) {
        if let Some(following) = self.followed.borrow_mut().get_mut(tp) {
            following.after = node.env.now().after(node.config.replica_fetch_backoff);
        }
    }
}

/// Makes durable what the leader would take for durable when it is asked for what follows: what was fetched, and what an
/// ex-leader had appended.
async fn make_durable<E: Env>(node: &Rc<Node<E>>, mut partitions: Vec<Rc<Partition<E>>>) {
    partitions.retain(|partition| partition.owes_flush());
    flush_all(node, partitions).await;
}

/// All at once: the fsyncs of a round take the time of one.
async fn flush_all<E: Env>(node: &Rc<Node<E>>, partitions: Vec<Rc<Partition<E>>>) {
    let parts = Parts::new(partitions.iter().map(|_| None).collect());
    for (at, partition) in partitions.into_iter().enumerate() {
        let (node, parts) = (node.clone(), parts.clone());
        node.env.clone().spawn("flush", async move {
            partition.flush_followed(&node).await;
            parts.end(at, ());
        });
    }
    parts.wait().await;
}

/// What was asked, by partition.
type AskedOf = BTreeMap<TopicPartition, Asked>;

/// What is asked for: of those that are due, all that follow this leader still, and are as durable as it will believe.
fn wanted<E: Env>(
    node: &Node<E>,
    fetcher: &Fetcher<E>,
    due: &[Rc<Partition<E>>],
) -> (BTreeMap<Key, FetchPartition>, AskedOf) {
    let (mut wanted, mut asked_of) = (BTreeMap::new(), AskedOf::new());
    for partition in due.iter().filter(|partition| partition.follows(fetcher.leader) && !partition.owes_flush()) {
        let asked = partition.with_log(|log| {
            let last = log.epochs().latest().unwrap_or(-1);
            let asked = Asked { epoch: partition.epoch(), offset: log.log_end(), last };
            asked_of.insert(partition.tp.clone(), asked);
            Ok(FetchPartition::default()
                .with_partition(partition.tp.partition)
                .with_current_leader_epoch(partition.epoch())
                .with_fetch_offset(log.log_end())
                .with_last_fetched_epoch(last)
                .with_log_start_offset(log.log_start())
                .with_partition_max_bytes(narrow(node.config.replica_fetch_max_bytes)))
        });
        if let Ok(asked) = asked {
            wanted.insert((partition.topic, partition.tp.partition), asked);
        }
    }
    (wanted, asked_of)
}

fn request<E: Env>(node: &Node<E>, ask: Ask<FetchPartition>) -> FetchRequest {
    let mut topics: BTreeMap<TopicId, Vec<FetchPartition>> = BTreeMap::new();
    for ((topic, _), asked) in ask.news {
        topics.entry(topic).or_default().push(asked);
    }
    let topics = topics.into_iter().map(|(id, asked)| FetchTopic::default().with_topic_id(id.0).with_partitions(asked));
    let mut forgotten: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in ask.forgotten {
        forgotten.entry(topic).or_default().push(partition);
    }
    let forgotten = forgotten
        .into_iter()
        .map(|(id, partitions)| ForgottenTopic::default().with_topic_id(id.0).with_partitions(partitions));
    let replica = ReplicaState::default()
        .with_replica_id(BrokerId(node.config.node_id.0))
        .with_replica_epoch(node.broker_epoch());
    let wait = i32::try_from(node.config.replica_fetch_wait_max.as_millis()).unwrap_or(i32::MAX);
    FetchRequest::default()
        .with_replica_state(replica)
        .with_session_id(ask.id)
        .with_session_epoch(ask.epoch)
        .with_max_wait_ms(wait)
        .with_min_bytes(1)
        .with_max_bytes(narrow(node.config.replica_fetch_response_max_bytes))
        .with_topics(topics.collect())
        .with_forgotten_topics_data(forgotten.collect())
}

fn is_no_session(error: i16) -> bool {
    [ResponseError::FetchSessionIdNotFound, ResponseError::InvalidFetchSessionEpoch].iter().any(|e| e.code() == error)
}

fn narrow(bytes: u32) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// What is left to do for a partition before the next fetch.
enum Left {
    /// Nothing.
    Nothing,
    /// Cut its log so that it ends there, in the epoch it was told in.
    Truncate(Offset),
    /// Forget its log, and begin again there.
    Restart(Offset),
}

/// Takes in what came for each partition that is still followed, and cuts what has to be cut.
async fn take<E: Env>(node: &Rc<Node<E>>, fetcher: &Fetcher<E>, answer: FetchResponse, asked_of: &AskedOf) {
    let mut cut = Vec::new();
    for topic in answer.responses {
        let Some(name) = node.topic_name(TopicId(topic.topic_id)) else {
            fetcher.rest_topic(node, TopicId(topic.topic_id));
            continue;
        };
        for data in topic.partitions {
            let tp = TopicPartition::new(name.clone(), data.partition_index);
            let followed = fetcher.followed.borrow().get(&tp).map(|following| following.partition.clone());
            let Some(partition) = followed.filter(|partition| partition.topic == TopicId(topic.topic_id)) else {
                continue;
            };
            let Some(asked) = asked_of.get(&tp) else { continue };
            match partition.take_fetched(node, fetcher.leader, *asked, data) {
                Ok(Left::Nothing) => {}
                Ok(left) => cut.push((partition, left)),
                Err(_) => fetcher.rest(node, &tp),
            }
        }
    }
    if !cut.is_empty() {
        cut_all(node, fetcher, &cut).await;
        flush_all(node, cut.into_iter().map(|(partition, _)| partition).collect()).await;
    }
    node.env.disk().settled().await;
}

/// Cuts logs. That they may end earlier is written down before, and where they begin after: a crash at any moment leaves
/// logs that are what is written down of them.
async fn cut_all<E: Env>(node: &Rc<Node<E>>, fetcher: &Fetcher<E>, cut: &[(Rc<Partition<E>>, Left)]) {
    let epochs: Vec<_> = cut.iter().map(|(partition, _)| partition.epoch()).collect();
    let point = |partition: &Partition<E>, left: &Left| match left {
        Left::Truncate(to) => *to,
        _ => partition.log_start(),
    };
    let points: Vec<_> = cut.iter().map(|(partition, left)| Some(point(partition, left))).collect();
    cut.iter().zip(&points).for_each(|((partition, _), point)| partition.cut_point.set(*point));
    let mut written = checkpoints::write_all(node).await;
    if written.is_ok() {
        for ((partition, left), epoch) in cut.iter().zip(epochs) {
            let same = partition.follows(fetcher.leader) && partition.epoch() == epoch;
            if same && partition.cut(node, left).is_err() {
                fetcher.rest(node, &partition.tp);
            }
        }
        written = checkpoints::write_all(node).await;
    }
    // Unless it follows another by now, which has it cut as well.
    let own = cut.iter().zip(&points).filter(|((partition, _), point)| partition.cut_point.get() == **point);
    own.for_each(|((partition, _), _)| partition.cut_point.set(None));
    if let Err(error) = written {
        super::ticker::tolerate(node, "checkpoints", &error);
        cut.iter().for_each(|(partition, _)| fetcher.rest(node, &partition.tp));
    }
}

/// Why a partition rests.
enum Rest {
    Refused,
    Log,
}

impl From<LogError> for Rest {
    fn from(_: LogError) -> Self {
        Rest::Log
    }
}

impl<E: Env> Partition<E> {
    fn follows(&self, leader: NodeId) -> bool {
        matches!(&*self.role.borrow(), Role::Follower(follower) if follower.leader == Some(leader))
    }

    /// Whether it has what is not durable yet, but would be taken for durable by its leader.
    fn owes_flush(&self) -> bool {
        let flushes_first = self.durable() && !planted(Defect::ReFetchBeforeFlush);
        flushes_first && self.with_log(|log| Ok(log.flushed() < log.log_end())).unwrap_or(false)
    }

    /// Takes in an answer of `leader`, and says what is left to do about it.
    fn take_fetched(
        self: &Rc<Self>,
        node: &Rc<Node<E>>,
        leader: NodeId,
        asked: Asked,
        data: PartitionData,
    ) -> Result<Left, Rest> {
        let follower = match &*self.role.borrow() {
            Role::Follower(follower) if follower.leader == Some(leader) => *follower,
            _ => return Ok(Left::Nothing),
        };
        let standing = self.with_log(|log| {
            let last = log.epochs().latest().unwrap_or(-1);
            Ok(Standing { start: log.log_start(), end: log.log_end(), last })
        })?;
        if planted(Defect::ReHwBeforeTruncate) {
            self.advance(node, data.high_watermark, -1)?;
        }
        let own_end = |epoch| self.with_log(|log| Ok(log.end_at_most(epoch))).unwrap_or((-1, -1));
        match follower.answered(asked, meaning(&data), standing, own_end) {
            Step::Append { high, start } => {
                let records = data.records.unwrap_or_default();
                if !records.is_empty() {
                    self.append_fetched(node, &records)?;
                }
                self.advance(node, high, start)?;
                Ok(Left::Nothing)
            }
            Step::Truncate(to) => Ok(Left::Truncate(to)),
            Step::Restart(start) => Ok(Left::Restart(start)),
            Step::Wait => Err(Rest::Refused),
            Step::Ignore => Ok(Left::Nothing),
        }
    }

    fn cut(&self, node: &Node<E>, left: &Left) -> Result<(), LogError> {
        let end = match left {
            Left::Truncate(to) => self.with_log(|log| log.truncate_to(*to))?,
            Left::Restart(start) => {
                self.with_log(|log| log.restart_at(*start, node.env.wall()))?;
                // All of it is gone, and with it what was known of producers, before it begins anew.
                node.tell(|| Fact::Truncated { tp: self.tp.clone(), log_end: 0 });
                *start
            }
            Left::Nothing => return Ok(()),
        };
        if let Role::Follower(follower) = &mut *self.role.borrow_mut() {
            match left {
                Left::Restart(start) => follower.restarted(*start),
                _ => follower.cut(end),
            }
        }
        node.tell(|| Fact::Truncated { tp: self.tp.clone(), log_end: end });
        self.state_marks(node);
        self.state_producers(node);
        Ok(())
    }

    fn append_fetched(&self, node: &Node<E>, records: &Bytes) -> Result<(), LogError> {
        let records = self.with_log(|log| log.missing(records))?;
        let appended = self.with_log(|log| log.append_follower(&records, node.env.wall()))?;
        if !node.env.hears() {
            return Ok(());
        }
        if let Some(base) = appended.rolled {
            node.env.tell(Fact::Rolled { tp: self.tp.clone(), base });
        }
        for batch in Batches::new(&records).flatten() {
            let header = batch.header();
            let (tp, batch, epoch) = (self.tp.clone(), header.mark(), header.leader_epoch);
            node.env.tell(Fact::Replicated { tp, batch, epoch });
            self.state_sequence(node, header);
        }
        Ok(())
    }

    /// What the leader says is committed and gone, once all before it is as the leader has it.
    fn advance(self: &Rc<Self>, node: &Rc<Node<E>>, high: Offset, start: Offset) -> Result<(), LogError> {
        let end = self.with_log(|log| Ok(log.log_end()))?;
        let moved = match &mut *self.role.borrow_mut() {
            Role::Follower(follower) => follower.learn(high, end),
            Role::Leader(_) => false,
        };
        let before = self.log_start();
        if start > before {
            let trimmed = self.with_log(|log| log.trim_to(start.min(end)))?;
            // Both at once: what lies below the leader's start may be another batch than it had there.
            self.state_marks(node);
            state_trim(node, self, before, &trimmed, true);
        }
        if moved {
            self.shown_more();
        }
        self.state_marks(node);
        Ok(())
    }
}

fn meaning(data: &PartitionData) -> Answered {
    match ResponseError::try_from_code(data.error_code) {
        None if data.diverging_epoch.epoch >= 0 || data.diverging_epoch.end_offset >= 0 => {
            Answered::Diverging { epoch: data.diverging_epoch.epoch, end: data.diverging_epoch.end_offset }
        }
        None => Answered::Records { high: data.high_watermark, start: data.log_start_offset },
        Some(ResponseError::OffsetOutOfRange) => Answered::OutOfRange { start: data.log_start_offset },
        Some(_) => Answered::Refused,
    }
}
