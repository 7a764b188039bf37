//! One run: warm-up until it is steady, the measured time, and then whether everything acknowledged was read.

#![expect(clippy::disallowed_methods, reason = "a live world: what watches the generator's threads sleeps beside them")]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use broker::env::real::block_on;
use tokio::task::{JoinHandle, spawn_local};

use crate::arrivals::{Arrivals, SECOND};
use crate::clock::{Clock, Pacer};
use crate::driver::Driver;
use crate::machine::{Machine, Used};
use crate::outcome::{Checks, Course, Figures, Outcome};
use crate::receive::{Progress, receive};
use crate::recorder::{INTERVAL, Measured, Recorder, Timed};
use crate::send::{Sent, Shared, send};
use crate::spec::{Drive, Reading, Spec};
use crate::statistics::figure;
use crate::steady::{Window, is_steady};
use crate::tally::{Numbers, Read};
use crate::threads::{Ready, a_side};

/// So long may nothing be read before the rest counts as lost.
const STILL: u64 = 10 * SECOND;
/// So long nothing may come until all is read: what was stored and not acknowledged is read, too, and counts with the rest.
const QUIET: u64 = 3 * SECOND / 10;
/// So long before the end processor time is read, in nanoseconds: a thread that has ended has none any more.
const EARLY: u64 = 5 * SECOND / 1000;
/// How often it is looked whether all is read.
const LOOK: Duration = Duration::from_millis(2);
/// Records in flight where a backlog is written.
const BACKLOG: usize = 64 << 10;

/// What watches a run.
pub trait Watch {
    /// Half a second is over; `measuring` says whether it counts.
    fn window(&mut self, window: &Window, measuring: bool);
}

impl Watch for () {
    fn window(&mut self, _: &Window, _: bool) {}
}

/// What a run leaves.
pub struct Done {
    /// When the generator's clock began.
    pub started: SystemTime,
    /// Why what was made could not be removed, if so.
    pub left: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
    /// Every interval's latencies, for an interval log.
    pub recorder: Recorder,
}

/// Runs `spec` against what `driver` reaches, which `target` names.
pub fn run<D: Driver>(
    driver: &D,
    spec: &Spec,
    machine: &Machine,
    target: &str,
    watch: &mut dyn Watch,
) -> io::Result<Done> {
    if let Some(why) = spec.refused() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    block_on(driver.prepare(spec)).and_then(|made| made)?;
    let done = Run::new(driver, spec, machine).go(target, watch);
    let removed = block_on(driver.remove()).and_then(|removed| removed);
    let left = removed.err().map(|why| why.to_string());
    done.map(|done| Done { left, ..done })
}

struct Run<'a, D: Driver> {
    driver: &'a D,
    spec: &'a Spec,
    machine: &'a Machine,
    shared: Arc<Shared>,
    progress: Arc<Progress>,
    windows: Vec<Window>,
    started: SystemTime,
}

/// What was measured.
struct Span {
    from: u64,
    to: u64,
    used: Used,
    steady: bool,
}

impl<'a, D: Driver> Run<'a, D> {
    fn new(driver: &'a D, spec: &'a Spec, machine: &'a Machine) -> Self {
        let recorders = |n: usize| (0..n).map(|_| Mutex::default()).collect();
        let clock = Clock::start();
        let shared = Shared {
            run: mark(),
            clock,
            measured: Measured::default(),
            published: recorders(spec.producers),
            read: recorders(spec.groups() * spec.consumers),
        };
        let groups = (0..spec.groups()).map(|_| AtomicU64::new(0)).collect();
        let progress = Arc::new(Progress { groups, ..Progress::default() });
        Self {
            driver,
            spec,
            machine,
            shared: Arc::new(shared),
            progress,
            windows: Vec::new(),
            started: SystemTime::now(),
        }
    }

    fn go(mut self, target: &str, watch: &mut dyn Watch) -> io::Result<Done> {
        let page_us = self.machine.warm(self.working_set())?;
        let (span, sent, read) = match self.spec.reading {
            Reading::CatchUp { megabytes, cold } => self.catch_up(megabytes, cold)?,
            Reading::Tail { .. } => {
                let readers = self.readers()?;
                readers.go();
                let (span, sent) = self.drive(&readers.ids, watch)?;
                (span, sent, self.drain(readers)?)
            }
            Reading::Afterwards => {
                let (span, sent) = self.drive(&[], watch)?;
                let readers = self.readers()?;
                readers.go();
                (span, sent, self.drain(readers)?)
            }
        };
        Ok(self.done(target, page_us, &span, sent, &read))
    }

    /// Bytes that the broker is about to write, as far as that can be guessed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a guess; the rate was checked")]
    fn working_set(&self) -> u64 {
        let seconds = (self.spec.measure_ms + self.spec.warm_up_ms / 2) / 1000 + 1;
        match (self.spec.reading, self.spec.drive) {
            (Reading::CatchUp { megabytes, .. }, _) => megabytes * 1_000_000,
            (_, Drive::Open { rate, .. }) => seconds * (rate as u64).saturating_mul(self.spec.record_bytes as u64),
            (_, Drive::Closed { .. }) => u64::MAX,
        }
    }

