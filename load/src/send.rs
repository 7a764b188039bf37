//! The sending side: each producer follows its schedule, or keeps so many records in flight, and times every acknowledgement.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use harness::seed::{Draw, Seed};
use tokio::sync::Notify;

use crate::arrivals::{SECOND, Schedule};
use crate::clock::{Clock, Pacer};
use crate::driver::Producer;
use crate::recorder::{Measured, Recorder, Timed};
use crate::silence::Silence;
use crate::spec::{Drive, Keys, Reading, Spec};
use crate::stamp::{Stamp, Values};
use crate::statistics::figure;
use crate::tally::Numbers;

/// Records handed over at once, at most, before acknowledgements are looked at.
const BURST: u32 = 256;
/// So many records that are handed over one after the other share a look at the clock, which costs as much as what else is done for
/// a small record. Their latency is too long by what the first of them took, never too short.
const SAME: u32 = 8;

/// Records of one producer in flight where a backlog is written.
const BACKLOG: usize = 64 << 10;

/// So late after the measured time nothing more is sent, in nanoseconds.
const LATE: u64 = 5 * SECOND;

/// What the generator's threads share.
pub struct Shared {
    /// The run's mark.
    pub run: u32,
    /// Its clock.
    pub clock: Clock,
    /// What is measured.
    pub measured: Measured,
    /// Each producer's publish latencies.
    pub published: Vec<Mutex<Recorder>>,
    /// Each consumer's end-to-end latencies.
    pub read: Vec<Mutex<Recorder>>,
    /// When each partition's records are acknowledged, where something happens to brokers or groups.
    pub acks: Silence,
    /// When they are read.
    pub reads: Silence,
}

impl Shared {
    /// A recorder that another thread may look at meanwhile.
    pub fn locked(of: &Mutex<Recorder>) -> std::sync::MutexGuard<'_, Recorder> {
        of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one producer has done.
#[derive(Default)]
pub struct Sent {
    /// Its number.
    pub producer: usize,
    /// Records handed over.
    pub sent: u64,
    /// Those whose time came within the measured time.
    pub meant: u64,
    /// Records that were acknowledged.
    pub acked: Numbers,
    /// Records that were not.
    pub failed: u64,
    /// What it was late by.
    pub late: Recorder,
}

/// Sends as producer `number`: first so many records of a backlog as fast as it goes, if there is to be one; then, unless that is
/// all, as `spec` says until the measured time is over. Then it waits for what is open.
pub async fn send<P: Producer>(
    producer: P,
    number: usize,
    spec: &Spec,
    shared: Arc<Shared>,
    pacer: &Pacer,
    backlog: Option<u64>,
) -> io::Result<Sent> {
    let seed = Seed::new(u64::from(shared.run)).split("producer", number as u64);
    let mut sender = Sender {
        number,
        scheduled: matches!(spec.drive, Drive::Open { .. }),
        values: Values::new(spec.record_bytes, spec.random_percent, seed),
        keys: Keying::new(spec.keys, seed.split("keys", 0).draw()),
        open: Rc::new(Open::new(shared.clone(), number)),
        producer,
        shared,
        lanes: Vec::new(),
        sent: Sent { producer: number, ..Sent::default() },
    };
    if let Some(records) = backlog {
        sender.in_flight(BACKLOG, records).await;
        sender.until_acknowledged().await;
    }
    match spec.drive {
        _ if matches!(spec.reading, Reading::CatchUp { .. }) => {}
        Drive::Open { rate, arrivals } => {
            let each = rate / f64::from(u32::try_from(spec.producers).unwrap_or(1));
            let schedule = Schedule::new(arrivals, each, seed.split("arrivals", 0).draw());
            sender.by_schedule(schedule, pacer).await?;
        }
        Drive::Closed { in_flight } => sender.in_flight(in_flight, u64::MAX).await,
    }
    Ok(sender.end().await)
}

struct Sender<P: Producer> {
    number: usize,
    /// In a closed loop a record is meant to be sent when it is.
    scheduled: bool,
    producer: P,
    values: Values,
    keys: Keying,
    shared: Arc<Shared>,
    open: Rc<Open>,
    lanes: Vec<Option<Rc<Lane<P::Ack>>>>,
    sent: Sent,
}

impl<P: Producer> Sender<P> {
    async fn by_schedule(&mut self, mut schedule: Schedule, pacer: &Pacer) -> io::Result<()> {
        let (clock, begun) = (self.shared.clock, self.shared.clock.now());
        let mut at_once = 0;
        loop {
            let intended = begun + schedule.next_ns();
            if self.shared.measured.is_over(intended) {
                // A slow schedule's last record comes long before its end.
                pacer.until(clock, self.shared.measured.end().0).await?;
                break;
            }
            if self.shared.measured.is_over(clock.now().saturating_sub(LATE)) {
                // Hopelessly late: what was still due counts as meant.
                let (_, length) = self.shared.measured.end();
                self.sent.meant = self.sent.meant.max(schedule.mean(length));
                break;
            }
            if intended > clock.now() {
                at_once = 0;
                pacer.until(clock, intended).await?;
            } else {
                at_once += 1;
                if at_once % BURST == 0 {
                    tokio::task::yield_now().await;
                }
            }
            self.one(intended).await;
        }
        Ok(())
    }

