//! The coordinators of the consumer groups whose partition of `__consumer_offsets` this node leads: each has a seat, which
//! loads what the log holds, carries out what its state machine wants, and tells it what is committed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Notify, oneshot};

use super::Node;
use super::partition::Partition;
use crate::config::ProcessRoles;
use crate::controller::plan::NewTopic;
use crate::env::{Disk, Env};
use crate::group::consumer::Topics;
use crate::group::record::Record;
use crate::group::request::{Now, Token};
use crate::group::{Answer, Asked, Effect, Input, OFFSETS_TOPIC, Shard, Ticket, partition_of};
use crate::ids::Offset;
use crate::log::LogError;
use crate::planted::{Defect, planted};
use crate::record::{BatchBuilder, BatchError, Compression, Unpacked};

/// Bytes of the log loaded at a time.
const CHUNK: usize = 1 << 20;
/// What one batch of the internal topic may inflate to: it is not compressed by those who write it.
const MOST_INFLATED: usize = 64 << 20;
/// After a read that failed, before the next.
const RETRY: Duration = Duration::from_millis(100);
/// The shortest time between two looks at what is due.
const SHORTEST: Duration = Duration::from_millis(1);
/// Replicas of the internal topic, where there are as many voters.
const REPLICAS: usize = 3;

/// The seats, by partition of the internal topic.
#[derive(Default)]
pub struct Groups {
    seats: RefCell<BTreeMap<i32, Rc<Seat>>>,
    topics: RefCell<Rc<Topics>>,
}

/// Where one partition's groups are coordinated, for as long as this node leads it in one epoch.
struct Seat {
    /// `None` until it is loaded.
    shard: RefCell<Option<Shard>>,
    waiting: RefCell<BTreeMap<Ticket, oneshot::Sender<Answer>>>,
    next_ticket: Cell<Ticket>,
    over: Cell<bool>,
    /// Told when more is committed, something is due sooner, or it is over.
    changed: Notify,
}

impl<E: Env> Node<E> {
    /// What the coordinator of the group answers that is asked. COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR or
    /// COORDINATOR_LOAD_IN_PROGRESS: it is not here, or not yet. INVALID_GROUP_ID: a group without a name has no members.
    /// When it answers depends on what was asked: a JoinGroup waits for other members.
    pub async fn ask_group(self: &Rc<Self>, asked: Asked) -> Result<Answer, ResponseError> {
        let group = asked.group();
        if group.is_empty() && asked.needs_name() {
            return Err(ResponseError::InvalidGroupId);
        }
        let (partition, seat) = self.seat_of(group)?;
        if seat.shard.borrow().is_none() {
            return Err(ResponseError::CoordinatorLoadInProgress);
        }
        let waits = match asked {
            Asked::Join(_) | Asked::Sync(_) => None,
            _ => Some(self.config.groups.offsets_commit_timeout),
        };
        let ticket = seat.next_ticket.get();
        seat.next_ticket.set(ticket + 1);
        let (answers, answer) = oneshot::channel();
        seat.waiting.borrow_mut().insert(ticket, answers);
        seat.step(self, &partition, Input::Asked(ticket, asked));
        self.env.disk().settled().await;
        let answer = match waits {
            None => answer.await,
            // It may be committed all the same, later.
            Some(most) => match self.env.timeout(most, answer).await {
                Some(answer) => answer,
                None => return Err(ResponseError::CoordinatorNotAvailable),
            },
        };
        answer.map_err(|_| ResponseError::NotCoordinator)
    }

    /// What `f` makes of the groups among which that one is.
    pub fn with_groups<T>(&self, group: &StrBytes, f: impl FnOnce(&Shard) -> T) -> Result<T, ResponseError> {
        let (_, seat) = self.seat_of(group)?;
        let shard = seat.shard.borrow();
        shard.as_ref().map(f).ok_or(ResponseError::CoordinatorLoadInProgress)
    }

