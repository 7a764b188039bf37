//! Waking tasks of one reactor without locks or allocation: a [`Signal`] that many may wait on, and an [`Alarm`] that
//! keeps one timer armed instead of making one for each wait.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use broker::env::{Env, Mono};

/// Counts how often something happened and wakes whoever waits for the next time.
#[derive(Default)]
pub struct Signal {
    raised: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// It happened: wakes every waiting task once.
    pub fn raise(&self) {
        self.raised.set(self.raised.get() + 1);
        for waker in self.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }

    /// How often it happened. A waiter reads this before it looks at what the signal guards, so that nothing is missed.
    pub fn count(&self) -> u64 {
        self.raised.get()
    }

    /// Whether it happened since `seen`; if not, the task of `cx` is woken when it does.
    pub fn poll_past(&self, seen: u64, cx: &Context<'_>) -> bool {
        if self.raised.get() != seen {
            return true;
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        false
    }

    /// Waits until it has happened since `seen`.
    pub async fn past(&self, seen: u64) {
        poll_fn(|cx| if self.poll_past(seen, cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

type Timer = Pin<Box<dyn Future<Output = ()>>>;

/// One timer that is moved only when it must fire earlier. It may fire early: the owner looks at the clock again.
pub struct Alarm<E> {
    env: E,
    armed: Option<(Mono, Timer)>,
}

impl<E: Env> Alarm<E> {
    /// An alarm that is not armed.
    pub fn new(env: E) -> Self {
        Self { env, armed: None }
    }

    /// Whether the alarm rings now. If not, the task of `cx` is woken at `at` or earlier; `None` asks for nothing.
    pub fn poll_at(&mut self, at: Option<Mono>, cx: &mut Context<'_>) -> bool {
        if let Some(at) = at
            && self.armed.as_ref().is_none_or(|(armed, _)| *armed > at)
        {
            let (env, wait) = (self.env.clone(), at.since(self.env.now()));
            self.armed = Some((at, Box::pin(async move { env.sleep(wait).await })));
        }
        let Some((_, timer)) = &mut self.armed else { return false };
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.armed = None;
        true
    }
}