    async fn in_flight(&mut self, most: usize, records: u64) {
        let (mut at_once, mut now, mut open) = (0, 0, 0);
        while self.sent.sent < records {
            if self.open.count.get() >= most {
                self.open.fewer.notified().await;
                at_once = 0;
                continue;
            }
            let yields = at_once % BURST == BURST - 1;
            if yields {
                tokio::task::yield_now().await;
            }
            // Where acknowledgements were taken meanwhile, it has waited for room.
            if at_once % SAME == 0 || yields || self.open.count.get() != open {
                now = self.shared.clock.now();
            }
            if self.shared.measured.is_over(now) {
                break;
            }
            at_once += 1;
            self.one(now).await;
            open = self.open.count.get();
        }
    }

    /// Hands over the record that was meant to be sent at `intended`.
    async fn one(&mut self, intended: u64) {
        let (shared, seq) = (&self.shared, self.sent.sent);
        let producer = u32::try_from(self.number).unwrap_or(u32::MAX);
        let value = self.values.make(Stamp { run: shared.run, producer, seq, intended });
        let handed = self.producer.send(self.keys.next(), value).await;
        self.sent.sent += 1;
        self.sent.meant += u64::from(shared.measured.holds(intended));
        if self.scheduled {
            self.sent.late.record(Timed::Delay, intended, shared.clock.now(), &shared.measured);
        }
        match handed {
            Some((lane, ack)) => self.lane(lane).add(Waiting { intended, seq, ack }),
            None => self.sent.failed += 1,
        }
    }

    fn lane(&mut self, at: usize) -> Rc<Lane<P::Ack>> {
        if self.lanes.len() <= at {
            self.lanes.resize_with(at + 1, || None);
        }
        let open = self.open.clone();
        self.lanes[at].get_or_insert_with(|| Lane::begin(open, at)).clone()
    }

    async fn until_acknowledged(&self) {
        self.producer.flush().await;
        while self.open.count.get() > 0 {
            self.open.fewer.notified().await;
        }
    }

    async fn end(mut self) -> Sent {
        self.until_acknowledged().await;
        self.sent.acked = self.open.acked.take();
        self.sent.failed += self.open.failed.get();
        self.sent
    }
}

/// What one producer waits for.
struct Open {
    shared: Arc<Shared>,
    number: usize,
    count: Cell<usize>,
    fewer: Notify,
    acked: RefCell<Numbers>,
    failed: Cell<u64>,
}

impl Open {
    fn new(shared: Arc<Shared>, number: usize) -> Self {
        let (acked, fewer) = (RefCell::default(), Notify::new());
        Self { shared, number, count: Cell::new(0), fewer, acked, failed: Cell::new(0) }
    }
}

/// Records whose acknowledgements come in order.
struct Lane<A> {
    waiting: RefCell<VecDeque<Waiting<A>>>,
    woken: RefCell<Option<Waker>>,
    open: Rc<Open>,
    number: usize,
}

struct Waiting<A> {
    intended: u64,
    seq: u64,
    ack: A,
}

impl<A: Future<Output = bool> + Unpin + 'static> Lane<A> {
    #[expect(clippy::disallowed_methods, reason = "the generator is live, and has no Env of its own")]
    fn begin(open: Rc<Open>, number: usize) -> Rc<Self> {
        let lane = Rc::new(Self { waiting: RefCell::default(), woken: RefCell::default(), open, number });
        let own = lane.clone();
        tokio::task::spawn_local(poll_fn(move |cx| own.reap(cx)));
        lane
    }

