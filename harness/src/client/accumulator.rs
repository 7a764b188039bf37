//! What a producer decides: which batch goes next, what follows from each attempt, which batch is too old.
//!
//! A plain state machine, generic over what a batch holds. Order is kept as Kafka's Java producer keeps it: with one
//! request in flight a partition is muted while a batch of it is out, and a batch to be retried goes back before every
//! younger one, so a retry never overtakes. With more in flight and no idempotence, a younger batch that was already
//! sent may be stored before the retry of an older one: that is Kafka's contract too. With idempotence ([`Sequences`])
//! the broker refuses what comes too early, and it goes out again after the older one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use broker::env::Mono;
use broker::planted::{Defect, planted};

use super::backoff::Backoff;
use super::outcome::{self, Judged, Retry};
use super::sequence::{Identity, Sequences, Stamp};
use crate::history::event::Outcome;

const OUT_OF_ORDER: i16 = 45;
const OLD_EPOCH: i16 = 47;
const UNKNOWN_PRODUCER: i16 = 59;

/// The settings that decide.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `batch.size`: a batch is full from this many bytes.
    pub batch_bytes: usize,
    /// `linger.ms`: how long a batch that is not full waits for more records.
    pub linger: Duration,
    /// `max.in.flight.requests.per.connection` is 1: mutes a partition while a batch of it is out.
    pub one_in_flight: bool,
    /// `enable.idempotence`: so many batches of a partition, at most, are numbered and open.
    pub idempotent: Option<usize>,
    /// `retries`: attempts after the first.
    pub retries: u32,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub backoff: Backoff,
}

/// One batch of one partition.
#[derive(Debug)]
pub struct Batch<P> {
    /// Grows with every batch: within a partition, the order of sending.
    pub id: u64,
    /// The queue it belongs to.
    pub queue: usize,
    /// What it holds.
    pub payload: P,
    bytes: usize,
    began: Mono,
    deadline: Mono,
    attempts: u32,
    not_before: Mono,
    indefinite: bool,
    closed: bool,
    records: i32,
    /// Its number, once it went out.
    stamp: Option<Stamp>,
}

impl<P> Batch<P> {
    /// Bytes of records in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What became of a batch after an attempt.
#[derive(Debug)]
pub enum After<P> {
    /// It is done: `Ok`, or surely not, or in doubt, with the code to report.
    Done(P, Outcome, i16),
    /// It waits for another attempt.
    Again(Retry),
    /// It had been given up before the answer came.
    Late,
}

/// Batches of all partitions, from the first record to the last word on them. A partition is a *queue*, by the number
/// its owner gives it, from 0.
#[derive(Debug)]
pub struct Accumulator<P> {
    rules: Rules,
    queues: Vec<Queue<P>>,
    /// The queues that have batches waiting.
    waiting: BTreeSet<usize>,
    /// Out, by id; `None` once given up, until the answer frees the partition.
    out: BTreeMap<u64, Out<P>>,
    next_id: u64,
    /// Send without lingering: someone waits for it.
    hurry: bool,
    /// Of an idempotent producer.
    sequences: Option<Sequences>,
}

#[derive(Debug)]
struct Queue<P> {
    batches: VecDeque<Batch<P>>,
    out: usize,
}

#[derive(Debug)]
struct Out<P> {
    queue: usize,
    batch: Option<Batch<P>>,
}

impl<P> Accumulator<P> {
    /// An empty one.
    pub fn new(rules: Rules) -> Self {
        let (waiting, out) = (BTreeSet::new(), BTreeMap::new());
        let sequences = rules.idempotent.map(Sequences::new);
        Self { rules, queues: Vec::new(), waiting, out, next_id: 0, hurry: false, sequences }
    }

    /// Adds a queue and returns its number.
    pub fn add_queue(&mut self) -> usize {
        self.queues.push(Queue { batches: VecDeque::new(), out: 0 });
        if let Some(sequences) = &mut self.sequences {
            sequences.add_queue();
        }
        self.queues.len() - 1
    }

    /// Whether a producer id must be asked for before anything new goes out.
    pub fn wants_identity(&self) -> bool {
        self.sequences.as_ref().is_some_and(Sequences::wants_identity)
    }

    /// Takes a producer id and epoch that nobody has had.
    pub fn identify(&mut self, identity: Identity) {
        if let Some(sequences) = &mut self.sequences {
            sequences.identify(identity);
        }
    }

    /// The newest batch of `queue`, if it takes records still.
    pub fn open(&mut self, queue: usize) -> Option<&mut Batch<P>> {
        self.queues[queue].batches.back_mut().filter(|batch| !batch.closed)
    }

