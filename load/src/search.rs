//! The highest rate that a broker sustains: doubled until it fails, then halved in between. What counts as failing is the
//! caller's; trials are few, since each takes seconds.

use crate::limits::Bound;
use crate::outcome::Outcome;

/// A trial that is that much above one that held is near enough.
const NEAR: f64 = 1.05;
/// Trials, at most.
const MOST: usize = 24;

/// One rate that was tried.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Trial {
    /// Records a second that were asked for.
    pub rate: f64,
    /// Whether it was sustained.
    pub held: bool,
    /// What came of it.
    pub outcome: Outcome,
}

impl Trial {
    /// Why a rate was not sustained, with a publish p99 of at most so many microseconds: in words.
    pub fn why_not(&self, p99_us: u64) -> String {
        let slow = (self.outcome.publish.p99 > p99_us).then(|| format!("p99 is above {p99_us} us"));
        let flags = self.outcome.flags.iter().map(ToString::to_string);
        slow.into_iter().chain(flags).collect::<Vec<_>>().join("; ")
    }
}

/// What a search found.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Found {
    /// The workload and the case.
    pub workload: String,
    /// The publish latency's 99th percentile that a sustained rate may have at most, in microseconds.
    pub p99_us: u64,
    /// The highest rate that was sustained, in records a second.
    pub highest: Option<f64>,
    /// What would limit any broker on this machine, and how much of that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<(Bound, f64)>,
    /// What was tried until it was found.
    pub trials: Vec<Trial>,
    /// What was tried below it, for the curve.
    pub curve: Vec<Trial>,
}

/// A search for the highest rate. Ask [`Search::next`], try it, tell [`Search::tried`].
#[derive(Clone, Debug)]
pub struct Search {
    held: Option<f64>,
    failed: Option<f64>,
    next: f64,
    trials: usize,
}

impl Search {
    /// Begins at a rate.
    pub fn new(first: f64) -> Self {
        Self { held: None, failed: None, next: first.max(1.0), trials: 0 }
    }

    /// The rate to try next; `None` when it is found, or nothing held.
    pub fn next(&self) -> Option<f64> {
        let near = self.held.zip(self.failed).is_some_and(|(held, failed)| failed <= held * NEAR);
        (!near && self.trials < MOST && self.next >= 1.0).then_some(self.next)
    }

    /// A trial of [`Search::next`] held, or not.
    pub fn tried(&mut self, held: bool) {
        self.trials += 1;
        if held {
            self.held = Some(self.next);
        } else {
            self.failed = Some(self.next);
        }
        self.next = match (self.held, self.failed) {
            (Some(held), Some(failed)) => (held * failed).sqrt(),
            (Some(held), None) => held * 2.0,
            (None, Some(failed)) => failed / 2.0,
            (None, None) => self.next,
        };
    }

    /// The highest rate that held so far.
    pub fn found(&self) -> Option<f64> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_limit_is_found_from_wherever_it_begins(limit in 100.0..5e6f64, first in 1.0..1e6f64) {
            let mut search = Search::new(first);
            while let Some(rate) = search.next() {
                search.tried(rate <= limit);
            }
            let found = search.found().unwrap();
            prop_assert!(found <= limit && found * 1.06 >= limit, "{found} for {limit} in {} trials", search.trials);
        }
    }

    #[test]
    fn what_holds_nothing_ends() {
        let mut search = Search::new(1e6);
        while search.next().is_some() {
            search.tried(false);
        }
        assert_eq!(search.found(), None);
        assert!(search.trials <= MOST);
    }
}
