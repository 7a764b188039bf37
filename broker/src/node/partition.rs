//! One partition on this node: its log, its part as leader or follower, and the requests that wait for it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;

use super::Node;
use super::checkpoints::{Turns, Written};
use super::meter::Flow;
use super::role::Role;
use super::wait::{Parts, Watch, Watchers};
use crate::config::{FlushPolicy, LogConfig};
use crate::controller::record::TopicId;
use crate::env::{Disk, Env, Mono};
use crate::fact::{Fact, ProducerMark};
use crate::ids::{NodeId, Offset, TopicPartition};
use crate::log::compact::Exchange;
use crate::log::producers::sequence_after;
use crate::log::{Appended, Log, LogError};
use crate::record::Header;
use crate::replica::follower::Follower;
use crate::replica::leader::{Input, Ticket};

/// How one partition's part of a produce request ended: with so many replicas known to have its records, or why not.
pub type AckEnd = Result<u32, ResponseError>;

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
pub(super) struct Ack {
    /// The request.
    pub parts: Rc<Parts<AckEnd>>,
    /// Which of its parts.
    pub at: usize,
}

/// One partition.
pub struct Partition<E: Env> {
    /// Which.
    pub tp: TopicPartition,
    /// Of which topic, by identity.
    pub topic: TopicId,
    /// `None`: it could not be opened, or its topic was deleted.
    pub(super) log: RefCell<Option<Log<E::Disk>>>,
    /// Why it has none, or none that works.
    pub(super) trouble: Cell<Trouble>,
    /// The log is about to be cut to there: no higher recovery point may be written down.
    pub(super) cut_point: Cell<Option<Offset>>,
    /// What is to be written down of the log while there is none.
    written: Cell<Written>,
    /// Where the log ended that a failed write took off line.
    ended: Cell<Option<Offset>>,
    pub(super) role: RefCell<Role>,
    pub(super) policy: Cell<(FlushPolicy, usize)>,
    pub(super) acks: RefCell<BTreeMap<Ticket, Ack>>,
    pub(super) next_ticket: Cell<Ticket>,
    pub(super) watchers: Watchers,
    /// Followers' fetches, which see the log to its end.
    pub(super) tail: Watchers,
    /// The high watermark that each follower was last told.
    pub(super) told: RefCell<BTreeMap<NodeId, Offset>>,
    /// Where each follower's log begins, by its own word in this leader epoch.
    pub(super) begins: RefCell<BTreeMap<NodeId, Offset>>,
    /// Batches above the high watermark: (end offset, bytes).
    pub(super) hidden: RefCell<VecDeque<(Offset, u64)>>,
    /// So many fsyncs are under way; told when one has ended.
    flushing: Cell<u32>,
    flush_ended: Notify,
    /// One fsync at a time: they write files beside it, too.
    syncing: Turns,
    /// What was last stated of log start, high watermark and log end.
    pub(super) stated: Cell<(Offset, Offset, Offset)>,
    pub(crate) flow: Flow,
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
            begins: RefCell::default(),
            hidden: RefCell::default(),
            flushing: Cell::new(0),
            flush_ended: Notify::new(),
            syncing: Turns::default(),
            stated: Cell::new((-1, -1, -1)),
            flow: Flow::default(),
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

    /// Where its log ended when it was taken out; 0: it never was open.
    pub(super) fn ended(&self) -> Offset {
        self.ended.get().unwrap_or(0)
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
                if self.check_leads().is_ok() {
                    // What was appended and not committed may be gone.
                    super::groups::lead(node, self);
                }
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

    /// States that a batch was appended, and that the log was rolled for it.
    pub fn state_append(&self, node: &Node<E>, batch: &[u8], appended: &Appended) {
        if !node.env.hears() {
            return;
        }
        if let Some(base) = appended.rolled {
            node.env.tell(Fact::Rolled { tp: self.tp.clone(), base });
        }
        if let Ok(header) = Header::parse(batch) {
            node.env.tell(Fact::Appended {
                tp: self.tp.clone(),
                batch: header.mark(),
                epoch: header.leader_epoch,
                max_timestamp: appended.max_timestamp,
            });
            self.state_sequence(node, &header);
        }
    }

    /// States that a batch of an idempotent producer is in the log.
    pub fn state_sequence(&self, node: &Node<E>, header: &Header) {
        if header.producer_id >= 0 {
            node.tell(|| Fact::Sequenced {
                tp: self.tp.clone(),
                producer: header.producer_id,
                epoch: header.producer_epoch,
                first: header.base_sequence,
                last: sequence_after(header.base_sequence, header.last_offset_delta),
                base: header.base_offset,
            });
        }
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

    /// Tells every fetch that waits: things have changed.
    pub(super) fn fire_all(&self) {
        self.watchers.fire_all();
        self.tail.fire_all();
    }

    pub(super) fn begin_flush(self: &Rc<Self>, node: &Rc<Node<E>>) {
        self.flushing.set(self.flushing.get() + 1);
        let (partition, with) = (self.clone(), node.clone());
        // A task of its own: what else is appended before it runs shares the fsync.
        node.env.spawn("flush", async move {
            let synced = partition.flush(&with).await;
            partition.flush_over();
            match synced {
                Ok(Some(upto)) => partition.step(&with, Input::Flushed { upto }),
                // It is off line: what it holds is made durable when it is opened again.
                Ok(None) | Err(LogError::Offline) => {}
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
        match synced {
            Ok(_) | Err(LogError::Offline) => {}
            Err(error) => self.lost(node, &error),
        }
    }

    /// One fsync. `None` if the partition is gone meanwhile.
    async fn flush(&self, node: &Node<E>) -> Result<Option<Offset>, LogError> {
        let _turn = self.syncing.turn().await;
        // An error means that it was closed, which it never is.
        let _slot = node.flushes.acquire().await;
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

    /// Makes durable what a pass of compaction waits for.
    pub(super) async fn sync_exchange(self: &Rc<Self>, node: &Rc<Node<E>>, exchange: &Exchange<E::Disk>) {
        self.flushing.set(self.flushing.get() + 1);
        let synced = self.alone(node, exchange.sync()).await;
        self.flush_over();
        match synced {
            Ok(()) | Err(LogError::Offline) => {}
            Err(error) => self.lost(node, &error),
        }
    }

    /// `sync`, and no other of this partition's beside it.
    async fn alone<T>(&self, node: &Node<E>, sync: impl Future<Output = T>) -> T {
        let _turn = self.syncing.turn().await;
        // An error means that it was closed, which it never is.
        let _slot = node.flushes.acquire().await;
        sync.await
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

    /// Applies other settings from the next append on. A leader counts with them as of [`Partition::assume`].
    pub fn configure(&self, config: &LogConfig) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.configure(config.clone());
        }
        self.policy.set((config.flush, config.min_insync_replicas as usize));
    }

    /// Takes the log away and fails who waits, because the topic is gone. Returns when no fsync uses its files.
    pub async fn retire(self: &Rc<Self>, node: &Rc<Node<E>>) -> Option<Log<E::Disk>> {
        node.fetchers.forget(&self.tp);
        super::groups::end(node, self);
        self.trouble.set(Trouble::Lasting);
        let log = self.log.take();
        for ack in std::mem::take(&mut *self.acks.borrow_mut()).into_values() {
            // Not UNKNOWN_TOPIC_OR_PARTITION, which would say that nothing was appended.
            ack.parts.end(ack.at, Err(ResponseError::NotLeaderOrFollower));
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