    /// What `f` makes of all groups that are coordinated here; whether some are still being loaded.
    pub fn each_shard(&self, mut f: impl FnMut(&Shard)) -> bool {
        let mut loading = false;
        for seat in self.groups.seats.borrow().values() {
            match &*seat.shard.borrow() {
                Some(shard) => f(shard),
                None => loading = true,
            }
        }
        loading
    }

    /// The partition of the internal topic that a group belongs to; `None`: there is no such topic yet.
    pub fn offsets_partition(&self, group: &str) -> Option<i32> {
        let count = self.image().topic(OFFSETS_TOPIC)?.partitions.len();
        Some(partition_of(group, i32::try_from(count).unwrap_or(i32::MAX)))
    }

    fn seat_of(&self, group: &StrBytes) -> Result<(Rc<Partition<E>>, Rc<Seat>), ResponseError> {
        if self.is_stopping() {
            return Err(ResponseError::NotCoordinator);
        }
        let number = self.offsets_partition(group).ok_or(ResponseError::CoordinatorNotAvailable)?;
        let seat = self.groups.seats.borrow().get(&number).cloned();
        self.partition(OFFSETS_TOPIC, number).zip(seat).ok_or(ResponseError::NotCoordinator)
    }

    /// The topic of that name as it is made when it is only needed, or named: with the cluster's defaults; the internal one
    /// with its own.
    pub(super) fn unasked(&self, name: String) -> NewTopic {
        if name != OFFSETS_TOPIC {
            return NewTopic { name, partitions: -1, replication: -1, ..NewTopic::default() };
        }
        let groups = &self.config.groups;
        // Where controllers are nodes of their own, their number says nothing of that of the brokers.
        let brokers = match self.config.process_roles {
            ProcessRoles::Combined => self.config.voters.len().clamp(1, REPLICAS),
            ProcessRoles::Broker | ProcessRoles::Controller => REPLICAS,
        };
        let most = i16::try_from(brokers).unwrap_or(1);
        let own = [
            ("cleanup.policy", "compact".to_owned()),
            ("segment.bytes", groups.offsets_topic_segment_bytes.to_string()),
        ];
        NewTopic {
            name,
            partitions: groups.offsets_topic_partitions,
            replication: groups.offsets_topic_replication.unwrap_or(most),
            configs: own.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect(),
            ..NewTopic::default()
        }
    }
}

/// This node leads a partition: if it is of the internal topic, it coordinates that partition's groups as soon as it has
/// read all of them that was committed before.
pub(super) fn lead<E: Env>(node: &Rc<Node<E>>, partition: &Rc<Partition<E>>) {
    if *partition.tp.topic != *OFFSETS_TOPIC {
        return;
    }
    end(node, partition);
    let seat = Rc::new(Seat {
        shard: RefCell::default(),
        waiting: RefCell::default(),
        next_ticket: Cell::new(0),
        over: Cell::new(false),
        changed: Notify::new(),
    });
    node.groups.seats.borrow_mut().insert(partition.tp.partition, seat.clone());
    node.env.spawn("groups", run(node.clone(), partition.clone(), seat));
}

/// This node does not lead it any more: whoever waits for an answer is to ask another.
pub(super) fn end<E: Env>(node: &Node<E>, partition: &Partition<E>) {
    if *partition.tp.topic != *OFFSETS_TOPIC || planted(Defect::GcUnloadFails) {
        return;
    }
    if let Some(seat) = node.groups.seats.borrow_mut().remove(&partition.tp.partition) {
        seat.over.set(true);
        seat.waiting.take();
        seat.shard.take();
        seat.changed.notify_one();
    }
}

