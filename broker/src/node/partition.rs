//! One partition on this node: its log, its part as leader or follower, and the requests that wait for it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;

use super::Node;
use super::checkpoints::{Turns, Written};
use super::wait::{Parts, Watch, Watchers};
use crate::config::{FlushPolicy, LogConfig};
use crate::controller::image::PartitionState;
use crate::controller::record::TopicId;
use crate::env::{Disk, Env, Mono};
use crate::fact::{Fact, ProducerMark};
use crate::ids::{LeaderEpoch, NodeId, Offset, TopicPartition};
use crate::log::{Appended, Log, LogError};
use crate::replica::follower::Follower;
use crate::replica::leader::{Beginning, Effect, Input, Leader, Ticket, Waiting};

/// How one partition's part of a produce request ended.
pub type AckEnd = Result<(), ResponseError>;

/// A produce request's part that waits: the request, which part of it, and until when.
pub type Waits<'a> = (&'a Rc<Parts<AckEnd>>, usize, Mono);

/// Why a partition's log does not take records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It does.
    None,
    /// A read or write has failed: it may work again.
    Passing,
    /// What was durable is damaged, or the topic is gone.
    Lasting,
}

impl Trouble {
    /// What kind of trouble an error is.
    pub fn of(error: &LogError) -> Self {
        match error {
            LogError::Io(_) | LogError::Offline => Trouble::Passing,
            _ => Trouble::Lasting,
        }
    }
}

/// A produce request that waits for this partition.
struct Ack {
    parts: Rc<Parts<AckEnd>>,
    at: usize,
}

/// This node's part in a partition.
pub(super) enum Role {
    /// It leads.
    Leader(Box<Leader>),
    /// It follows, or waits for somebody to lead.
    Follower(Follower),
}

impl Role {
    fn epoch(&self) -> LeaderEpoch {
        match self {
            Role::Leader(leader) => leader.epoch(),
            Role::Follower(follower) => follower.epoch,
        }
    }
}

/// Stands for more bytes than any fetch waits for.
const PLENTY: u64 = u64::MAX / 2;

/// One partition.
pub struct Partition<E: Env> {
    /// Which.
    pub tp: TopicPartition,
    /// Of which topic, by identity.
    pub topic: TopicId,
    /// `None`: it could not be opened, or its topic was deleted.
    log: RefCell<Option<Log<E::Disk>>>,
    /// Why it has none, or none that works.
    pub(super) trouble: Cell<Trouble>,
    /// The log is about to be cut to there: no higher recovery point may be written down.
    pub(super) cut_point: Cell<Option<Offset>>,
    /// What is to be written down of the log while there is none.
    written: Cell<Written>,
    /// Where the log ended that a failed write took off line.
    ended: Cell<Option<Offset>>,
    pub(super) role: RefCell<Role>,
    policy: Cell<(FlushPolicy, usize)>,
    acks: RefCell<BTreeMap<Ticket, Ack>>,
    next_ticket: Cell<Ticket>,
    watchers: Watchers,
    /// Followers' fetches, which see the log to its end.
    tail: Watchers,
    /// The high watermark that each follower was last told.
    told: RefCell<BTreeMap<NodeId, Offset>>,
    /// Batches above the high watermark: (end offset, bytes).
    hidden: RefCell<VecDeque<(Offset, u64)>>,
    /// So many fsyncs are under way; told when one has ended.
    flushing: Cell<u32>,
    flush_ended: Notify,
    /// One fsync at a time: they write files beside it, too.
    syncing: Turns,
    /// What was last stated of log start, high watermark and log end.
    stated: Cell<(Offset, Offset, Offset)>,
}

