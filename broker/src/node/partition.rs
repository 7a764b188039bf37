//! One partition on this node: its log, its leader's state, and the requests that wait for it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;

use super::Node;
use super::checkpoints::{Turns, Written};
use super::wait::{Parts, Watch, Watchers};
use crate::config::LogConfig;
use crate::controller::record::TopicId;
use crate::env::{Disk, Env, Mono};
use crate::fact::{Fact, ProducerMark};
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::{Appended, Log, LogError};
use crate::replica::leader::{Effect, Input, Leader, Ticket, Waiting};

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
    /// What is to be written down of the log while there is none.
    written: Cell<Written>,
    /// Where the log ended that a failed write took off line.
    ended: Cell<Option<Offset>>,
    leader: RefCell<Leader>,
    acks: RefCell<BTreeMap<Ticket, Ack>>,
    next_ticket: Cell<Ticket>,
    watchers: Watchers,
    /// Batches above the high watermark: (end offset, bytes).
    hidden: RefCell<VecDeque<(Offset, u64)>>,
    /// An fsync is under way; told when it has ended.
    flushing: Cell<bool>,
    flush_ended: Notify,
    /// One fsync at a time: they write files beside it, too.
    syncing: Turns,
    /// What was last stated of log start, high watermark and log end.
    stated: Cell<(Offset, Offset, Offset)>,
}

impl<E: Env> Partition<E> {
    /// Over an open log that is durable to its end, or over none.
    pub fn new(
        tp: TopicPartition,
        topic: TopicId,
        log: Option<Log<E::Disk>>,
        leader: Leader,
        written: Written,
    ) -> Rc<Self> {
        Rc::new(Self {
            tp,
            topic,
            trouble: Cell::new(if log.is_some() { Trouble::None } else { Trouble::Passing }),
            log: RefCell::new(log),
            written: Cell::new(written),
            ended: Cell::new(None),
            leader: RefCell::new(leader),
            acks: RefCell::default(),
            next_ticket: Cell::new(0),
            watchers: Watchers::default(),
            hidden: RefCell::default(),
            flushing: Cell::new(false),
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
            Some(log) => Written { point: log.recovery_point(), start: log.log_start() },
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
        self.flushing.set(true);
        (self.written.get(), self.ended.get())
    }

    /// Puts the log in, opened again and durable to its end, unless the partition is gone meanwhile.
    pub(super) fn end_revival(self: &Rc<Self>, node: &Rc<Node<E>>, opened: Result<Log<E::Disk>, LogError>) {
        self.flushing.set(false);
        self.flush_ended.notify_waiters();
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
                self.watchers.fire_all();
            }
            Err(error) => self.trouble.set(Trouble::of(&error)),
        }
    }

    /// Whether its log may come back: it is off line, but neither damaged nor deleted nor in use.
    pub(super) fn wants_revival(&self) -> bool {
        !self.is_online() && self.trouble.get() != Trouble::Lasting && !self.flushing.get()
    }

    /// First offset kept; 0 without a log.
    pub fn log_start(&self) -> Offset {
        self.log.borrow().as_ref().map_or(0, Log::log_start)
    }

    /// The high watermark.
    pub fn high(&self) -> Offset {
        self.leader.borrow().high()
    }

    /// Last stable offset.
    pub fn stable(&self) -> Offset {
        self.leader.borrow().stable()
    }

    /// The epoch this node leads it in.
    pub fn epoch(&self) -> LeaderEpoch {
        self.leader.borrow().epoch()
    }

    /// In-sync replicas.
    pub fn in_sync(&self) -> usize {
        self.leader.borrow().in_sync().len()
    }

