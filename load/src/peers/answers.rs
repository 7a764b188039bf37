//! Answers to what was sent, by its number: an acknowledgement costs no allocation and no channel of its own.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

/// The answers of one lane.
#[derive(Default)]
pub(super) struct Answers {
    state: RefCell<State>,
    /// Told whenever nothing is open any more.
    done: Notify,
}

#[derive(Default)]
struct State {
    /// The number of the first of `all`.
    first: u64,
    /// What was asked and not yet taken, with its answer.
    all: VecDeque<Option<bool>>,
    /// Those of `all` that have none.
    open: usize,
    /// Who waits for which.
    waiting: Option<(u64, Waker)>,
    /// No answer comes any more.
    over: bool,
}

impl Answers {
    /// Something is sent: its number, counted from 0.
    pub(super) fn ask(&self) -> u64 {
        let state = &mut *self.state.borrow_mut();
        state.all.push_back(state.over.then_some(false));
        state.open += usize::from(!state.over);
        state.first + state.all.len() as u64 - 1
    }

    /// The answer to number `n`. Nothing if it has one, or was never asked.
    pub(super) fn answer(&self, n: u64, ok: bool) {
        let state = &mut *self.state.borrow_mut();
        let at = n.checked_sub(state.first).and_then(|at| usize::try_from(at).ok());
        let Some(place @ None) = at.and_then(|at| state.all.get_mut(at)) else { return };
        *place = Some(ok);
        state.open -= 1;
        if state.open == 0 {
            self.done.notify_one();
        }
        if let Some((_, waker)) = state.waiting.take_if(|(waits, _)| *waits == n) {
            waker.wake();
        }
    }

    /// No answer comes any more: what has none may have happened, or not.
    pub(super) fn end(&self) {
        let state = &mut *self.state.borrow_mut();
        state.over = true;
        state.open = 0;
        state.all.iter_mut().for_each(|place| *place = place.or(Some(false)));
        self.done.notify_one();
        if let Some((_, waker)) = state.waiting.take() {
            waker.wake();
        }
    }

    /// How many have none.
    pub(super) fn open(&self) -> usize {
        self.state.borrow().open
    }

    /// Waits until all have one.
    pub(super) async fn all(&self) {
        while self.open() > 0 {
            self.done.notified().await;
        }
    }
}

/// Ready when number `n` is answered. They are looked at in the order in which they were asked.
pub struct Answered {
    pub(super) answers: Rc<Answers>,
    pub(super) n: u64,
}

impl Future for Answered {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let state = &mut *self.answers.state.borrow_mut();
        let at = usize::try_from(self.n.saturating_sub(state.first)).unwrap_or(usize::MAX);
        let Some(ok) = state.all.get(at).copied().flatten() else {
            state.waiting = Some((self.n, cx.waker().clone()));
            return Poll::Pending;
        };
        state.all.drain(..=at);
        state.first = self.n + 1;
        Poll::Ready(ok)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The answers of those that are ready, from number `from` on, as the generator looks.
    fn reap(answers: &Rc<Answers>, from: &mut u64, asked: u64) -> Vec<bool> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while *from < asked {
            let mut answered = Answered { answers: answers.clone(), n: *from };
            let Poll::Ready(ok) = Pin::new(&mut answered).poll(&mut cx) else { break };
            all.push(ok);
            *from += 1;
        }
        all
    }

    proptest! {
        #[test]
        fn each_gets_its_own_whenever_it_comes(steps in prop::collection::vec((0u8..8, any::<u8>(), any::<bool>()), 1..200)) {
            let answers = Rc::new(Answers::default());
            let (mut asked, mut taken, mut model, mut over) = (0, 0, BTreeMap::new(), false);
            for (what, which, ok) in steps {
                match what {
                    0..3 => {
                        prop_assert_eq!(answers.ask(), asked);
                        if over {
                            model.insert(asked, false);
                        }
                        asked += 1;
                    }
                    3..7 => {
                        let n = u64::from(which) % (asked + 2);
                        answers.answer(n, ok);
                        if n < asked {
                            model.entry(n).or_insert(ok);
                        }
                    }
                    _ if which < 16 => {
                        answers.end();
                        over = true;
                        (0..asked).for_each(|n| _ = model.entry(n).or_insert(false));
                    }
                    _ => {}
                }
                let from = taken;
                let got = reap(&answers, &mut taken, asked);
                let should: Vec<bool> = (from..asked).map_while(|n| model.get(&n).copied()).collect();
                prop_assert_eq!(got, should);
                prop_assert_eq!(answers.open(), (0..asked).filter(|n| !model.contains_key(n)).count());
            }
        }
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let answers = Rc::new(Answers::default());
        let [first, second] = [answers.ask(), answers.ask()].map(|n| Answered { answers: answers.clone(), n });
        let answer = async {
            tokio::task::yield_now().await;
            answers.answer(1, true);
            tokio::task::yield_now().await;
            answers.answer(0, false);
        };
        let (_, first, ()) = tokio::join!(answer, first, answers.all());
        assert_eq!((first, second.await), (false, true));
        let third = Answered { answers: answers.clone(), n: answers.ask() };
        let (third, ()) = tokio::join!(third, async { answers.end() });
        assert!(!third);
    }
}