impl<E: Env> Partition<E> {
    /// Over an open log that is durable to its end, or over none. It has no part yet. `high`: the high watermark written
    /// down.
    pub fn new(
        tp: TopicPartition,
        topic: TopicId,
        log: Option<Log<E::Disk>>,
        config: &LogConfig,
        written: Written,
        high: Offset,
    ) -> Rc<Self> {
        let (start, end) = log.as_ref().map_or((0, 0), |log| (log.log_start(), log.log_end()));
        let waiting = Follower { leader: None, epoch: -1, high: high.clamp(start, end.max(start)) };
        Rc::new(Self {
            tp,
            topic,
            trouble: Cell::new(if log.is_some() { Trouble::None } else { Trouble::Passing }),
            log: RefCell::new(log),
            cut_point: Cell::new(None),
            written: Cell::new(written),
            ended: Cell::new(None),
            role: RefCell::new(Role::Follower(waiting)),
            policy: Cell::new((config.flush, config.min_insync_replicas as usize)),
            acks: RefCell::default(),
            next_ticket: Cell::new(0),
            watchers: Watchers::default(),
            tail: Watchers::default(),
            told: RefCell::default(),
            hidden: RefCell::default(),
            flushing: Cell::new(0),
            flush_ended: Notify::new(),
            syncing: Turns::default(),
            stated: Cell::new((-1, -1, -1)),
        })
    }

    /// What `f` makes of the log; KAFKA_STORAGE_ERROR if there is none.
    pub fn with_log<T>(&self, f: impl FnOnce(&mut Log<E::Disk>) -> Result<T, LogError>) -> Result<T, LogError> {
        match &mut *self.log.borrow_mut() {
            Some(log) => f(log),
            None => Err(LogError::Offline),
        }
    }

    /// What is to be written down of its log. A log that could not be opened keeps what was: it may be readable again.
    pub fn written(&self) -> Written {
        match &*self.log.borrow() {
            Some(log) => {
                let point = log.recovery_point();
                Written { point: self.cut_point.get().map_or(point, |cut| cut.min(point)), start: log.log_start() }
            }
            None => self.written.get(),
        }
    }

    /// Whether it has a log that takes records.
    pub fn is_online(&self) -> bool {
        self.log.borrow().as_ref().is_some_and(|log| !log.is_offline())
    }

    /// Begins to open the log again: takes out what is off line. Returns what is known of it: what is written down, and
    /// where it ended, if it ever was open.
    pub(super) fn begin_revival(&self) -> (Written, Option<Offset>) {
        self.written.set(self.written());
        if let Some(log) = self.log.borrow_mut().take() {
            self.ended.set(Some(log.log_end()));
        }
        // Whoever wants to remove its files waits as for an fsync.
        self.flushing.set(self.flushing.get() + 1);
        (self.written.get(), self.ended.get())
    }

    /// Puts the log in, opened again and durable to its end, unless the partition is gone meanwhile.
    pub(super) fn end_revival(self: &Rc<Self>, node: &Rc<Node<E>>, opened: Result<Log<E::Disk>, LogError>) {
        self.flush_over();
        if self.trouble.get() == Trouble::Lasting {
            return;
        }
        match opened {
            Ok(log) => {
                let end = log.log_end();
                while self.hidden.borrow_mut().pop_back_if(|(upto, _)| *upto > end).is_some() {}
                *self.log.borrow_mut() = Some(log);
                self.trouble.set(Trouble::None);
                self.step(node, Input::Reopened { end });
                self.state_producers(node);
                self.fire_all();
            }
            Err(error) => self.trouble.set(Trouble::of(&error)),
        }
    }

    /// Whether its log may come back: it is off line, but neither damaged nor deleted nor in use.
    pub(super) fn wants_revival(&self) -> bool {
        !self.is_online() && self.trouble.get() != Trouble::Lasting && self.flushing.get() == 0
    }

    /// First offset kept; 0 without a log.
    pub fn log_start(&self) -> Offset {
        self.log.borrow().as_ref().map_or(0, Log::log_start)
    }

    /// The high watermark.
    pub fn high(&self) -> Offset {
        match &*self.role.borrow() {
            Role::Leader(leader) => leader.high(),
            Role::Follower(follower) => follower.high,
        }
    }