    /// Whether an acknowledgement promises that the records are on disk.
    pub fn durable(&self) -> bool {
        self.leader.borrow().durable()
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

    /// Takes in records that were appended. `waits`: the request's part that waits until they are committed.
    pub fn appended(self: &Rc<Self>, node: &Rc<Node<E>>, appended: &Appended, waits: Option<Waits<'_>>) {
        self.hidden.borrow_mut().push_back((appended.last + 1, appended.bytes as u64));
        let waiting = waits.map(|waits| self.waiting(waits));
        let records = u64::try_from(appended.last - appended.base + 1).unwrap_or(0);
        self.step(node, Input::Appended { end: appended.last + 1, records, waiting });
    }

    /// A batch came again that ends at `last`: the request's part waits until the first one is committed.
    pub fn repeated(self: &Rc<Self>, node: &Rc<Node<E>>, last: Offset, waits: Option<Waits<'_>>) {
        if let Some(waits) = waits {
            let waiting = self.waiting(waits);
            self.step(node, Input::Duplicate { end: last + 1, waiting });
        }
    }

    fn waiting(&self, (parts, at, deadline): Waits<'_>) -> Waiting {
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket + 1);
        self.acks.borrow_mut().insert(ticket, Ack { parts: parts.clone(), at });
        Waiting { ticket, deadline }
    }

    /// States what is known of idempotent producers.
    pub fn state_producers(&self, node: &Node<E>) {
        let Some(fact) = self.log.borrow().as_ref().filter(|_| node.env.hears()).map(producers) else { return };
        node.env.tell(fact);
    }

    /// Lets `watch` know of bytes to come.
    pub fn watch(&self, watch: &Rc<Watch>) {
        self.watchers.add(watch);
    }

    /// Gives the leader an input and does what it asks for.
    pub fn step(self: &Rc<Self>, node: &Rc<Node<E>>, input: Input) {
        let mut effects = node.effects.take();
        self.leader.borrow_mut().step(node.env.now(), input, &mut effects);
        self.carry_out(node, effects);
    }

    /// Begins an fsync if there is something to sync and none is under way.
    pub fn flush_now(self: &Rc<Self>, node: &Rc<Node<E>>) {
        let mut effects = node.effects.take();
        self.leader.borrow_mut().flush_now(&mut effects);
        self.carry_out(node, effects);
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
            }
        }
        *node.effects.borrow_mut() = effects;
        self.state_marks(node);
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
        let leader = self.leader.borrow();
        let now = (self.log_start(), leader.high(), leader.end());
        if self.stated.replace(now) != now {
            node.env.tell(Fact::Watermarks {
                tp: self.tp.clone(),
                log_start: now.0,
                stable: leader.stable(),
                high: now.1,
                end: now.2,
                epoch: leader.epoch(),
            });
        }
    }

    fn begin_flush(self: &Rc<Self>, node: &Rc<Node<E>>) {
        self.flushing.set(true);
        let (partition, with) = (self.clone(), node.clone());
        // A task of its own: what else is appended before it runs shares the fsync.
        node.env.spawn("flush", async move {
            let synced = partition.flush(&with).await;
            partition.flushing.set(false);
            partition.flush_ended.notify_waiters();
            match synced {
                Ok(Some(upto)) => partition.step(&with, Input::Flushed { upto }),
                Ok(None) => {}
                Err(error) => partition.lost(&with, &error),
            }
        });
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
        self.watchers.fire_all();
        node.env.halt(&format!("{}: {error}", self.tp));
    }

    /// Applies other settings from the next append on.
    pub fn configure(self: &Rc<Self>, node: &Rc<Node<E>>, config: &LogConfig) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.configure(config.clone());
        }
        self.step(node, Input::Policy(config.flush));
    }

    /// Takes the log away and fails who waits, because the topic is gone. Returns when no fsync uses its files.
    pub async fn retire(self: &Rc<Self>, node: &Rc<Node<E>>) -> Option<Log<E::Disk>> {
        self.trouble.set(Trouble::Lasting);
        let log = self.log.take();
        for ack in std::mem::take(&mut *self.acks.borrow_mut()).into_values() {
            ack.parts.end(ack.at, Err(ResponseError::UnknownTopicOrPartition));
        }
        self.step(node, Input::Lost);
        self.watchers.fire_all();
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
        while self.flushing.get() {
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