    /// Begins a batch, closing the one before it.
    pub fn begin(&mut self, queue: usize, payload: P, now: Mono) {
        let id = self.next_id;
        self.next_id += 1;
        let batches = &mut self.queues[queue].batches;
        if let Some(before) = batches.back_mut() {
            before.closed = true;
        }
        batches.push_back(Batch {
            id,
            queue,
            payload,
            bytes: 0,
            began: now,
            deadline: Mono(u64::MAX),
            attempts: 0,
            not_before: Mono(0),
            indefinite: false,
            closed: false,
            records: 0,
            stamp: None,
        });
        self.waiting.insert(queue);
    }

    /// Notes that a record of `bytes`, to be delivered by `deadline`, went into the open batch of `queue`.
    pub fn grew(&mut self, queue: usize, bytes: usize, deadline: Mono) {
        let full = self.rules.batch_bytes;
        if let Some(batch) = self.open(queue) {
            batch.bytes += bytes;
            batch.records += 1;
            batch.deadline = batch.deadline.min(deadline);
            batch.closed = batch.bytes >= full;
        }
    }

    /// Closes the open batch of `queue`: a record does not fit.
    pub fn close(&mut self, queue: usize) {
        if let Some(batch) = self.open(queue) {
            batch.closed = true;
        }
    }

    /// Whether batches go out without lingering.
    pub fn hurry(&mut self, hurry: bool) {
        self.hurry = hurry;
    }

    /// Whether nothing waits and nothing is out but what was given up.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.out.values().all(|out| out.batch.is_none())
    }