    /// Last stable offset: the high watermark, as long as there are no transactions.
    pub fn stable(&self) -> Offset {
        self.high()
    }

    /// The newest leader epoch known.
    pub fn epoch(&self) -> LeaderEpoch {
        self.role.borrow().epoch()
    }

    /// NOT_LEADER_OR_FOLLOWER, unless this node leads it.
    pub fn check_leads(&self) -> Result<(), ResponseError> {
        match &*self.role.borrow() {
            Role::Leader(_) => Ok(()),
            Role::Follower(_) => Err(ResponseError::NotLeaderOrFollower),
        }
    }

    /// Replicas known to be in sync; none if this node does not lead.
    pub fn in_sync(&self) -> usize {
        match &*self.role.borrow() {
            Role::Leader(leader) => leader.in_sync().committed().len(),
            Role::Follower(_) => 0,
        }
    }

    /// Replicas that are or may be in sync and have everything below `upto`; none if this node does not lead.
    pub fn having(&self, upto: Offset) -> usize {
        match &*self.role.borrow() {
            Role::Leader(leader) => leader.having(upto),
            Role::Follower(_) => 0,
        }
    }

    /// Whether an acknowledgement promises that the records are on disk.
    pub fn durable(&self) -> bool {
        self.policy.get().0 == FlushPolicy::Always
    }

