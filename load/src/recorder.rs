//! Latencies of one worker, in microseconds, without loss: what falls into the measured time, and each interval's for the log
//! that HdrHistogram's own tools read.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;

use crate::arrivals::SECOND;

/// Significant digits.
const DIGITS: u8 = 3;
/// The length of an interval, in nanoseconds.
pub const INTERVAL: u64 = SECOND / 2;
/// Intervals kept, at most: an hour.
const MOST: usize = 7200;
/// Parts of the measured time that are told apart, at most.
const PARTS: usize = 64;

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
/// What happens meanwhile divides it into parts.
pub struct Measured {
    from: AtomicU64,
    to: AtomicU64,
    marks: [AtomicU64; PARTS],
}

impl Default for Measured {
    fn default() -> Self {
        let never = || AtomicU64::new(u64::MAX);
        Self { from: never(), to: never(), marks: [(); PARTS].map(|()| never()) }
    }
}

impl Measured {
    /// Measures from `from` until `to`.
    pub fn set(&self, from: u64, to: u64) {
        self.to.store(to, Ordering::Relaxed);
        self.from.store(from, Ordering::Release);
    }

    /// Another part begins at `at`, after all others: returns its number, from 1. If there are too many, the last goes on.
    pub fn mark(&self, at: u64) -> usize {
        let free = self.marks.iter().position(|mark| mark.load(Ordering::Relaxed) == u64::MAX).unwrap_or(PARTS - 1);
        self.marks[free].store(at, Ordering::Release);
        free + 1
    }

    /// The part that a time is in: 0 before the first mark.
    fn part(&self, at: u64) -> usize {
        self.marks.iter().take_while(|mark| at >= mark.load(Ordering::Acquire)).count()
    }

    /// Whether a time is in it.
    pub fn holds(&self, at: u64) -> bool {
        at >= self.from.load(Ordering::Acquire) && at < self.to.load(Ordering::Relaxed)
    }

    /// When it begins; the end of all time if that is not known yet.
    pub fn from(&self) -> u64 {
        self.from.load(Ordering::Acquire)
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

/// One histogram for each [`Timed`] of which there is anything.
#[derive(Clone, Debug, Default)]
pub struct Histograms([Option<Histogram<u64>>; 3]);

/// What there is nothing of.
static NONE: LazyLock<Histogram<u64>> = LazyLock::new(empty);

fn empty() -> Histogram<u64> {
    Histogram::new(DIGITS).expect("1 to 5 digits")
}

impl Histograms {
    /// Adds a latency, in nanoseconds.
    pub fn record(&mut self, what: Timed, ns: u64) {
        // Every u64 has a place: it grows.
        let _ = self.0[what as usize].get_or_insert_with(empty).record(ns / 1000);
    }

    /// Those of one kind.
    pub fn of(&self, what: Timed) -> &Histogram<u64> {
        self.0[what as usize].as_ref().unwrap_or(&NONE)
    }

    /// Adds what another worker has recorded, count by count: percentiles cannot be averaged.
    pub fn merge(&mut self, other: &Histograms) {
        for (own, theirs) in self.0.iter_mut().zip(&other.0) {
            if let Some(theirs) = theirs {
                let _ = own.get_or_insert_with(empty).add(theirs);
            }
        }
    }

    /// Takes away what is a part of these.
    fn less(&mut self, part: &Histograms) {
        for (own, theirs) in self.0.iter_mut().zip(&part.0) {
            if let (Some(own), Some(theirs)) = (own, theirs) {
                let _ = own.subtract(theirs);
            }
        }
    }
}

/// What one worker records.
#[derive(Default)]
pub struct Recorder {
    measured: Histograms,
    /// Its parts, from the first mark on.
    parts: Vec<Histograms>,
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
            let part = measured.part(intended);
            if part > 0 {
                of(&mut self.parts, part - 1).record(what, took);
            }
        }
        if what != Timed::Delay {
            self.count += 1;
            self.within += u64::from(measured.holds(now));
        }
        let at = usize::try_from(now / INTERVAL).unwrap_or(usize::MAX).min(MOST - 1);
        of(&mut self.intervals, at).record(what, took);
    }

    /// What was meant to be sent in the measured time.
    pub fn measured(&self) -> &Histograms {
        &self.measured
    }

    /// What was meant to be sent in one part of it: before the first mark, after that, and so on.
    pub fn part(&self, number: usize) -> Histograms {
        if number > 0 {
            return self.parts.get(number - 1).cloned().unwrap_or_default();
        }
        let mut rest = self.measured.clone();
        self.parts.iter().for_each(|part| rest.less(part));
        rest
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

    /// Hands over what happened in one interval, once it is past: a long run of many workers has no room for all of theirs.
    pub fn take(&mut self, interval: usize) -> Histograms {
        self.intervals.get_mut(interval).map(std::mem::take).unwrap_or_default()
    }

    /// Adds what happened in one interval.
    pub fn add(&mut self, interval: usize, all: &Histograms) {
        of(&mut self.intervals, interval.min(MOST - 1)).merge(all);
    }

    /// Adds another worker's.
    pub fn merge(&mut self, other: &Recorder) {
        self.measured.merge(&other.measured);
        self.within += other.within;
        self.count += other.count;
        for (own, theirs) in [(&mut self.parts, &other.parts), (&mut self.intervals, &other.intervals)] {
            theirs.iter().enumerate().for_each(|(at, theirs)| of(own, at).merge(theirs));
        }
    }
}

fn of(all: &mut Vec<Histograms>, at: usize) -> &mut Histograms {
    if all.len() <= at {
        all.resize_with(at + 1, Histograms::default);
    }
    &mut all[at]
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

    #[test]
    fn marks_divide_the_measured_time_by_when_a_record_was_meant_to_be_sent() {
        let (mut recorder, measured) = (Recorder::default(), Measured::default());
        measured.set(0, 10 * SECOND);
        recorder.record(Timed::Publish, 1, 5 * SECOND, &measured);
        assert_eq!((measured.mark(2 * SECOND), measured.mark(4 * SECOND)), (1, 2));
        for intended in [1, 2, 3, 3, 4, 9, 11] {
            recorder.record(Timed::Publish, intended * SECOND, 11 * SECOND, &measured);
        }
        let counts = [0, 1, 2, 3].map(|part| recorder.part(part).of(Timed::Publish).len());
        assert_eq!((counts, recorder.measured().of(Timed::Publish).len()), ([2, 3, 2, 0], 7));
        let mut merged = Recorder::default();
        merged.merge(&recorder);
        assert_eq!(merged.part(1).of(Timed::Publish).len(), 3);
    }

    #[test]
    fn an_interval_that_was_taken_comes_back_with_the_whole() {
        let (mut recorder, measured, mut log) = (Recorder::default(), Measured::default(), Recorder::default());
        [1, 2, 2].into_iter().for_each(|at| recorder.record(Timed::Publish, 0, at * INTERVAL, &measured));
        log.add(2, &recorder.take(2));
        assert_eq!(recorder.take(2).of(Timed::Publish).len() + recorder.take(9).of(Timed::Publish).len(), 0);
        recorder.record(Timed::Publish, 0, 2 * INTERVAL, &measured);
        log.merge(&recorder);
        let counts: Vec<_> = log.intervals().iter().map(|each| each.of(Timed::Publish).len()).collect();
        assert_eq!(counts, [0, 1, 3]);
    }
}
