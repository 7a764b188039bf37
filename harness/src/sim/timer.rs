//! World time and its timers: one heap for all hosts, so that a tick costs nothing for what is not due, and so that a
//! sleep means the same whatever simulator lies beneath.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// World time in nanoseconds, and who waits for which moment of it.
#[derive(Default)]
pub(crate) struct Time {
    now: Rc<Cell<u64>>,
    heap: RefCell<BinaryHeap<Reverse<(u64, u64, usize)>>>,
    slots: RefCell<Slots>,
    next: Cell<u64>,
}

#[derive(Default)]
struct Slots {
    /// The waiter's number (so that a stale heap entry is known) and its waker.
    used: Vec<Option<(u64, Waker)>>,
    free: Vec<usize>,
}

impl Time {
    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    /// The cell behind the clock, for a tape: it must not keep the whole world alive.
    pub(crate) fn cell(&self) -> Rc<Cell<u64>> {
        self.now.clone()
    }

    /// Moves world time and wakes what is due, in order of deadline and then of registration.
    pub(crate) fn advance(&self, to: u64) {
        self.now.set(to);
        loop {
            let due = {
                let mut heap = self.heap.borrow_mut();
                match heap.peek() {
                    Some(Reverse((at, _, _))) if *at <= to => heap.pop(),
                    _ => None,
                }
            };
            let Some(Reverse((_, number, slot))) = due else { return };
            if let Some(waker) = self.slots.borrow_mut().take(slot, number) {
                waker.wake();
            }
        }
    }

    fn register(&self, at: u64, waker: Waker) -> (usize, u64) {
        let number = self.next.get();
        self.next.set(number + 1);
        let slot = self.slots.borrow_mut().put(number, waker);
        self.heap.borrow_mut().push(Reverse((at, number, slot)));
        (slot, number)
    }
}

impl Slots {
    fn put(&mut self, number: u64, waker: Waker) -> usize {
        let entry = Some((number, waker));
        match self.free.pop() {
            Some(slot) => {
                self.used[slot] = entry;
                slot
            }
            None => {
                self.used.push(entry);
                self.used.len() - 1
            }
        }
    }

    fn take(&mut self, slot: usize, number: u64) -> Option<Waker> {
        let entry = &mut self.used[slot];
        if entry.as_ref().is_none_or(|(n, _)| *n != number) {
            return None;
        }
        self.free.push(slot);
        entry.take().map(|(_, waker)| waker)
    }

    /// Replaces the waker of a waiter that is still there.
    fn renew(&mut self, slot: usize, number: u64, waker: &Waker) -> bool {
        match &mut self.used[slot] {
            Some((n, held)) if *n == number => {
                held.clone_from(waker);
                true
            }
            _ => false,
        }
    }
}

/// Waits for a moment of world time. Never ready at once unless the moment is past.
pub(crate) struct Until {
    time: Rc<Time>,
    at: u64,
    slot: Option<(usize, u64)>,
}

impl Until {
    /// Waits until world time is `at` nanoseconds.
    pub(crate) fn new(time: Rc<Time>, at: u64) -> Self {
        Self { time, at, slot: None }
    }
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.time.now() >= self.at {
            return Poll::Ready(());
        }
        let kept = match self.slot {
            Some((slot, number)) => self.time.slots.borrow_mut().renew(slot, number, cx.waker()),
            None => false,
        };
        if !kept {
            self.slot = Some(self.time.register(self.at, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        if let Some((slot, number)) = self.slot {
            // Outside the borrow: dropping a waker may drop a task, which may drop another `Until`.
            let waker = self.time.slots.borrow_mut().take(slot, number);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Time, Until};
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Wake};

    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_when_due_and_only_then() {
        let time = Rc::new(Time::default());
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = count.clone().into();
        let mut cx = Context::from_waker(&waker);
        let mut a = pin!(Until::new(time.clone(), 10));
        let b = Until::new(time.clone(), 20);
        let mut b = Box::pin(b);
        assert!(a.as_mut().poll(&mut cx).is_pending());
        assert!(b.as_mut().poll(&mut cx).is_pending());
        time.advance(9);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        time.advance(10);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(a.as_mut().poll(&mut cx).is_ready());
        drop(b);
        time.advance(30);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "a dropped sleep wakes nobody");
        assert_eq!(Cell::new(time.now()).get(), 30);
    }
}