    /// Producers that wait for the word, each of them to end after so many records, if any number is said.
    fn senders(&self, records: Option<u64>) -> io::Result<Ready<Vec<Sent>>> {
        let mut spec = self.spec.clone();
        if records.is_some() {
            spec.drive = Drive::Closed { in_flight: BACKLOG };
        }
        let threads = a_side().min(spec.producers);
        Ready::all((0..threads).map(|at| {
            let (driver, spec, shared) = (self.driver.clone(), spec.clone(), self.shared.clone());
            move |gate: crate::threads::Gate| async move {
                let mut producers = Vec::new();
                for number in (at..spec.producers).step_by(threads) {
                    producers.push((number, driver.producer(&spec).await?));
                }
                gate.pass().await?;
                let tasks = producers.into_iter().map(|(number, producer)| {
                    let (spec, shared) = (spec.clone(), shared.clone());
                    spawn_local(async move { send(producer, number, &spec, shared, &Pacer::exact()?, records).await })
                });
                all(tasks.collect()).await
            }
        }))
    }

    /// Consumers that wait for the word.
    fn readers(&self) -> io::Result<Ready<Vec<(usize, Read)>>> {
        let (each, count) = (self.spec.consumers, self.spec.groups() * self.spec.consumers);
        let threads = a_side().min(count);
        Ready::all((0..threads).map(|at| {
            let (driver, spec, shared) = (self.driver.clone(), self.spec.clone(), self.shared.clone());
            let progress = self.progress.clone();
            move |gate: crate::threads::Gate| async move {
                let mut consumers = Vec::new();
                for number in (at..count).step_by(threads) {
                    consumers.push((number, driver.consumer(&spec, number % each).await?));
                }
                gate.pass().await?;
                let tasks = consumers.into_iter().map(|(number, consumer)| {
                    let (shared, progress, group) = (shared.clone(), progress.clone(), number / each);
                    let tail = matches!(spec.reading, Reading::Tail { .. });
                    spawn_local(async move {
                        receive(consumer, (number, group), tail, shared, progress).await.map(|read| (group, read))
                    })
                });
                all(tasks.collect()).await
            }
        }))
    }

    /// Sends until the measured time is over and all is acknowledged.
    fn drive(&mut self, readers: &[i32], watch: &mut dyn Watch) -> io::Result<(Span, Vec<Sent>)> {
        let senders = self.senders(None)?;
        senders.go();
        let threads = [&senders.ids, readers].concat();
        let span = self.measure(&senders, &threads, watch);
        if span.is_err() {
            self.shared.measured.set(0, 0);
        }
        let sent = senders.join()?.into_iter().flatten().collect();
        Ok((span?, sent))
    }