/// A topic is deleted: how far groups have come in it says nothing of a later one of that name.
pub(super) fn topic_gone<E: Env>(node: &Rc<Node<E>>, topic: &Arc<str>) {
    let seats: Vec<_> = node.groups.seats.borrow().iter().map(|(number, seat)| (*number, seat.clone())).collect();
    for (number, seat) in seats {
        if let Some(partition) = node.partition(OFFSETS_TOPIC, number) {
            seat.step(node, &partition, Input::TopicGone(topic.clone()));
        }
    }
}

/// Topics are not what they were: groups that read them are to share them out anew.
pub(super) fn topics_changed<E: Env>(node: &Rc<Node<E>>) {
    let seats: Vec<_> = node.groups.seats.borrow().iter().map(|(number, seat)| (*number, seat.clone())).collect();
    if seats.is_empty() || !know_topics(node) {
        return;
    }
    let topics = node.groups.topics.borrow().clone();
    for (number, seat) in seats {
        if let Some(partition) = node.partition(OFFSETS_TOPIC, number) {
            seat.step(node, &partition, Input::Topics(topics.clone()));
        }
    }
}

/// Looks which topics there are; whether they are others than before.
fn know_topics<E: Env>(node: &Node<E>) -> bool {
    let all = Topics::of(&node.image());
    let mut known = node.groups.topics.borrow_mut();
    let differ = known.version == 0 || known.all != all;
    if differ {
        *known = Rc::new(Topics { version: known.version + 1, all });
    }
    differ
}

/// More of a partition is committed.
pub(super) fn committed<E: Env>(node: &Node<E>, partition: &Partition<E>) {
    if *partition.tp.topic == *OFFSETS_TOPIC
        && let Some(seat) = node.groups.seats.borrow().get(&partition.tp.partition)
    {
        seat.changed.notify_one();
    }
}

async fn run<E: Env>(node: Rc<Node<E>>, partition: Rc<Partition<E>>, seat: Rc<Seat>) {
    // A log that is off line has nothing to show: nobody is told that there is nothing.
    let lags = || partition.lags() && !planted(Defect::GcLoadStopsEarly);
    while !seat.over.get() && !node.is_stopping() && (lags() || !partition.is_online()) {
        node.env.timeout(RETRY, seat.changed.notified()).await;
    }
    let Some(shard) = load(&node, &partition, &seat).await else { return };
    if !partition.is_online() {
        // Whoever opens it again begins anew ([`lead`]).
        return;
    }
    *seat.shard.borrow_mut() = Some(shard);
    know_topics(&node);
    let topics = node.groups.topics.borrow().clone();
    seat.step(&node, &partition, Input::Topics(topics));
    forget_deleted(&node, &partition, &seat);
    while !seat.over.get() && !node.is_stopping() {
        seat.step(&node, &partition, Input::HighWatermark(partition.high()));
        let due = || seat.shard.borrow().as_ref().map(Shard::due);
        if due().is_some_and(|due| due <= node.env.now()) {
            seat.step(&node, &partition, Input::Tick);
        }
        let Some(due) = due() else { return };
        // Whatever is due again at once must not keep everyone else waiting.
        let wait = due.since(node.env.now()).max(SHORTEST);
        node.env.timeout(wait, seat.changed.notified()).await;
    }
}

/// Topics that were deleted while nobody coordinated these groups, or before what they had committed was read, are gone
/// like others ([`topic_gone`]). Whoever accepted a commit knew of the topic, and of less than whoever leads now: one that
/// is not there now is not one that is not known yet.
fn forget_deleted<E: Env>(node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, seat: &Seat) {
    let image = node.image();
    let gone: Vec<Arc<str>> = match &*seat.shard.borrow() {
        Some(shard) => shard.topics().into_iter().filter(|topic| image.topic(topic).is_none()).cloned().collect(),
        None => return,
    };
    for topic in gone {
        seat.step(node, partition, Input::TopicGone(topic));
    }
}

