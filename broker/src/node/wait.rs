//! What requests wait for: that the node is ready, the end of all parts of a produce request, and enough new bytes for a
//! fetch.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use tokio::sync::Notify;

/// What comes once and stays.
#[derive(Default)]
pub struct Once {
    come: Cell<bool>,
    told: Notify,
}

impl Once {
    /// It has come.
    pub fn come(&self) {
        self.come.set(true);
        self.told.notify_waiters();
    }

    /// Whether it has.
    pub fn is_come(&self) -> bool {
        self.come.get()
    }

    /// Returns when it has come.
    pub async fn wait(&self) {
        if !self.come.get() {
            self.told.notified().await;
        }
    }
}

/// A request that waits for a number of partitions, each of which ends with a `T`.
pub struct Parts<T> {
    ends: RefCell<Vec<Option<T>>>,
    open: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Parts<T> {
    /// Waits for what is `None` in `ends`.
    pub fn new(ends: Vec<Option<T>>) -> Rc<Self> {
        let open = ends.iter().filter(|end| end.is_none()).count();
        Rc::new(Self { ends: RefCell::new(ends), open: Cell::new(open), waker: RefCell::default() })
    }

    /// Part `at` has ended so. Only the first end of each counts.
    pub fn end(&self, at: usize, with: T) {
        let mut ends = self.ends.borrow_mut();
        if let Some(end @ None) = ends.get_mut(at) {
            *end = Some(with);
            self.open.set(self.open.get() - 1);
            if self.open.get() == 0
                && let Some(waker) = self.waker.take()
            {
                waker.wake();
            }
        }
    }

    /// Whether all have ended.
    pub fn done(&self) -> bool {
        self.open.get() == 0
    }

    /// Returns when all have ended.
    pub async fn wait(&self) {
        poll_fn(|cx| {
            if self.done() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// How each has ended, `None` where it has not.
    pub fn take(&self) -> Vec<Option<T>> {
        self.ends.take()
    }
}

/// A fetch that waits until partitions have so many more bytes to show.
pub struct Watch {
    missing: Cell<u64>,
    fired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// Waits for `missing` bytes.
    pub fn new(missing: u64) -> Rc<Self> {
        Rc::new(Self { missing: Cell::new(missing), fired: Cell::new(false), waker: RefCell::default() })
    }

    fn fire(&self) {
        self.fired.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Returns when they are there, or something else has happened that the fetch must be told.
    pub async fn wait(&self) {
        poll_fn(|cx| {
            if self.fired.get() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The fetches that watch one partition. One that has been answered leaves a dead entry, swept when as many are dead
/// as alive.
#[derive(Default)]
pub struct Watchers {
    watches: RefCell<Vec<Weak<Watch>>>,
    sweep_at: Cell<usize>,
}

impl Watchers {
    /// Adds one.
    pub fn add(&self, watch: &Rc<Watch>) {
        let mut watches = self.watches.borrow_mut();
        if watches.len() >= self.sweep_at.get() {
            watches.retain(|watch| watch.strong_count() > 0);
            self.sweep_at.set((watches.len() * 2).max(8));
        }
        watches.push(Rc::downgrade(watch));
    }

    /// There are `bytes` more to show.
    pub fn more(&self, bytes: u64) {
        self.watches.borrow_mut().retain(|watch| {
            let Some(watch) = watch.upgrade() else { return false };
            watch.missing.set(watch.missing.get().saturating_sub(bytes));
            let enough = watch.missing.get() == 0;
            if enough {
                watch.fire();
            }
            !enough
        });
    }

    /// Something has happened that every fetch must be told: the partition is gone or broken.
    pub fn fire_all(&self) {
        for watch in self.watches.take() {
            if let Some(watch) = watch.upgrade() {
                watch.fire();
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.watches.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_watch_fires_when_enough_has_come() {
        let (watchers, watch) = (Watchers::default(), Watch::new(100));
        watchers.add(&watch);
        watchers.more(60);
        assert!(!watch.fired.get());
        watchers.more(40);
        watch.wait().await;
        assert_eq!(watchers.len(), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_has_come_stays() {
        let once = Once::default();
        let come = async {
            assert!(!once.is_come());
            once.come();
        };
        tokio::join!(once.wait(), come);
        once.wait().await;
    }

    #[test]
    fn fetches_that_are_gone_take_no_room() {
        let watchers = Watchers::default();
        for _ in 0..1000 {
            watchers.add(&Watch::new(1));
        }
        assert!(watchers.len() <= 8);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_request_ends_with_its_last_part() {
        let parts = Parts::new(vec![None, Some(1), None]);
        parts.end(0, 0);
        parts.end(0, 9);
        assert!(!parts.done());
        parts.end(2, 2);
        parts.wait().await;
        assert_eq!(parts.take(), [Some(0), Some(1), Some(2)]);
    }
}