    fn measure<T: Send + 'static>(
        &mut self,
        senders: &Ready<T>,
        threads: &[i32],
        watch: &mut dyn Watch,
    ) -> io::Result<Span> {
        let clock = self.shared.clock;
        let (begun, mut interval) = (clock.now(), clock.now() / INTERVAL);
        let mut started = None;
        loop {
            interval += 1;
            let end = started.as_ref().map_or(u64::MAX, |(_, to, ..): &(u64, u64, _, _)| *to - EARLY);
            sleep_until(clock, (interval * INTERVAL).min(end));
            if let Some((from, to, before, steady)) = started.take_if(|_| clock.now() >= end) {
                let used = self.machine.read(threads)?.since(&before);
                return Ok(Span { from, to, used, steady });
            }
            if senders.has_ended() {
                return Err(io::Error::other("a producer has ended before its time"));
            }
            let window = self.window(interval - 1);
            self.windows.push(window);
            watch.window(&window, started.is_some());
            let steady = is_steady(&self.windows, self.period());
            if started.is_none() && (steady || clock.now() - begun >= self.spec.warm_up_ms * (SECOND / 1000)) {
                let before = self.machine.read(threads)?;
                let from = clock.now();
                let to = from + self.spec.measure_ms * (SECOND / 1000);
                self.shared.measured.set(from, to);
                started = Some((from, to, before, steady));
            }
        }
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
    fn window(&self, interval: u64) -> Window {
        let (at, mut all) = (usize::try_from(interval).unwrap_or(usize::MAX), crate::recorder::Histograms::default());
        let mut acked = 0;
        for published in &self.shared.published {
            let recorder = Shared::locked(published);
            recorder.intervals().get(at).into_iter().for_each(|own| all.merge(own));
            acked += recorder.count();
        }
        let slowest = self.progress.groups.iter().map(|read| read.load(Ordering::Acquire)).min();
        let reads = matches!(self.spec.reading, Reading::Tail { .. });
        let publish = all.of(Timed::Publish);
        Window {
            at_ms: interval * INTERVAL / (SECOND / 1000),
            records: publish.len(),
            p50_us: publish.value_at_quantile(0.5),
            p99_us: publish.value_at_quantile(0.99),
            lag: if reads { acked.saturating_sub(slowest.unwrap_or(0)) } else { 0 },
        }
    }

    /// Writes a backlog, then has it read.
    fn catch_up(&mut self, megabytes: u64, cold: bool) -> io::Result<(Span, Vec<Sent>, Vec<Read>)> {
        if cold && self.machine.data.is_none() {
            let why = "the page cache of a broker elsewhere cannot be emptied: there is no cold read of it";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let records = (megabytes * 1_000_000).div_ceil(self.spec.record_bytes as u64);
        let senders = self.senders(Some(records.div_ceil(self.spec.producers as u64)))?;
        senders.go();
        let sent: Vec<Sent> = senders.join()?.into_iter().flatten().collect();
        if cold {
            self.machine.evict()?;
        }
        let readers = self.readers()?;
        let ids = readers.ids.clone();
        let before = self.machine.read(&ids)?;
        let from = self.shared.clock.now();
        readers.go();
        self.until_read(acked(&sent), 0);
        let used = self.machine.read(&ids)?.since(&before);
        let to = self.until_read(acked(&sent), QUIET);
        self.progress.stop.store(true, Ordering::Release);
        let read = self.merged(readers.join()?);
        Ok((Span { from, to, used, steady: true }, sent, read))
    }

    /// Waits until every group has read so many records and nothing has come for `quiet`, or nothing more comes. Returns when the
    /// last came, but not before it began to wait.
    fn until_read(&self, records: u64, quiet: u64) -> u64 {
        let clock = self.shared.clock;
        let (mut seen, mut moved) = (0, clock.now());
        // How much retention leaves is not known: some of it.
        let records = if self.spec.retain_megabytes.is_some() { records.min(1) } else { records };
        loop {
            let read = self.progress.groups.iter().map(|read| read.load(Ordering::Acquire));
            let (least, sum) = read.fold((u64::MAX, 0), |(least, sum), read| (least.min(read), sum + read));
            if sum > seen {
                (seen, moved) = (sum, clock.now());
            }
            let still = clock.now() - moved;
            if still > STILL || least >= records && still >= quiet {
                return moved;
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until the readers have read what is acknowledged, and ends them.
    fn drain(&self, readers: Ready<Vec<(usize, Read)>>) -> io::Result<Vec<Read>> {
        let sent = self.shared.published.iter().map(|published| Shared::locked(published).count());
        self.until_read(sent.sum(), QUIET);
        self.progress.stop.store(true, Ordering::Release);
        Ok(self.merged(readers.join()?))
    }

    /// What each group has read.
    fn merged(&self, parts: Vec<Vec<(usize, Read)>>) -> Vec<Read> {
        let mut groups = vec![Read::default(); self.spec.groups()];
        parts.iter().flatten().for_each(|(group, read)| groups[*group].merge(read));
        groups
    }

    fn done(self, target: &str, page_us: Option<f64>, span: &Span, sent: Vec<Sent>, read: &[Read]) -> Done {
        let mut recorder = Recorder::default();
        let published = self.shared.published.iter().chain(&self.shared.read);
        published.for_each(|each| recorder.merge(&Shared::locked(each)));
        sent.iter().for_each(|sent| recorder.merge(&sent.late));
        let within = self.shared.published.iter().map(|each| Shared::locked(each).within()).sum();
        let acknowledged = acked(&sent);
        let (least, meant) = (read.iter().map(Read::count).min().unwrap_or(0), sent.iter().map(|s| s.meant).sum());
        let checks = Checks {
            sent: sent.iter().map(|sent| sent.sent).sum(),
            acked: acknowledged,
            failed: sent.iter().map(|sent| sent.failed).sum(),
            read: least,
            duplicated: read.iter().map(|read| read.faults().0).sum(),
            disordered: read.iter().map(|read| read.faults().1).sum(),
            lost: {
                let numbers: Vec<Numbers> = sent.into_iter().map(|sent| sent.acked).collect();
                // Compaction takes what is overwritten, by right.
                let deletes = self.spec.retain_megabytes.is_some();
                if self.spec.compacted { 0 } else { read.iter().map(|read| read.lost(&numbers, deletes)).sum() }
            },
        };
        let catches_up = matches!(self.spec.reading, Reading::CatchUp { .. });
        let counted = if catches_up { least } else { within };
        let figures = Figures { counted, seconds: figure(span.to.saturating_sub(span.from)) / 1e9, checks, page_us };
        let mut outcome = Outcome::new(self.spec, target, span.used, self.windows, figures);
        if !catches_up {
            outcome.timed(recorder.measured());
        }
        outcome.judge(Course { steady: span.steady, meant });
        Done { started: self.started, left: None, outcome, recorder }
    }
}

async fn all<T: 'static>(tasks: Vec<JoinHandle<io::Result<T>>>) -> io::Result<Vec<T>> {
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.map_err(io::Error::other)??);
    }
    Ok(done)
}

fn acked(sent: &[Sent]) -> u64 {
    sent.iter().map(|sent| sent.acked.count()).sum()
}

fn sleep_until(clock: Clock, at: u64) {
    thread::sleep(Duration::from_nanos(at.saturating_sub(clock.now())));
}

/// Tells this run's records from those of another.
fn mark() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    std::process::id() ^ since.subsec_nanos()
}