/// Reads all that is committed. `None`: it was over before that.
async fn load<E: Env>(node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, seat: &Seat) -> Option<Shard> {
    let mut shard = Shard::new(node.config.groups.clone(), now(node));
    let mut from = partition.log_start();
    while from < partition.high() {
        if seat.over.get() {
            return None;
        }
        match chunk(partition, from) {
            Ok((records, next)) if next > from => {
                records.into_iter().for_each(|record| shard.load(record, now(node)));
                from = next;
                // A long log must not keep everyone else waiting.
                node.env.sleep(SHORTEST).await;
            }
            Ok(_) | Err(_) => node.env.sleep(RETRY).await,
        }
        from = from.max(partition.log_start());
    }
    shard.loaded(now(node));
    (!seat.over.get()).then_some(shard)
}

fn chunk<E: Env>(partition: &Partition<E>, from: Offset) -> Result<(Vec<Record>, Offset), LogError> {
    let slice = partition.with_log(|log| log.read(from, CHUNK, partition.high(), true))?;
    let (mut bytes, mut records) = (slice.records, Vec::new());
    while !bytes.is_empty() {
        let batch = Unpacked::take(&mut bytes, MOST_INFLATED).map_err(LogError::Batch)?;
        for record in batch.records() {
            let record = record.map_err(LogError::Batch)?;
            // Another kind, of a newer broker or of somebody who wrote here, says nothing of these groups.
            let known = record.key.and_then(|key| Record::decode(key, record.value));
            records.extend(known.filter(|_| record.offset >= from));
        }
    }
    Ok((records, slice.next))
}

fn now<E: Env>(node: &Node<E>) -> Now {
    Now { mono: node.env.now(), wall: node.env.wall() }
}

impl Seat {
    /// One input, and all that follows from it.
    fn step<E: Env>(&self, node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let mut due = None;
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            if let Some(shard) = &mut *self.shard.borrow_mut() {
                due.get_or_insert(shard.due());
                shard.step(now(node), input, &mut effects);
            }
            for effect in effects {
                match effect {
                    Effect::Write(token, records) => inputs.push_back(append(node, partition, token, &records)),
                    Effect::Answer(ticket, answer) => {
                        // Whoever asked may have gone.
                        let waiting = self.waiting.borrow_mut().remove(&ticket);
                        let _ = waiting.map(|waiting| waiting.send(answer));
                    }
                }
            }
        }
        let shard = self.shard.borrow();
        if shard.as_ref().zip(due).is_some_and(|(shard, due)| shard.due() < due) {
            self.changed.notify_one();
        }
    }
}

fn append<E: Env>(node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, token: Token, records: &[Record]) -> Input {
    match try_append(node, partition, records) {
        Ok(end) => Input::Appended(token, end),
        Err(error) => Input::Refused(token, error),
    }
}

/// Where the records end in the log. An error: they are not there.
fn try_append<E: Env>(
    node: &Rc<Node<E>>,
    partition: &Rc<Partition<E>>,
    records: &[Record],
) -> Result<Offset, ResponseError> {
    if node.is_stopping() || partition.check_leads().is_err() {
        return Err(ResponseError::NotCoordinator);
    }
    partition.check_in_sync().map_err(|_| ResponseError::CoordinatorNotAvailable)?;
    let (epoch, wall) = (partition.epoch(), node.env.wall());
    let mut builder = BatchBuilder::new();
    for record in records {
        let (key, value) = record.encode();
        builder.append(wall, Some(&key), value.as_deref(), std::iter::empty::<(&[u8], Option<&[u8]>)>());
    }
    let mut batch = builder.finish(Compression::None).to_vec();
    let appended =
        partition.with_log(|log| log.append_leader(&mut batch, epoch, wall)).map_err(|error| match error {
            LogError::Batch(BatchError::TooLarge { .. }) => ResponseError::InvalidCommitOffsetSize,
            _ => ResponseError::CoordinatorNotAvailable,
        })?;
    partition.state_append(node, &batch, &appended);
    partition.appended(node, &appended, true, None);
    Ok(appended.last + 1)
}
