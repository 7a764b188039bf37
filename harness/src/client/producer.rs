//! The producer: takes records, batches them by partition, sends the batches to their leaders, and tells of every
//! record what became of it, by its deadline whatever happens.
//!
//! Idempotent if so configured: what is sent is stored once and in order, see [`super::sequence`]. If not, a retry after a lost answer may store a batch twice, and with more than one request in flight a
//! retry may be stored after a younger batch, as with `enable.idempotence=false` in Kafka's own producer. With
//! `max_in_flight` 1 it never is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use broker::env::{Env, Mono};
use broker::ids::{NodeId, TopicPartition};
use broker::log::producers::WINDOW;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::Semaphore;

use super::accumulator::{Accumulator, Rules};
use super::batcher::Filling;
use super::partitioner::{self, Sticky};
use super::record::Record;
use super::sender;
use super::signal::Signal;
use super::{CallError, Client, outcome};

use crate::history::event::Outcome;

/// Why a record was not sent: the outcome, and the code.
pub type SendError = CallError;

pub use super::batcher::{Sent, Ticket};
pub use broker::record::Compression;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const MESSAGE_TOO_LARGE: i16 = 10;

/// How a producer batches, waits and retries. The comments name Kafka's settings.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// `acks`: 0, 1 or -1 (all).
    pub acks: i16,
    /// `compression.type`.
    pub compression: Compression,
    /// `batch.size`, in bytes before compression.
    pub batch_bytes: usize,
    /// `linger.ms`.
    pub linger: Duration,
    /// `max.in.flight.requests.per.connection`, 1 to 5.
    pub max_in_flight: usize,
    /// `enable.idempotence`: needs acks -1 and at most 5 in flight.
    pub idempotent: bool,
    /// `retries`: attempts after the first, as long as the delivery timeout allows.
    pub retries: u32,
    /// `delivery.timeout.ms`: from the call to the last word on the record.
    pub delivery_timeout: Duration,
    /// `max.block.ms`: waiting for metadata or buffer memory, within the delivery timeout.
    pub max_block: Duration,
    /// `max.request.size`, in bytes before compression.
    pub max_request_bytes: usize,
    /// `buffer.memory`, in bytes; a call waits while it is full. At most 2^32 - 1.
    pub buffer_bytes: usize,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: -1,
            compression: Compression::None,
            batch_bytes: 16 << 10,
            linger: Duration::ZERO,
            max_in_flight: 1,
            idempotent: false,
            retries: u32::MAX - 1,
            delivery_timeout: Duration::from_secs(30),
            max_block: Duration::from_secs(30),
            max_request_bytes: 1 << 20,
            buffer_bytes: 32 << 20,
        }
    }
}

/// A producer. Cheap to clone; when the last clone is dropped it is closed, and what is not yet answered is given up.
pub struct Producer<E: Env> {
    handle: Rc<Handle<E>>,
}

impl<E: Env> Clone for Producer<E> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone() }
    }
}

struct Handle<E: Env>(Rc<Inner<E>>);

impl<E: Env> Drop for Handle<E> {
    fn drop(&mut self) {
        self.0.closed.set(true);
        self.0.woken.raise();
    }
}

/// What the producer and its sending task share.
pub(super) struct Inner<E: Env> {
    pub client: Client<E>,
    pub config: ProducerConfig,
    pub batches: RefCell<Accumulator<Filling>>,
    pub queues: RefCell<Queues>,
    pub memory: Semaphore,
    /// Calls that wait for memory, and flushes under way: while there are any, nothing lingers.
    pub hurried: Cell<usize>,
    /// A producer id is asked for.
    pub asking: Cell<bool>,
    /// Wakes the sending task.
    pub woken: Signal,
    /// Raised when batches are done.
    pub settled: Signal,
    pub closed: Cell<bool>,
    /// Requests without an end yet, by node.
    pub out: RefCell<BTreeMap<NodeId, usize>>,
    sticky: RefCell<Sticky>,
}

/// The partitions written to so far, as the accumulator's queues.
#[derive(Default)]
pub(super) struct Queues {
    by_topic: BTreeMap<Arc<str>, Vec<Option<usize>>>,
    /// The one used last: mostly it is wanted again.
    last: Option<usize>,
    pub all: Vec<QueueOf>,
}

/// The partition of a queue.
pub(super) struct QueueOf {
    pub tp: TopicPartition,
    /// Its topic's name, ready for requests.
    pub name: TopicName,
}