    /// Compares the epoch a client believes in with the one in force; -1 believes nothing (KIP-320).
    pub fn check_epoch(&self, believed: LeaderEpoch) -> Result<(), ResponseError> {
        let epoch = self.epoch();
        match believed {
            -1 => Ok(()),
            b if b < epoch => Err(ResponseError::FencedLeaderEpoch),
            b if b > epoch => Err(ResponseError::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Takes in records that were appended. `waits`: the request's part that waits until they are committed (`all`), or
    /// stored here.
    pub fn appended(self: &Rc<Self>, node: &Rc<Node<E>>, appended: &Appended, all: bool, waits: Option<Waits<'_>>) {
        self.hidden.borrow_mut().push_back((appended.last + 1, appended.bytes as u64));
        self.tail.more(appended.bytes as u64);
        let waiting = waits.map(|waits| self.waiting(all, waits));
        let records = u64::try_from(appended.last - appended.base + 1).unwrap_or(0);
        self.step(node, Input::Appended { end: appended.last + 1, records, waiting });
    }

    /// A batch came again that ends at `last`: the request's part waits until the first one is as safe.
    pub fn repeated(self: &Rc<Self>, node: &Rc<Node<E>>, last: Offset, all: bool, waits: Option<Waits<'_>>) {
        if let Some(waits) = waits {
            let waiting = self.waiting(all, waits);
            self.step(node, Input::Duplicate { end: last + 1, waiting });
        }
    }

    fn waiting(&self, all: bool, (parts, at, deadline): Waits<'_>) -> Waiting {
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket + 1);
        self.acks.borrow_mut().insert(ticket, Ack { parts: parts.clone(), at });
        Waiting { ticket, all, deadline }
    }

    /// States what is known of idempotent producers.
    pub fn state_producers(&self, node: &Node<E>) {
        let Some(fact) = self.log.borrow().as_ref().filter(|_| node.env.hears()).map(producers) else { return };
        node.env.tell(fact);
    }

    /// Lets `watch` know of bytes to come: committed ones, or, for a follower, any.
    pub fn watch(&self, watch: &Rc<Watch>, follower: bool) {
        let watchers = if follower { &self.tail } else { &self.watchers };
        watchers.add(watch);
    }

    /// The high watermark that a follower was last told; -1: none in this node's time as leader.
    pub fn told(&self, follower: NodeId) -> Offset {
        self.told.borrow().get(&follower).copied().unwrap_or(-1)
    }

    /// A follower is being told the high watermark.
    pub fn tell(&self, follower: NodeId) {
        let high = self.high();
        self.told.borrow_mut().insert(follower, high);
    }

    /// A follower has more to show.
    pub(super) fn shown_more(&self) {
        self.watchers.more(PLENTY);
    }

    fn fire_all(&self) {
        self.watchers.fire_all();
        self.tail.fire_all();
    }

    /// Gives the leader an input and does what it asks for. Whoever does not lead has nothing to do.
    pub fn step(self: &Rc<Self>, node: &Rc<Node<E>>, input: Input) {
        let mut effects = node.effects.take();
        if let Role::Leader(leader) = &mut *self.role.borrow_mut() {
            leader.step(node.env.now(), input, &mut effects);
        }
        self.carry_out(node, effects);
    }

    /// Begins an fsync if there is something to sync and none is under way.
    pub fn flush_now(self: &Rc<Self>, node: &Rc<Node<E>>) {
        let mut effects = node.effects.take();
        if let Role::Leader(leader) = &mut *self.role.borrow_mut() {
            leader.flush_now(&mut effects);
        }
        self.carry_out(node, effects);
    }

    /// Takes up the part that the cluster gives it. News older than what it knows changes nothing.
    pub fn assume(self: &Rc<Self>, node: &Rc<Node<E>>, state: &PartitionState) {
        let leads = state.leader == Some(node.config.node_id);
        let (same, newer) = match &*self.role.borrow() {
            Role::Leader(leader) => (leads && leader.epoch() == state.leader_epoch, state.leader_epoch > leader.epoch()),
            Role::Follower(follower) => {
                let same = !leads && follower.epoch == state.leader_epoch && follower.leader == state.leader;
                (same, state.leader_epoch >= follower.epoch)
            }
        };
        if same {
            let (replicas, in_sync) = (state.replicas.clone(), state.in_sync.clone());
            self.step(node, Input::Decided { partition_epoch: state.partition_epoch, replicas, in_sync });
        } else if newer && leads {
            self.lead(node, state);
        } else if newer {
            self.follow(node, state);
        }
    }

    fn lead(self: &Rc<Self>, node: &Rc<Node<E>>, state: &PartitionState) {
        node.fetchers.forget(&self.tp);
        self.told.borrow_mut().clear();
        let (end, flushed) = self.log.borrow().as_ref().map_or((0, 0), |log| (log.log_end(), log.flushed()));
        let (policy, least) = self.policy.get();
        let begin = Beginning {
            me: node.config.node_id,
            now: node.env.now(),
            end,
            flushed,
            high: self.high(),
            policy,
            least,
            lag: node.config.replica_lag_time_max,
        };
        *self.hidden.borrow_mut() = VecDeque::from([(end, PLENTY)]);
        let mut effects = node.effects.take();
        let leader = Leader::new(&begin, state, &mut effects);
        *self.role.borrow_mut() = Role::Leader(Box::new(leader));
        node.tell(|| Fact::Leads {
            tp: self.tp.clone(),
            epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            end,
            in_sync: state.in_sync.clone(),
        });
        self.carry_out(node, effects);
        self.fire_all();
    }

    fn follow(self: &Rc<Self>, node: &Rc<Node<E>>, state: &PartitionState) {
        let follower = Follower { leader: state.leader, epoch: state.leader_epoch, high: self.high() };
        *self.role.borrow_mut() = Role::Follower(follower);
        self.hidden.borrow_mut().clear();
        node.tell(|| Fact::Follows { tp: self.tp.clone(), epoch: state.leader_epoch, leader: state.leader });
        // Whoever leads now may have other records in their place.
        for ack in std::mem::take(&mut *self.acks.borrow_mut()).into_values() {
            ack.parts.end(ack.at, Err(ResponseError::NotLeaderOrFollower));
        }
        self.fire_all();
        self.state_marks(node);
        node.fetchers.forget(&self.tp);
        if let Some(leader) = state.leader {
            super::fetcher::follow(node, leader, self);
        }
    }

    fn carry_out(self: &Rc<Self>, node: &Rc<Node<E>>, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Flush => self.begin_flush(node),
                Effect::FlushWithin(ms) => node.flush_within(self, ms),
                Effect::HighWatermark(high) => self.show_below(high),
                Effect::Ack(ticket) => self.ack(ticket, Ok(())),
                Effect::TimedOut(ticket) => self.ack(ticket, Err(ResponseError::RequestTimedOut)),
                Effect::Lost(ticket) => self.ack(ticket, Err(ResponseError::KafkaStorageError)),
                Effect::TooFew(ticket) => self.ack(ticket, Err(ResponseError::NotEnoughReplicasAfterAppend)),
                Effect::Propose(proposal) => super::propose::send(node, self, proposal),
                Effect::InSync => self.state_in_sync(node),
            }
        }
        *node.effects.borrow_mut() = effects;
        self.state_marks(node);
    }

