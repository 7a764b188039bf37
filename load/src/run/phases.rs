//! What a run goes through: it settles, is measured, is read to its end; a backlog is built and worked off.

#![expect(clippy::disallowed_methods, reason = "a live world: what watches the generator's threads sleeps beside them")]

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::{Run, Span};
use crate::arrivals::{Arrivals, SECOND};
use crate::backlog::Drain;
use crate::driver::Driver;
use crate::recorder::{Histograms, INTERVAL, Timed};
use crate::send::{Sent, Shared};
use crate::spec::{Drive, Reading};
use crate::steady::{Window, is_steady};
use crate::tally::Read;
use crate::threads::Ready;

/// So long may nothing be read before the rest counts as lost.
const STILL: u64 = 10 * SECOND;
/// So long nothing may come until all is read: what was stored and not acknowledged is read, too, and counts with the rest.
const QUIET: u64 = 3 * SECOND / 10;
/// The same of a group that shares out by itself.
const GROUP_QUIET: u64 = 2 * SECOND;
/// So long before the end processor time is read, in nanoseconds: a thread that has ended has none any more.
const EARLY: u64 = 5 * SECOND / 1000;
/// How often it is looked whether all is read, in nanoseconds.
const LOOK: u64 = 2 * SECOND / 1000;

impl<D: Driver> Run<'_, D> {
    /// Sends until the measured time is over and all is acknowledged.
    pub(super) fn drive(&mut self, readers: &[i32]) -> io::Result<(Span, Vec<Sent>)> {
        let senders = self.senders(None)?;
        self.begin(&senders);
        let threads = [&senders.ids, readers].concat();
        let span = self.measure(&senders, &threads);
        self.ended(senders, span)
    }

    fn begin<T: Send + 'static>(&mut self, senders: &Ready<T>) {
        self.interval = self.shared.clock.now() / INTERVAL;
        senders.go();
    }

    /// What all producers have done, in their order; after an error nobody goes on.
    fn ended<T>(&self, senders: Ready<Vec<Sent>>, done: io::Result<T>) -> io::Result<(T, Vec<Sent>)> {
        if done.is_err() {
            self.shared.measured.set(0, 0);
        }
        let sent = senders.join();
        self.progress.stop.store(done.is_err() || sent.is_err(), Ordering::Release);
        let mut sent: Vec<Sent> = sent?.into_iter().flatten().collect();
        sent.sort_by_key(|sent| sent.producer);
        Ok((done?, sent))
    }

    fn measure(&mut self, senders: &Ready<Vec<Sent>>, threads: &[i32]) -> io::Result<Span> {
        let clock = self.shared.clock;
        let steady = self.settle(senders)?;
        let before = self.machine.read(threads)?;
        let from = clock.now();
        let to = from + self.spec.measure_ms * (SECOND / 1000);
        self.strikes.begin(from);
        self.shared.measured.set(from, to);
        self.until(to - EARLY, senders)?;
        let used = self.machine.read(threads)?.since(&before);
        Ok(Span { from, to, used, steady })
    }

    /// Waits until the run is steady, or has had the time for it. Returns whether it is.
    fn settle(&mut self, senders: &Ready<Vec<Sent>>) -> io::Result<bool> {
        let (clock, first) = (self.shared.clock, self.windows.len());
        let end = clock.now() + self.spec.warm_up_ms * (SECOND / 1000);
        loop {
            alive(senders)?;
            self.pass(u64::MAX, false);
            let steady = is_steady(&self.windows[first..], self.period()) && self.progress.is_at_rest(0);
            if steady || clock.now() >= end {
                return Ok(steady);
            }
        }
    }

    /// Waits until `end`, while the clock runs.
    fn until(&mut self, end: u64, senders: &Ready<Vec<Sent>>) -> io::Result<()> {
        while self.shared.clock.now() < end {
            alive(senders)?;
            self.pass(self.strikes.due(self.shared.clock.now()).min(end), true);
            self.strikes.step(&self.shared, &self.progress, self.spec.reads_along())?;
        }
        Ok(())
    }

    /// Waits until `until` or until an interval ends, whichever comes first; what happened in that is noted.
    fn pass(&mut self, until: u64, measuring: bool) {
        let (clock, end) = (self.shared.clock, (self.interval + 1) * INTERVAL);
        thread::sleep(Duration::from_nanos(until.min(end).saturating_sub(clock.now())));
        if clock.now() < end {
            return;
        }
        let window = self.window(self.interval);
        self.interval += 1;
        self.windows.push(window);
        self.placer.look(self.machine, measuring);
        self.watch.window(&window, measuring);
    }

    /// Intervals after which the load repeats itself.
    fn period(&self) -> usize {
        match self.spec.drive {
            Drive::Open { arrivals: Arrivals::Bursts { every_ms, .. }, .. } => {
                usize::try_from((every_ms * (SECOND / 1000)).div_ceil(INTERVAL)).unwrap_or(usize::MAX)
            }
            _ => 1,
        }
    }

    /// What happened in one interval.
    fn window(&mut self, interval: u64) -> Window {
        let (at, mut all) = (usize::try_from(interval).unwrap_or(usize::MAX), Histograms::default());
        for recorder in self.shared.published.iter().chain(&self.shared.read) {
            all.merge(&Shared::locked(recorder).take(at));
        }
        let publish = all.of(Timed::Publish);
        let window = Window {
            at_ms: interval * INTERVAL / (SECOND / 1000),
            records: publish.len(),
            p50_us: publish.value_at_quantile(0.5),
            p99_us: publish.value_at_quantile(0.99),
            lag: if self.spec.reads_along() { self.acknowledged().saturating_sub(self.read().0) } else { 0 },
        };
        self.log.add(at, &all);
        window
    }

    /// Records acknowledged so far.
    fn acknowledged(&self) -> u64 {
        self.shared.published.iter().map(|published| Shared::locked(published).count()).sum()
    }

    /// Records read so far: by the group that has read the fewest, and by all together.
    fn read(&self) -> (u64, u64) {
        let read = self.progress.groups.iter().map(|read| read.load(Ordering::Acquire));
        read.fold((u64::MAX, 0), |(least, sum), read| (least.min(read), sum + read))
    }

    /// Writes a backlog, then has it read.
    pub(super) fn catch_up(&mut self, megabytes: u64, cold: bool) -> io::Result<(Span, Vec<Sent>, Vec<Read>)> {
        if cold && self.machine.data.is_none() {
            let why = "the page cache of a broker elsewhere cannot be emptied: there is no cold read of it";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let senders = self.senders(Some(self.spec.records(megabytes).div_ceil(self.spec.producers as u64)))?;
        senders.go();
        let ((), sent) = self.ended(senders, Ok(()))?;
        if cold {
            self.machine.evict()?;
        }
        let readers = self.readers()?;
        let ids = readers.ids.clone();
        let before = self.machine.read(&ids)?;
        let (from, all) = (self.shared.clock.now(), super::acked(&sent));
        readers.go();
        self.until_read(all, 0);
        let used = self.machine.read(&ids)?.since(&before);
        let to = self.until_read(all, QUIET);
        self.progress.stop.store(true, Ordering::Release);
        let read = self.merged(readers.join()?);
        Ok((Span { from, to, used, steady: true }, sent, read))
    }

    /// Writes a backlog, goes on at the asked rate, and has consumers come for it after a while.
    pub(super) fn backlog(&mut self, megabytes: u64, percent: u8) -> io::Result<(Span, Vec<Sent>, Vec<Read>)> {
        let records = self.spec.records(megabytes);
        let readers = self.readers()?;
        let senders = self.senders(Some(records.div_ceil(self.spec.producers as u64)))?;
        self.begin(&senders);
        let span = self.build(records, &senders).and_then(|built| {
            let steady = self.settle(&senders)?;
            self.work_off(percent, &senders, &readers, (built, steady))
        });
        let (span, sent) = self.ended(senders, span)?;
        Ok((span, sent, self.drain(readers)?))
    }

    /// Waits until the backlog is there. Returns the nanoseconds that it took.
    fn build(&mut self, records: u64, senders: &Ready<Vec<Sent>>) -> io::Result<u64> {
        let clock = self.shared.clock;
        let begun = clock.now();
        while self.acknowledged() < records {
            alive(senders)?;
            self.pass(clock.now() + LOOK, false);
        }
        Ok(clock.now() - begun)
    }

    /// Measures without consumers, then with them until the backlog is worked off, or they come no nearer to its end.
    fn work_off(
        &mut self,
        percent: u8,
        senders: &Ready<Vec<Sent>>,
        readers: &Ready<Vec<(usize, Read)>>,
        (built, steady): (u64, bool),
    ) -> io::Result<Span> {
        let (clock, threads) = (self.shared.clock, [&senders.ids[..], &readers.ids].concat());
        let from = clock.now();
        self.shared.measured.set(from, u64::MAX);
        self.until(from + self.spec.measure_ms * (SECOND / 1000), senders)?;
        let before = self.machine.read(&threads)?;
        let start = clock.now();
        let part = self.shared.measured.mark(start);
        let mut drain = Drain::new(self.acknowledged(), percent, self.spec.drive, (built, start));
        readers.go();
        let drained = loop {
            alive(senders)?;
            self.pass(clock.now() + LOOK, true);
            let (acked, read) = (self.acknowledged(), self.read().0);
            if let Some(drained) = drain.step(clock.now(), acked, read) {
                break drained;
            }
        };
        let to = clock.now();
        let used = self.machine.read(&threads)?.since(&before);
        self.shared.measured.set(from, to);
        self.drained = Some((drained, part));
        Ok(Span { from, to, used, steady })
    }

    /// Waits until every group has read so many records and nothing has come for `quiet`, or nothing more comes. Returns when the
    /// last came, but not before it began to wait.
    fn until_read(&self, records: u64, quiet: u64) -> u64 {
        let clock = self.shared.clock;
        let (mut seen, mut moved) = (0, clock.now());
        loop {
            let (least, sum) = self.read();
            if sum > seen {
                (seen, moved) = (sum, clock.now());
            }
            let still = clock.now() - moved;
            if still > STILL || least >= records && still >= quiet {
                return moved;
            }
            thread::sleep(Duration::from_nanos(LOOK));
        }
    }

    /// Waits until the readers have read what is acknowledged, and ends them.
    pub(super) fn drain(&self, readers: Ready<Vec<(usize, Read)>>) -> io::Result<Vec<Read>> {
        // Who takes over from one that vanished may be found late.
        let quiet = if matches!(self.spec.reading, Reading::Group { .. }) { GROUP_QUIET } else { QUIET };
        self.until_read(self.acknowledged(), quiet);
        self.progress.stop.store(true, Ordering::Release);
        Ok(self.merged(readers.join()?))
    }

    /// What each group has read.
    fn merged(&self, parts: Vec<Vec<(usize, Read)>>) -> Vec<Read> {
        let mut groups = vec![Read::default(); self.spec.groups()];
        parts.iter().flatten().for_each(|(group, read)| groups[*group].merge(read));
        groups
    }
}

fn alive<T: Send + 'static>(senders: &Ready<T>) -> io::Result<()> {
    match senders.has_ended() {
        true => Err(io::Error::other("a producer has ended before its time")),
        false => Ok(()),
    }
}