    fn add(&self, waiting: Waiting<A>) {
        self.open.count.set(self.open.count.get() + 1);
        let mut all = self.waiting.borrow_mut();
        all.push_back(waiting);
        if all.len() == 1
            && let Some(waker) = self.woken.take()
        {
            waker.wake();
        }
    }

    /// Takes what is acknowledged; all that is so by one look was so at one time. It never ends: the reactor drops it.
    fn reap(&self, cx: &mut Context<'_>) -> Poll<()> {
        let (open, mut all) = (&*self.open, self.waiting.borrow_mut());
        let (mut done, mut heard) = (None, None);
        while let Some(first) = all.front_mut() {
            let Poll::Ready(ok) = Pin::new(&mut first.ack).poll(cx) else { break };
            let Waiting { intended, seq, .. } = *first;
            all.pop_front();
            open.count.set(open.count.get() - 1);
            let published = &open.shared.published[open.number];
            let (now, recorder) = done.get_or_insert_with(|| (open.shared.clock.now(), Shared::locked(published)));
            if ok {
                heard = Some(*now);
                recorder.record(Timed::Publish, intended, *now, &open.shared.measured);
                open.acked.borrow_mut().add(seq);
            } else {
                open.failed.set(open.failed.get() + 1);
            }
        }
        if let Some(now) = heard {
            open.shared.acks.heard(self.number, now);
        }
        if done.is_some() {
            open.fewer.notify_one();
        }
        if all.is_empty() {
            *self.woken.borrow_mut() = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Draws keys.
struct Keying {
    keys: Keys,
    draw: Draw,
    /// The shares of the keys, added up.
    sums: Vec<f64>,
}

impl Keying {
    fn new(keys: Keys, draw: Draw) -> Self {
        let mut sum = 0.0;
        let sums = match keys {
            Keys::Zipf(n) => (1..=n).map(|rank| {
                sum += 1.0 / figure(rank);
                sum
            }),
            Keys::None | Keys::Even(_) => return Self { keys, draw, sums: Vec::new() },
        };
        Self { keys, sums: sums.collect(), draw }
    }

    fn next(&mut self) -> Option<Bytes> {
        let key = match self.keys {
            Keys::None => return None,
            Keys::Even(n) => self.draw.below(n),
            Keys::Zipf(_) => {
                let most = self.sums.last().copied().unwrap_or(0.0);
                let at = figure(self.draw.number() >> 11) / figure(1 << 53) * most;
                self.sums.partition_point(|sum| *sum <= at) as u64
            }
        };
        Some(Bytes::copy_from_slice(&key.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_drawn_by_zipfs_law() {
        let mut keying = Keying::new(Keys::Zipf(100), Seed::new(1).draw());
        let mut counts = vec![0u32; 100];
        for _ in 0..100_000 {
            let key = keying.next().unwrap();
            counts[usize::try_from(u64::from_be_bytes(key[..].try_into().unwrap())).unwrap()] += 1;
        }
        // The sum of 1/1 to 1/100 is 5.187.
        assert!((18_700..19_900).contains(&counts[0]) && (9200..10_100).contains(&counts[1]), "{counts:?}");
        assert!((100..300).contains(&counts[99]), "{counts:?}");
        assert_eq!(Keying::new(Keys::None, Seed::new(1).draw()).next(), None);
    }
}
