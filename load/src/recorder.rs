//! Latencies of one worker, in microseconds, without loss: what falls into the measured time, and each interval's for the log
//! that HdrHistogram's own tools read.

use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;

use crate::arrivals::SECOND;

/// Significant digits.
const DIGITS: u8 = 3;
/// The length of an interval, in nanoseconds.
pub const INTERVAL: u64 = SECOND / 2;
/// Intervals kept, at most: an hour.
const MOST: usize = 7200;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// From when a record was meant to be sent until it is acknowledged.
    Publish,
    /// From when it was meant to be sent until it was handed to the producer: what the generator is late by.
    Delay,
    /// From when it was meant to be sent until it was read.
    EndToEnd,
}

impl Timed {
    /// All there are.
    pub const ALL: [Timed; 3] = [Timed::Publish, Timed::Delay, Timed::EndToEnd];

    /// Its tag in an interval log.
    pub fn tag(self) -> &'static str {
        match self {
            Timed::Publish => "publish",
            Timed::Delay => "delay",
            Timed::EndToEnd => "end-to-end",
        }
    }
}

/// The time that is measured, in nanoseconds of the generator's clock; it is set when the run is steady.
pub struct Measured {
    from: AtomicU64,
    to: AtomicU64,
}

impl Default for Measured {
    fn default() -> Self {
        Self { from: AtomicU64::new(u64::MAX), to: AtomicU64::new(u64::MAX) }
    }
}

impl Measured {
    /// Measures from `from` until `to`.
    pub fn set(&self, from: u64, to: u64) {
        self.to.store(to, Ordering::Relaxed);
        self.from.store(from, Ordering::Release);
    }

    /// Whether a time is in it.
    pub fn holds(&self, at: u64) -> bool {
        at >= self.from.load(Ordering::Acquire) && at < self.to.load(Ordering::Relaxed)
    }

    /// When it ends, and how long it is.
    pub fn end(&self) -> (u64, u64) {
        let (from, to) = (self.from.load(Ordering::Acquire), self.to.load(Ordering::Relaxed));
        (to, to.saturating_sub(from))
    }

    /// Whether it is over at `now`.
    pub fn is_over(&self, now: u64) -> bool {
        now >= self.to.load(Ordering::Relaxed)
    }
}

/// One histogram for each [`Timed`].
#[derive(Clone, Debug)]
pub struct Histograms([Histogram<u64>; 3]);

impl Default for Histograms {
    fn default() -> Self {
        Self([(); 3].map(|()| Histogram::new(DIGITS).expect("1 to 5 digits")))
    }
}

impl Histograms {
    /// Adds a latency, in nanoseconds.
    pub fn record(&mut self, what: Timed, ns: u64) {
        // Every u64 has a place: it grows.
        let _ = self.0[what as usize].record(ns / 1000);
    }

    /// Those of one kind.
    pub fn of(&self, what: Timed) -> &Histogram<u64> {
        &self.0[what as usize]
    }

    /// Adds what another worker has recorded, count by count: percentiles cannot be averaged.
    pub fn merge(&mut self, other: &Histograms) {
        for (own, theirs) in self.0.iter_mut().zip(&other.0) {
            let _ = own.add(theirs);
        }
    }
}

/// What one worker records.
#[derive(Default)]
pub struct Recorder {
    measured: Histograms,
    /// Records acknowledged (or read) within the measured time, whenever they were meant to be sent.
    within: u64,
    /// All that were.
    count: u64,
    intervals: Vec<Histograms>,
}

impl Recorder {
    /// A record that was meant to be sent at `intended` has come so far at `now`.
    pub fn record(&mut self, what: Timed, intended: u64, now: u64, measured: &Measured) {
        let took = now.saturating_sub(intended);
        if measured.holds(intended) {
            self.measured.record(what, took);
        }
        if what != Timed::Delay {
            self.count += 1;
            self.within += u64::from(measured.holds(now));
        }
        let at = usize::try_from(now / INTERVAL).unwrap_or(usize::MAX).min(MOST - 1);
        if self.intervals.len() <= at {
            self.intervals.resize_with(at + 1, Histograms::default);
        }
        self.intervals[at].record(what, took);
    }

    /// What was meant to be sent in the measured time.
    pub fn measured(&self) -> &Histograms {
        &self.measured
    }

    /// How many records were acknowledged, or read, in the measured time.
    pub fn within(&self) -> u64 {
        self.within
    }

    /// How many were in all.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The intervals, from when the generator's clock began.
    pub fn intervals(&self) -> &[Histograms] {
        &self.intervals
    }

    /// Adds another worker's.
    pub fn merge(&mut self, other: &Recorder) {
        self.measured.merge(&other.measured);
        self.within += other.within;
        self.count += other.count;
        if self.intervals.len() < other.intervals.len() {
            self.intervals.resize_with(other.intervals.len(), Histograms::default);
        }
        self.intervals.iter_mut().zip(&other.intervals).for_each(|(own, theirs)| own.merge(theirs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_to_be_sent_within_counts_whenever_it_is_acknowledged() {
        let (mut recorder, measured) = (Recorder::default(), Measured::default());
        recorder.record(Timed::Publish, 0, SECOND, &measured);
        measured.set(2 * SECOND, 3 * SECOND);
        recorder.record(Timed::Publish, SECOND, 2 * SECOND, &measured);
        recorder.record(Timed::Publish, 2 * SECOND, 9 * SECOND, &measured);
        recorder.record(Timed::Publish, 3 * SECOND, 3 * SECOND + 5, &measured);
        let publish = recorder.measured().of(Timed::Publish);
        assert_eq!((publish.len(), recorder.within()), (1, 1));
        assert!(publish.equivalent(publish.max(), 7_000_000), "{}", publish.max());
        let counts: Vec<_> = recorder.intervals().iter().map(|each| each.of(Timed::Publish).len()).collect();
        assert_eq!((counts.len(), counts[2], counts[4], counts[6], counts[18]), (19, 1, 1, 1, 1));
    }

    #[test]
    fn percentiles_of_two_workers_are_those_of_all_their_records() {
        // The mean of the two 99th percentiles would be half a second.
        let measured = Measured::default();
        measured.set(0, u64::MAX);
        let (mut fast, mut slow) = (Recorder::default(), Recorder::default());
        (0..9900).for_each(|_| fast.record(Timed::Publish, 0, 1_000_000, &measured));
        (0..100).for_each(|_| slow.record(Timed::Publish, 0, SECOND, &measured));
        fast.merge(&slow);
        let all = fast.measured().of(Timed::Publish);
        assert_eq!((all.len(), all.value_at_quantile(0.99)), (10_000, 1000));
        assert!(all.value_at_quantile(0.9901) > 990_000);
    }
}