    /// The queues with a batch that may go out at `now`.
    pub fn ready(&self, now: Mono) -> impl Iterator<Item = usize> + '_ {
        self.waiting.iter().copied().filter(move |&queue| self.is_ready(queue, now))
    }

    /// Whether a batch of `queue` may go out at `now`.
    pub fn is_ready(&self, queue: usize, now: Mono) -> bool {
        self.ready_at(queue).is_some_and(|at| at <= now)
    }

    /// Which batch of `queue` goes out next: the first; of those with a number, the oldest open one.
    fn next(&self, queue: usize) -> Option<usize> {
        let batches = &self.queues[queue].batches;
        let first = batches.front()?;
        let Some(sequences) = &self.sequences else { return Some(0) };
        if first.stamp.is_none() && sequences.may_begin(queue) {
            return Some(0);
        }
        let oldest = sequences.oldest(queue)?;
        batches.iter().position(|batch| batch.id == oldest)
    }

    /// When the next batch of `queue` may go out: `None` while muted or empty.
    fn ready_at(&self, queue: usize) -> Option<Mono> {
        let at = self.next(queue)?;
        let queue = &self.queues[queue];
        let first = &queue.batches[at];
        if self.rules.one_in_flight && queue.out > 0 {
            return None;
        }
        let lingers = !first.closed && queue.batches.len() == 1 && first.attempts == 0 && !self.hurry;
        Some(if lingers { first.began.after(self.rules.linger) } else { first.not_before })
    }

    /// When to look again after `now`: the earliest time at which a batch becomes ready or is too old. What is ready at
    /// `now` already waits for something else than time.
    pub fn next_time(&self, now: Mono) -> Option<Mono> {
        let ready = self.waiting.iter().filter_map(|&queue| self.ready_at(queue)).filter(|at| *at > now);
        let queued = self.waiting.iter().flat_map(|&q| self.queues[q].batches.iter());
        let out = self.out.values().filter_map(|out| out.batch.as_ref());
        ready.chain(queued.chain(out).map(|batch| batch.deadline)).min()
    }

    /// Bytes of the batch that [`Accumulator::take`] would take from `queue`.
    pub fn first_bytes(&self, queue: usize) -> usize {
        self.next(queue).map_or(0, |at| self.queues[queue].batches[at].bytes())
    }

    /// Takes the next batch of `queue` out for an attempt; its payload is shown so that it can be sent, with its number
    /// if the producer is idempotent.
    pub fn take(&mut self, queue: usize) -> Option<(u64, Option<Stamp>, &mut P)> {
        let at = self.next(queue)?;
        let of = &mut self.queues[queue];
        let mut batch = of.batches.remove(at)?;
        if let Some(sequences) = self.sequences.as_mut().filter(|_| batch.stamp.is_none()) {
            batch.stamp = sequences.stamp(queue, batch.id, batch.records);
        }
        of.out += 1;
        if of.batches.is_empty() {
            self.waiting.remove(&queue);
        }
        batch.closed = true;
        batch.attempts += 1;
        let (id, stamp) = (batch.id, batch.stamp);
        let out = self.out.entry(id).insert_entry(Out { queue, batch: Some(batch) }).into_mut();
        out.batch.as_mut().map(|batch| (id, stamp, &mut batch.payload))
    }

    /// An attempt at batch `id` ended as `judged`. `drawn` is a random number for the backoff.
    pub fn attempted(&mut self, id: u64, judged: Judged, now: Mono, drawn: u64) -> After<P> {
        let Some(out) = self.out.remove(&id) else { return After::Late };
        self.queues[out.queue].out -= 1;
        let Some(mut batch) = out.batch else { return After::Late };
        let judged = self.sequenced(&mut batch, judged);
        let tainted = batch.indefinite;
        batch.indefinite |= judged.outcome == Outcome::Info;
        let spent = batch.attempts > self.rules.retries || batch.deadline <= now;
        if judged.outcome == Outcome::Ok || judged.retry == Retry::No || spent {
            self.ended(&batch, judged.outcome == Outcome::Ok);
        }
        if judged.outcome == Outcome::Ok || judged.retry == Retry::No || spent {
            return After::Done(batch.payload, outcome::overall(tainted, judged.outcome), judged.code);
        }
        batch.not_before = now.after(self.rules.backoff.wait(batch.attempts, drawn));
        self.put_back(batch);
        After::Again(judged.retry)
    }

    /// What an answer says to an idempotent producer. A broker refuses a wrong number before it appends. If an older
    /// batch is open still, this one came too early. If not, there is a gap before it, or its epoch is over: it is
    /// numbered anew, unless an earlier attempt at it may have been stored.
    fn sequenced(&mut self, batch: &mut Batch<P>, judged: Judged) -> Judged {
        let wrong = matches!(judged.code, OUT_OF_ORDER | OLD_EPOCH | UNKNOWN_PRODUCER);
        let (Some(sequences), Some(stamp)) = (&mut self.sequences, batch.stamp.filter(|_| wrong)) else {
            return judged;
        };
        let refused = Judged { outcome: Outcome::Fail, retry: Retry::Yes, ..judged };
        let early = judged.code == OUT_OF_ORDER && sequences.oldest(batch.queue) != Some(batch.id);
        if early || planted(Defect::PrPartialSeqReset) && sequences.is_current(stamp) {
            return refused;
        }
        if batch.indefinite && !planted(Defect::PrOosNonfatalDup) {
            return Judged { retry: Retry::No, ..refused };
        }
        sequences.refused(batch.queue, batch.id, stamp);
        batch.stamp = None;
        self.renumber_rashly();
        refused
    }

    /// A batch is done, stored or not.
    fn ended(&mut self, batch: &Batch<P>, stored: bool) {
        let (Some(sequences), Some(stamp)) = (&mut self.sequences, batch.stamp) else { return };
        match stored {
            true => sequences.stored(batch.queue, batch.id, stamp),
            false => {
                sequences.given_up(batch.queue, batch.id, stamp);
                self.renumber_rashly();
            }
        }
    }

    /// The planted defect: everything that waits gets a number of the new epoch.
    fn renumber_rashly(&mut self) {
        let Some(sequences) = self.sequences.as_mut().filter(|_| planted(Defect::PrEpochBumpInflight)) else { return };
        for batch in self.queues.iter_mut().flat_map(|queue| queue.batches.iter_mut()) {
            if batch.stamp.take_if(|stamp| !sequences.is_current(*stamp)).is_some() {
                sequences.forget(batch.queue, batch.id);
            }
        }
    }

    fn put_back(&mut self, batch: Batch<P>) {
        let (queue, id) = (batch.queue, batch.id);
        let batches = &mut self.queues[queue].batches;
        let younger = batches.iter().position(|b| b.id > id).unwrap_or(batches.len());
        let at = if planted(Defect::PrReorderRetry) { batches.len() } else { younger };
        batches.insert(at, batch);
        self.waiting.insert(queue);
    }

    /// Gives up the batches whose deadline has passed at `now`, with what is known of each.
    pub fn expire(&mut self, now: Mono) -> Vec<(P, Outcome)> {
        let mut given_up: Vec<(Batch<P>, Outcome)> = Vec::new();
        for &queue in &self.waiting {
            let batches = &mut self.queues[queue].batches;
            // Not only from the front: a retried batch in backoff may have younger, older-dated ones behind it.
            while let Some(at) = batches.iter().position(|batch| batch.deadline <= now) {
                let batch = batches.remove(at).expect("just found");
                let outcome = outcome::expired(batch.indefinite);
                given_up.push((batch, outcome));
            }
        }
        self.waiting.retain(|&queue| !self.queues[queue].batches.is_empty());
        for out in self.out.values_mut() {
            if let Some(batch) = out.batch.take_if(|batch| batch.deadline <= now) {
                given_up.push((batch, outcome::expired(true)));
            }
        }
        given_up.iter().for_each(|(batch, _)| self.ended(batch, false));
        given_up.into_iter().map(|(batch, outcome)| (batch.payload, outcome)).collect()
    }

    /// Gives up everything, as when the producer is closed.
    pub fn abandon(&mut self) -> Vec<(P, Outcome)> {
        for batch in self.queues.iter_mut().flat_map(|queue| queue.batches.iter_mut()) {
            batch.deadline = Mono(0);
        }
        for batch in self.out.values_mut().filter_map(|out| out.batch.as_mut()) {
            batch.deadline = Mono(0);
        }
        self.expire(Mono(0))
    }
}

#[cfg(test)]
#[path = "accumulator_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "sequence_tests.rs"]
mod sequence_tests;