impl<E: Env> Producer<E> {
    /// A producer on `client`'s connections.
    ///
    /// # Panics
    /// When it is to be idempotent and acks is not -1, or more than 5 may be in flight: no broker could keep that
    /// promise.
    pub fn new(client: Client<E>, config: ProducerConfig) -> Self {
        let possible = config.acks == -1 && config.max_in_flight <= WINDOW;
        assert!(!config.idempotent || possible, "an idempotent producer needs acks=all and at most {WINDOW} in flight");
        let rules = Rules {
            batch_bytes: config.batch_bytes,
            linger: config.linger,
            one_in_flight: config.max_in_flight <= 1,
            idempotent: config.idempotent.then_some(config.max_in_flight.max(1)),
            retries: config.retries,
            backoff: client.settings().retry,
        };
        let inner = Rc::new(Inner {
            memory: Semaphore::new(config.buffer_bytes.min(u32::MAX as usize)),
            client,
            config,
            batches: RefCell::new(Accumulator::new(rules)),
            queues: RefCell::default(),
            hurried: Cell::new(0),
            asking: Cell::new(false),
            woken: Signal::default(),
            settled: Signal::default(),
            closed: Cell::new(false),
            out: RefCell::default(),
            sticky: RefCell::default(),
        });
        let env = inner.client.env().clone();
        env.spawn("producer", sender::run(inner.clone()));
        Self { handle: Rc::new(Handle(inner)) }
    }

    /// Sends one record and waits until it is known what became of it, at most the delivery timeout.
    pub async fn send(&self, record: Record) -> Result<Sent, SendError> {
        self.enqueue(record).await?.await
    }

    /// Puts one record into a batch; waits only for metadata and buffer memory. The ticket tells what became of it.
    /// Records of one partition are stored in the order in which these calls return.
    pub async fn enqueue(&self, record: Record) -> Result<Ticket, SendError> {
        self.enqueue_with(record, |_, _| {}).await
    }

    /// As [`Producer::enqueue`], for a record that says where it is: `complete` is handed it with its partition as soon as
    /// that is chosen, before the record can be sent, and fills in what follows from it, in the room left for that.
    pub async fn enqueue_with(
        &self,
        mut record: Record,
        complete: impl FnOnce(&mut Record, i32),
    ) -> Result<Ticket, SendError> {
        let inner = &*self.handle.0;
        let now = inner.client.env().now();
        let deadline = now.after(inner.config.delivery_timeout);
        let patience = now.after(inner.config.max_block.min(inner.config.delivery_timeout));
        let bytes = record.size();
        if bytes > inner.config.max_request_bytes.min(inner.config.buffer_bytes) {
            return Err(refusal(MESSAGE_TOO_LARGE));
        }
        let partitions = inner.partitions(&record.topic, record.partition, patience).await?;
        inner.take_memory(bytes, patience).await?;
        let partition = match inner.choose(&record, partitions, bytes) {
            Ok(partition) => partition,
            Err(refused) => {
                inner.memory.add_permits(bytes);
                return Err(refused);
            }
        };
        complete(&mut record, partition);
        Ok(inner.append(record, partition, bytes, deadline))
    }

    /// Waits until nothing sent so far is open, without lingering, at most until `deadline`. True if so.
    pub async fn flush(&self, deadline: Mono) -> bool {
        let inner = &*self.handle.0;
        let _hurry = Hurry::new(inner);
        loop {
            let seen = inner.settled.count();
            if inner.batches.borrow().is_empty() {
                return true;
            }
            let left = deadline.since(inner.client.env().now());
            if left.is_zero() || inner.client.env().timeout(left, inner.settled.past(seen)).await.is_none() {
                return inner.batches.borrow().is_empty();
            }
        }
    }
}

impl<E: Env> Inner<E> {
    /// How many partitions a topic has. One that is `asked` for and not known is waited for: it may be new
    /// (`KafkaProducer.waitOnMetadata`).
    async fn partitions(&self, topic: &Arc<str>, asked: Option<i32>, patience: Mono) -> Result<u32, SendError> {
        let least = asked.and_then(|asked| u32::try_from(asked).ok()).map_or(0, |asked| asked.saturating_add(1));
        if let Some(known) = self.client.partitions(topic, least) {
            return Ok(known);
        }
        let found = self.client.until(patience, || self.client.partitions(topic, least)).await;
        found.ok_or_else(|| {
            let missing = match self.client.topic_code(topic) {
                Some(0) => UNKNOWN_TOPIC_OR_PARTITION,
                said => said.unwrap_or(outcome::NOT_SENT),
            };
            refusal(missing)
        })
    }