    fn state_in_sync(&self, node: &Node<E>) {
        if let Role::Leader(leader) = &*self.role.borrow() {
            let (epoch, in_sync) = (leader.epoch(), leader.in_sync());
            node.tell(|| Fact::InSync {
                tp: self.tp.clone(),
                epoch,
                partition_epoch: in_sync.partition_epoch(),
                in_sync: in_sync.committed().to_vec(),
                maximal: in_sync.maximal().to_vec(),
            });
        }
    }

    fn ack(&self, ticket: Ticket, end: AckEnd) {
        let ack = self.acks.borrow_mut().remove(&ticket);
        if let Some(ack) = ack {
            ack.parts.end(ack.at, end);
        }
    }

    fn show_below(&self, high: Offset) {
        let mut shown = 0;
        let mut hidden = self.hidden.borrow_mut();
        while let Some((_, bytes)) = hidden.pop_front_if(|(end, _)| *end <= high) {
            shown += bytes;
        }
        drop(hidden);
        self.watchers.more(shown);
    }

    /// States the offsets if any of them moved.
    pub fn state_marks(&self, node: &Node<E>) {
        if !node.env.hears() {
            return;
        }
        let end = match &*self.role.borrow() {
            Role::Leader(leader) => leader.end(),
            Role::Follower(_) => self.log.borrow().as_ref().map_or(0, Log::log_end),
        };
        let now = (self.log_start(), self.high(), end);
        if self.stated.replace(now) != now {
            node.env.tell(Fact::Watermarks {
                tp: self.tp.clone(),
                log_start: now.0,
                stable: self.stable(),
                high: now.1,
                end: now.2,
                epoch: self.epoch(),
            });
        }
    }

    fn begin_flush(self: &Rc<Self>, node: &Rc<Node<E>>) {
        self.flushing.set(self.flushing.get() + 1);
        let (partition, with) = (self.clone(), node.clone());
        // A task of its own: what else is appended before it runs shares the fsync.
        node.env.spawn("flush", async move {
            let synced = partition.flush(&with).await;
            partition.flush_over();
            match synced {
                Ok(Some(upto)) => partition.step(&with, Input::Flushed { upto }),
                Ok(None) => {}
                Err(error) => partition.lost(&with, &error),
            }
        });
    }

    fn flush_over(&self) {
        self.flushing.set(self.flushing.get() - 1);
        self.flush_ended.notify_waiters();
    }

    /// Makes a follower's log durable, as its flush policy promises for whatever its leader counts on.
    pub(super) async fn flush_followed(self: &Rc<Self>, node: &Rc<Node<E>>) {
        self.flushing.set(self.flushing.get() + 1);
        let synced = self.flush(node).await;
        self.flush_over();
        if let Err(error) = synced {
            self.lost(node, &error);
        }
    }

