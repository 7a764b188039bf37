//! How long nothing was heard of a partition: what a fault costs is the time in which nothing is acknowledged, or read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::arrivals::SECOND;

/// So long nothing is heard of a partition is worth a note, in nanoseconds.
const LEAST: u64 = SECOND / 100;

/// What was heard of each partition, by whatever thread.
#[derive(Default)]
pub struct Silence {
    /// When something was last heard of each.
    last: Vec<AtomicU64>,
    any: AtomicU64,
    pauses: Mutex<Vec<Pause>>,
}

/// From when to when nothing was heard: of one partition, or of any.
#[derive(Clone, Copy, Debug)]
struct Pause {
    any: bool,
    from: u64,
    to: u64,
}

impl Silence {
    /// Listens to so many partitions; to none, it costs nothing.
    pub fn new(partitions: usize) -> Self {
        Self { last: (0..partitions).map(|_| AtomicU64::new(0)).collect(), ..Self::default() }
    }

    /// Something was heard of a partition.
    pub fn heard(&self, partition: usize, now: u64) {
        let Some(last) = self.last.get(partition) else { return };
        for (last, any) in [(last, false), (&self.any, true)] {
            let from = last.fetch_max(now, Ordering::AcqRel);
            if now > from + LEAST {
                self.pauses.lock().unwrap_or_else(PoisonError::into_inner).push(Pause { any, from, to: now });
            }
        }
    }

    /// Whether something was heard of every partition after `at`.
    pub fn is_broken_since(&self, at: u64) -> bool {
        self.last.iter().all(|last| last.load(Ordering::Acquire) > at)
    }

    /// The longest time between `from` and `to` in which nothing was heard of one partition, and of all of them.
    pub fn longest(&self, from: u64, to: u64) -> (u64, u64) {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        // Of those that are silent still, the end is not known.
        let open = |last: &AtomicU64, any| Pause { any, from: last.load(Ordering::Acquire), to: u64::MAX };
        let still = self.last.iter().map(|last| open(last, false)).chain([open(&self.any, true)]);
        let within = |pause: &Pause| pause.to.min(to).saturating_sub(pause.from.max(from));
        let mut longest = (0, 0);
        for pause in pauses.iter().copied().chain(still) {
            let of = if pause.any { &mut longest.1 } else { &mut longest.0 };
            *of = within(&pause).max(*of);
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silence_is_found_within_a_time() {
        let (silence, ms) = (Silence::new(2), SECOND / 1000);
        let heard = |all: &[(usize, u64)]| all.iter().for_each(|(lane, at)| silence.heard(*lane, at * ms));
        heard(&[(0, 1), (1, 2), (0, 5), (1, 105), (0, 205), (1, 206)]);
        assert_eq!(silence.longest(0, 210 * ms), (200 * ms, 100 * ms), "one for 200, both from 5 to 105");
        assert_eq!(silence.longest(50 * ms, 110 * ms), (60 * ms, 55 * ms));
        assert_eq!(silence.longest(205 * ms, 300 * ms), (95 * ms, 94 * ms), "silent still");
        assert!(silence.is_broken_since(204 * ms) && !silence.is_broken_since(205 * ms));
        silence.heard(7, ms);
    }
}