    async fn take_memory(&self, bytes: usize, patience: Mono) -> Result<(), SendError> {
        let permits = u32::try_from(bytes).expect("checked against the buffer's size");
        let taken = match self.memory.try_acquire_many(permits) {
            Ok(permit) => Some(permit),
            Err(_) => {
                let _hurry = Hurry::new(self);
                let left = patience.since(self.client.env().now());
                self.client.env().timeout(left, self.memory.acquire_many(permits)).await.and_then(Result::ok)
            }
        };
        match taken {
            Some(permit) if !self.closed.get() => {
                permit.forget();
                Ok(())
            }
            Some(_) => Err(refusal(outcome::CLOSED)),
            None => Err(refusal(outcome::BUFFER_FULL)),
        }
    }

    /// The partition of `record`, of so many: as asked, by key, or the sticky one.
    fn choose(&self, record: &Record, partitions: u32, bytes: usize) -> Result<i32, SendError> {
        match (record.partition, &record.key) {
            (Some(asked), _) if asked.cast_unsigned() < partitions => Ok(asked),
            (Some(_), _) => Err(refusal(UNKNOWN_TOPIC_OR_PARTITION)),
            (None, Some(key)) => Ok(partitioner::for_key(key, partitions)),
            (None, None) => {
                let env = self.client.env();
                let mut sticky = self.sticky.borrow_mut();
                let at = sticky.partition(&record.topic, partitions, env.draw());
                let fits = self.has_room(&record.topic, at, bytes);
                Ok(if fits { at } else { sticky.moved_on(&record.topic, at, partitions, env.draw()) })
            }
        }
    }

    fn has_room(&self, topic: &Arc<str>, partition: i32, bytes: usize) -> bool {
        let queue = self.queue(topic, partition);
        let full = self.config.batch_bytes;
        self.batches.borrow_mut().open(queue).is_some_and(|batch| batch.bytes() + bytes <= full)
    }

    /// The queue of a partition (of at least 0).
    fn queue(&self, topic: &Arc<str>, partition: i32) -> usize {
        let mut queues = self.queues.borrow_mut();
        if let Some(last) = queues.last
            && let tp = &queues.all[last].tp
            && (tp.partition, Arc::as_ptr(&tp.topic)) == (partition, Arc::as_ptr(topic))
        {
            return last;
        }
        let queue = self.find_queue(&mut queues, topic, partition);
        queues.last = Some(queue);
        queue
    }

    fn find_queue(&self, queues: &mut Queues, topic: &Arc<str>, partition: i32) -> usize {
        let at = usize::try_from(partition).expect("partitions are checked against their number");
        if let Some(Some(queue)) = queues.by_topic.get(topic).and_then(|of| of.get(at)) {
            return *queue;
        }
        let queue = self.batches.borrow_mut().add_queue();
        let name = TopicName(StrBytes::from_string(topic.to_string()));
        queues.all.push(QueueOf { tp: TopicPartition { topic: topic.clone(), partition }, name });
        let of = queues.by_topic.entry(topic.clone()).or_default();
        if of.len() <= at {
            of.resize(at + 1, None);
        }
        of[at] = Some(queue);
        queue
    }

    fn append(&self, record: Record, partition: i32, bytes: usize, deadline: Mono) -> Ticket {
        let queue = self.queue(&record.topic, partition);
        let env = self.client.env();
        let mut batches = self.batches.borrow_mut();
        let full = self.config.batch_bytes;
        let fits = batches.open(queue).is_some_and(|batch| batch.bytes() + bytes <= full);
        if !fits {
            batches.begin(queue, Filling::new(partition, self.config.compression), env.now());
        }
        let timestamp = record.timestamp.unwrap_or_else(|| env.wall());
        let batch = batches.open(queue).expect("it was open or has just begun");
        let ticket = batch.payload.add(&record, timestamp, bytes);
        batches.grew(queue, bytes, deadline);
        // The sending task need not look at a batch that lingers on, unless its deadline is nearer than the task knows.
        if !fits || batches.open(queue).is_none() {
            self.woken.raise();
        }
        ticket
    }
}

fn refusal(code: i16) -> SendError {
    SendError { outcome: Outcome::Fail, code }
}

/// While it lives, nothing lingers.
struct Hurry<'a, E: Env>(&'a Inner<E>);

impl<'a, E: Env> Hurry<'a, E> {
    fn new(inner: &'a Inner<E>) -> Self {
        inner.hurried.set(inner.hurried.get() + 1);
        inner.woken.raise();
        Self(inner)
    }
}

impl<E: Env> Drop for Hurry<'_, E> {
    fn drop(&mut self) {
        self.0.hurried.set(self.0.hurried.get() - 1);
    }
}
