//! A bounded queue: whoever puts something in waits while it is full, in the order in which they came.
//!
//! The line of those in it and those that wait is a plain structure; [`Queue`] only has tasks wait for it to move. What was
//! not let in when whoever waited gave up is not in it, and never will be.

use std::cell::RefCell;
use std::collections::VecDeque;

use broker::planted::{Defect, planted};
use tokio::sync::Notify;

/// Who waits.
type Ticket = u64;

/// What is in the queue, and what waits for room.
#[derive(Debug)]
struct Line<T> {
    room: usize,
    items: VecDeque<T>,
    waiting: VecDeque<(Ticket, T)>,
    last: Ticket,
    closed: bool,
}

impl<T> Line<T> {
    fn new(room: usize) -> Self {
        Self { room, items: VecDeque::new(), waiting: VecDeque::new(), last: 0, closed: false }
    }

    /// Puts something in, or has it wait: `None`, or what it waits by.
    fn put(&mut self, item: T) -> Option<Ticket> {
        if planted(Defect::ApQueueDrops) && self.items.len() >= self.room {
            return None;
        }
        self.last += 1;
        self.waiting.push_back((self.last, item));
        self.admit();
        self.waits(self.last).then_some(self.last)
    }

    fn waits(&self, ticket: Ticket) -> bool {
        self.waiting.iter().any(|(of, _)| *of == ticket)
    }

    /// Whoever waits by that gives up.
    fn withdraw(&mut self, ticket: Ticket) {
        self.waiting.retain(|(of, _)| *of != ticket);
    }

    fn take(&mut self) -> Option<T> {
        let first = self.items.pop_front();
        self.admit();
        first
    }

    fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.items.retain(&keep);
        self.waiting.retain(|(_, item)| keep(item));
        self.admit();
    }

    fn admit(&mut self) {
        let free = self.room.saturating_sub(self.items.len()).min(self.waiting.len());
        self.items.extend(self.waiting.drain(..free).map(|(_, item)| item));
    }
}

/// A bounded queue between tasks of one thread.
#[derive(Debug)]
pub(super) struct Queue<T> {
    line: RefCell<Line<T>>,
    moved: Notify,
}

impl<T> Queue<T> {
    /// With room for so many.
    pub(super) fn new(room: usize) -> Self {
        Self { line: RefCell::new(Line::new(room)), moved: Notify::new() }
    }

    /// Puts something in, and waits until there is room for it. Dropped before that, it leaves nothing behind.
    pub(super) async fn put(&self, item: T) {
        let Some(ticket) = self.line.borrow_mut().put(item) else { return self.moved.notify_waiters() };
        let _gives_up = GivesUp { queue: self, ticket };
        loop {
            let moved = self.moved.notified();
            if !self.line.borrow().waits(ticket) {
                return;
            }
            moved.await;
        }
    }

    /// The first in it, when there is one; `None` when it is closed.
    pub(super) async fn take(&self) -> Option<T> {
        loop {
            let moved = self.moved.notified();
            let first = self.line.borrow_mut().take();
            if first.is_some() {
                self.moved.notify_waiters();
                return first;
            }
            if self.line.borrow().closed {
                return None;
            }
            moved.await;
        }
    }

    /// Throws out what `keep` does not want, of those that wait too.
    pub(super) fn retain(&self, keep: impl Fn(&T) -> bool) {
        self.line.borrow_mut().retain(keep);
        self.moved.notify_waiters();
    }

    /// Throws out everything; whoever takes from it learns that no more will come.
    pub(super) fn close(&self) {
        self.line.borrow_mut().closed = true;
        self.retain(|_| false);
    }
}

/// Whoever waits for room, until it does no longer.
struct GivesUp<'a, T> {
    queue: &'a Queue<T>,
    ticket: Ticket,
}

impl<T> Drop for GivesUp<'_, T> {
    fn drop(&mut self) {
        self.queue.line.borrow_mut().withdraw(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Put,
        Take,
        /// Whoever has waited longest but so many gives up.
        Withdraw(usize),
        /// Everything that is divisible by this goes.
        Throw(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let one = prop_oneof![
            6 => Just(Step::Put),
            4 => Just(Step::Take),
            2 => (0usize..4).prop_map(Step::Withdraw),
            1 => (2u32..6).prop_map(Step::Throw),
        ];
        prop::collection::vec(one, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Beside one list, of which the first are in the queue and the others wait.
        #[test]
        fn it_holds_the_first_of_those_that_came_and_did_not_go(steps in steps(), room in 1usize..6) {
            let (mut line, mut model) = (Line::new(room), VecDeque::<(u32, Option<Ticket>)>::new());
            let mut next = 0;
            for step in steps {
                match step {
                    Step::Put => {
                        let ticket = line.put(next);
                        prop_assert_eq!(ticket.is_none(), model.len() < room);
                        model.push_back((next, ticket));
                        next += 1;
                    }
                    Step::Take => prop_assert_eq!(line.take(), model.pop_front().map(|(item, _)| item)),
                    Step::Withdraw(n) => {
                        if let Some((_, Some(ticket))) = model.get(room + n).copied() {
                            line.withdraw(ticket);
                            model.remove(room + n);
                        }
                    }
                    Step::Throw(by) => {
                        line.retain(|item| item % by != 0);
                        model.retain(|(item, _)| item % by != 0);
                    }
                }
                prop_assert!(line.items.len() <= room);
                let (inside, waiting): (Vec<u32>, Vec<u32>) =
                    (line.items.iter().copied().collect(), line.waiting.iter().map(|(_, item)| *item).collect());
                let all: Vec<u32> = model.iter().map(|(item, _)| *item).collect();
                prop_assert_eq!(&inside[..], &all[..all.len().min(room)]);
                prop_assert_eq!(&waiting[..], &all[all.len().min(room)..]);
            }
        }
    }

    #[test]
    fn whoever_gives_up_leaves_nothing_behind_and_whoever_waits_is_let_in() {
        let (queue, mut cx) = (Queue::new(1), Context::from_waker(Waker::noop()));
        assert!(pin!(queue.put(1)).poll(&mut cx).is_ready());
        assert!(pin!(queue.put(2)).poll(&mut cx).is_pending(), "dropped at once");
        let mut waits = pin!(queue.put(3));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        assert_eq!(pin!(queue.take()).poll(&mut cx), std::task::Poll::Ready(Some(1)));
        assert!(waits.as_mut().poll(&mut cx).is_ready());
        assert_eq!(pin!(queue.take()).poll(&mut cx), std::task::Poll::Ready(Some(3)));
        let mut taker = pin!(queue.take());
        assert!(taker.as_mut().poll(&mut cx).is_pending());
        queue.close();
        assert_eq!(taker.poll(&mut cx), std::task::Poll::Ready(None));
    }
}
