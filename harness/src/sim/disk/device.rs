//! The device under a simulated disk: how long it takes, when it stands still, when it fails.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::seed::{Draw, Seed};
use crate::sim::episodes::Episodes;
use crate::sim::state::OUTSIDE;
use crate::sim::timer::{Time, Until};
use crate::sim::{DiskOp, Failing};

/// Linux's `EIO`.
const EIO: i32 = 5;
/// A sync takes between these, in nanoseconds: a good device with its cache on, up to a busy one.
const SYNC: (u64, u64) = (200_000, 2_000_000);
/// What a read or write costs the device, in nanoseconds.
const TOUCH: u64 = 2_000;

pub(crate) struct Device {
    time: Rc<Time>,
    tick: u64,
    draw: RefCell<Draw>,
    /// Nanoseconds added to each sync by each fault that slows it.
    slow: RefCell<Episodes<u64>>,
    /// Until when the device is busy with data operations, in world time.
    busy_until: Cell<u64>,
    stalls: Cell<u32>,
    stalled: RefCell<BTreeMap<u64, Waker>>,
    /// Who waits for data operations to be done.
    queued: RefCell<BTreeMap<u64, Waker>>,
    /// How often it ceased to be slow.
    hastened: Cell<u64>,
    next: Cell<u64>,
    failing: [RefCell<Episodes<Failing>>; 3],
    /// Writes, their bytes, and syncs that were asked of it.
    asked: Cell<(u64, u64, u64)>,
}

fn row(op: DiskOp) -> usize {
    match op {
        DiskOp::Read => 0,
        DiskOp::Write => 1,
        DiskOp::Sync => 2,
    }
}

/// One who waits in the queue, until he is done or gives up.
struct Place<'a> {
    device: &'a Device,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let gone = self.device.queued.borrow_mut().remove(&self.number);
        drop(gone);
    }
}

impl Device {
    pub(crate) fn new(seed: Seed, time: Rc<Time>, tick: u64) -> Self {
        Self {
            time,
            tick,
            draw: RefCell::new(seed.draw()),
            slow: RefCell::default(),
            busy_until: Cell::new(0),
            stalls: Cell::new(0),
            stalled: RefCell::default(),
            queued: RefCell::default(),
            hastened: Cell::new(0),
            next: Cell::new(0),
            failing: Default::default(),
            asked: Cell::new((0, 0, 0)),
        }
    }

    /// A write of so many bytes is asked of it.
    pub(crate) fn count_write(&self, bytes: usize) {
        let (writes, sum, syncs) = self.asked.get();
        self.asked.set((writes + 1, sum + bytes as u64, syncs));
    }

    /// Writes, their bytes, and syncs that were asked of it so far.
    pub(crate) fn asked(&self) -> (u64, u64, u64) {
        self.asked.get()
    }

    /// Nobody of the process that used it waits any more.
    pub(crate) fn reset(&self) {
        self.busy_until.set(0);
        for waiting in [&self.stalled, &self.queued] {
            let gone = std::mem::take(&mut *waiting.borrow_mut());
            drop(gone);
        }
    }

    /// Grows slow, until the number returned ends it.
    pub(crate) fn slow(&self, extra: Duration) -> u64 {
        self.slow.borrow_mut().begin(u64::try_from(extra.as_nanos()).unwrap_or(u64::MAX / 4))
    }

    /// What is left of its queue when it is no longer slow is done in no time.
    pub(crate) fn hasten(&self, number: u64) {
        self.slow.borrow_mut().end(number);
        if self.extra() == 0 {
            self.busy_until.set(self.busy_until.get().min(self.time.now()));
            self.hastened.set(self.hastened.get() + 1);
            let waiting = std::mem::take(&mut *self.queued.borrow_mut());
            waiting.into_values().for_each(Waker::wake);
        }
    }

    fn extra(&self) -> u64 {
        self.slow.borrow().each().max().unwrap_or(0)
    }

    /// Stalls nest: a frozen host with a stalled disk needs both to end.
    pub(crate) fn stall(&self, on: bool) {
        let stalls = if on { self.stalls.get() + 1 } else { self.stalls.get().saturating_sub(1) };
        self.stalls.set(stalls);
        if stalls == 0 {
            let waiting = std::mem::take(&mut *self.stalled.borrow_mut());
            waiting.into_values().for_each(Waker::wake);
        }
    }

    /// Operations of a kind fail, until the number returned ends it.
    pub(crate) fn fail(&self, op: DiskOp, failing: Failing) -> u64 {
        self.failing[row(op)].borrow_mut().begin(failing)
    }

    pub(crate) fn mend(&self, op: DiskOp, number: u64) {
        self.failing[row(op)].borrow_mut().end(number);
    }

    /// The operation's fate.
    pub(crate) fn check(&self, op: DiskOp) -> io::Result<()> {
        let mut fails = false;
        self.failing[row(op)].borrow_mut().retain(|failing| {
            fails = true;
            *failing == Failing::Always
        });
        if fails { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }

    /// A data operation: the device will have to do it.
    pub(crate) fn charge(&self) {
        let busy = self.busy_until.get().max(self.time.now());
        self.busy_until.set(busy + TOUCH + self.extra() / 16);
    }

    /// The time a sync takes, stalls included. An auditor from outside does not wait.
    pub(crate) async fn sync_latency(&self, life: u32) {
        if life == OUTSIDE {
            return;
        }
        let (writes, bytes, syncs) = self.asked.get();
        self.asked.set((writes, bytes, syncs + 1));
        let took = self.draw.borrow_mut().between(SYNC.0, SYNC.1) + self.extra();
        Until::new(self.time.clone(), self.time.now() + took).await;
        self.resumed().await;
    }

    pub(crate) async fn settled(&self, life: u32) {
        if life == OUTSIDE {
            return;
        }
        let busy = self.busy_until.get();
        // Less than the grain of world time is no time at all.
        if busy >= self.time.now() + self.tick {
            self.done(busy).await;
        }
        self.resumed().await;
    }

    /// Waits for the end of its queue, which was to be reached at `busy`.
    async fn done(&self, busy: u64) {
        let mut until = pin!(Until::new(self.time.clone(), busy));
        let (place, hastened) = (Place { device: self, number: self.ticket() }, self.hastened.get());
        poll_fn(|cx| {
            if self.hastened.get() != hastened {
                return Poll::Ready(());
            }
            let old = self.queued.borrow_mut().insert(place.number, cx.waker().clone());
            drop(old);
            until.as_mut().poll(cx)
        })
        .await;
    }

    fn ticket(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        number
    }

    async fn resumed(&self) {
        let number = self.ticket();
        poll_fn(|cx| {
            if self.stalls.get() == 0 {
                return Poll::Ready(());
            }
            let old = self.stalled.borrow_mut().insert(number, cx.waker().clone());
            drop(old);
            Poll::Pending
        })
        .await;
    }
}