    /// One fsync. `None` if the partition is gone meanwhile.
    async fn flush(&self, node: &Node<E>) -> Result<Option<Offset>, LogError> {
        let _turn = self.syncing.turn().await;
        let begun = self.log.borrow().as_ref().map(Log::begin_flush).transpose()?;
        let Some(flush) = begun else { return Ok(None) };
        let synced = flush.sync().await;
        let mut log = self.log.borrow_mut();
        let Some(log) = &mut *log else { return Ok(None) };
        synced?;
        log.end_flush(flush)?;
        let upto = log.flushed();
        node.tell(|| Fact::Flushed { tp: self.tp.clone(), upto });
        Ok(Some(upto))
    }

    /// Makes durable what is known of producers before batches that said it may be removed for good.
    pub(super) async fn flush_before_trim(&self, node: &Node<E>) -> std::io::Result<()> {
        if self.log.borrow().as_ref().is_some_and(|log| !log.is_offline() && log.wants_flush_before_trim()) {
            self.flush(node).await.map_err(std::io::Error::other)?;
        }
        Ok(())
    }

    /// An fsync has failed. What was not acknowledged may be gone, what was read may never have been written: the node
    /// has nothing to promise any more, and stops.
    fn lost(self: &Rc<Self>, node: &Rc<Node<E>>, error: &LogError) {
        self.step(node, Input::Lost);
        self.fire_all();
        node.env.halt(&format!("{}: {error}", self.tp));
    }

    /// Applies other settings from the next append on.
    pub fn configure(self: &Rc<Self>, node: &Rc<Node<E>>, config: &LogConfig) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.configure(config.clone());
        }
        let (flush, least) = (config.flush, config.min_insync_replicas as usize);
        self.policy.set((flush, least));
        self.step(node, Input::Policy { flush, least });
    }

    /// Takes the log away and fails who waits, because the topic is gone. Returns when no fsync uses its files.
    pub async fn retire(self: &Rc<Self>, node: &Rc<Node<E>>) -> Option<Log<E::Disk>> {
        node.fetchers.forget(&self.tp);
        self.trouble.set(Trouble::Lasting);
        let log = self.log.take();
        for ack in std::mem::take(&mut *self.acks.borrow_mut()).into_values() {
            ack.parts.end(ack.at, Err(ResponseError::UnknownTopicOrPartition));
        }
        self.step(node, Input::Lost);
        self.fire_all();
        self.unused().await;
        log
    }

    /// Takes the log away at shutdown, when nothing may be appended any more and no fsync is under way.
    pub async fn close(self: &Rc<Self>) -> Option<Log<E::Disk>> {
        self.unused().await;
        self.log.take()
    }

    /// Returns when no fsync uses the log's files.
    async fn unused(&self) {
        while self.flushing.get() > 0 {
            self.flush_ended.notified().await;
        }
        drop(self.syncing.turn().await);
    }
}

fn producers<D: Disk>(log: &Log<D>) -> Fact {
    let known = log.producers().iter().map(|(producer, state)| ProducerMark {
        producer,
        epoch: state.epoch,
        window: state.batches.iter().map(|batch| (batch.first, batch.last, batch.base)).collect(),
    });
    Fact::Producers { tp: log.tp().clone(), end: log.log_end(), known: known.collect() }
}

/// The directory of a partition, as Kafka names it.
pub fn directory(tp: &TopicPartition) -> String {
    tp.to_string()
}

/// The partition whose directory has that name.
pub fn of_directory(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let partition: i32 = partition.parse().ok().filter(|p| *p >= 0)?;
    let tp = TopicPartition::new(topic, partition);
    (crate::controller::plan::is_legal(topic) && directory(&tp) == name).then_some(tp)
}

/// Removes a partition's directory that no topic claims.
pub fn remove_directory<D: Disk>(disk: &D, name: &str) -> std::io::Result<()> {
    for file in disk.list(name)? {
        disk.remove(&format!("{name}/{file}"))?;
    }
    disk.remove_dir(name)
}
