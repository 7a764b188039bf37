//! One run: warm-up until it is steady, the measured time, and then whether everything acknowledged was read.

#![expect(clippy::disallowed_methods, reason = "a live world: when it began is told in its log")]

mod phases;
mod sides;

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use broker::env::real::block_on;

use crate::backlog::Backlog;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::driver::Driver;
use crate::events::{self, Strikes};
use crate::machine::{Machine, Used};
use crate::outcome::{Checks, Course, Figures, Outcome, Quantiles};
use crate::placement::Placer;
use crate::receive::Progress;
use crate::recorder::{Measured, Recorder, Timed};
use crate::send::{Sent, Shared};
use crate::silence::Silence;
use crate::spec::{Drive, Reading, Spec};
use crate::statistics::figure;
use crate::steady::Window;
use crate::tally::{Numbers, Read};

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
    run_on(driver, spec, machine, target, watch, None)
}

/// The same, and what `spec` has happen to brokers happens to `cluster`'s.
pub fn run_on<D: Driver>(
    driver: &D,
    spec: &Spec,
    machine: &Machine,
    target: &str,
    watch: &mut dyn Watch,
    cluster: Option<&mut Cluster>,
) -> io::Result<Done> {
    if let Some(why) = spec.refused() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let strikes = Strikes::new(spec, cluster)?;
    block_on(driver.prepare(spec)).and_then(|made| made)?;
    let done = Run::new(driver, spec, machine, watch, strikes).go(target);
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
    watch: &'a mut dyn Watch,
    /// The interval that goes on.
    interval: u64,
    windows: Vec<Window>,
    /// Intervals that are past.
    log: Recorder,
    /// How a backlog was worked off, and the part of the measured time that it took.
    drained: Option<(Backlog, usize)>,
    strikes: Strikes<'a>,
    placer: Placer,
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
    fn new(
        driver: &'a D,
        spec: &'a Spec,
        machine: &'a Machine,
        watch: &'a mut dyn Watch,
        strikes: Strikes<'a>,
    ) -> Self {
        let recorders = |n: usize| (0..n).map(|_| Mutex::default()).collect();
        let clock = Clock::start();
        let listened = if spec.events.is_empty() { 0 } else { usize::try_from(spec.partitions).unwrap_or(0) };
        let silence = || Silence::new(listened);
        let shared = Shared {
            run: mark(),
            clock,
            measured: Measured::default(),
            published: recorders(spec.producers),
            read: recorders(events::seats(spec).len()),
            acks: silence(),
            reads: silence(),
        };
        let groups = (0..spec.groups()).map(|_| AtomicU64::new(0)).collect();
        let progress = Arc::new(Progress { groups, ..Progress::default() });
        Self {
            driver,
            spec,
            machine,
            shared: Arc::new(shared),
            progress,
            watch,
            interval: 0,
            windows: Vec::new(),
            log: Recorder::default(),
            drained: None,
            strikes,
            placer: Placer::default(),
            started: SystemTime::now(),
        }
    }

    fn go(mut self, target: &str) -> io::Result<Done> {
        let page_us = self.machine.warm(self.working_set())?;
        let (span, sent, read) = match self.spec.reading {
            Reading::CatchUp { megabytes, cold } => self.catch_up(megabytes, cold)?,
            Reading::Backlog { megabytes, drain_percent, .. } => self.backlog(megabytes, drain_percent)?,
            Reading::Tail { .. } | Reading::Group { .. } => {
                let readers = self.readers()?;
                readers.go();
                let (span, sent) = self.drive(&readers.ids)?;
                (span, sent, self.drain(readers)?)
            }
            Reading::Afterwards => {
                let (span, sent) = self.drive(&[])?;
                let readers = self.readers()?;
                readers.go();
                (span, sent, self.drain(readers)?)
            }
        };
        let pages_us = [page_us, self.machine.page()?];
        Ok(self.done(target, pages_us, &span, sent, &read))
    }

    /// Bytes that the broker is about to write, as far as that can be guessed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a guess; the rate was checked")]
    fn working_set(&self) -> u64 {
        let seconds = (self.spec.measure_ms + self.spec.warm_up_ms / 2) / 1000 + 1;
        let first = match self.spec.reading {
            Reading::CatchUp { megabytes, .. } => return megabytes * 1_000_000,
            Reading::Backlog { megabytes, .. } => megabytes * 1_000_000,
            _ => 0,
        };
        match self.spec.drive {
            Drive::Open { rate, .. } => first + seconds * (rate as u64).saturating_mul(self.spec.record_bytes as u64),
            Drive::Closed { .. } => u64::MAX,
        }
    }

    /// Records that retention must have left of so many, at least: half of what is to be kept, for what batches take besides.
    fn kept(&self, acknowledged: u64) -> u64 {
        let kept = |megabytes: u64| megabytes * 500_000 / self.spec.record_bytes as u64;
        self.spec.retain_megabytes.map_or(0, |megabytes| kept(megabytes).min(acknowledged))
    }

    fn done(self, target: &str, pages_us: [Option<f64>; 2], span: &Span, sent: Vec<Sent>, read: &[Read]) -> Done {
        let kept = self.kept(acked(&sent));
        let mut recorder = self.log;
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
                let lost = read.iter().map(|read| read.lost(&numbers, deletes)).sum::<u64>();
                if self.spec.compacted { 0 } else { lost + kept.saturating_sub(least) }
            },
        };
        let catches_up = matches!(self.spec.reading, Reading::CatchUp { .. });
        let counted = if catches_up { least } else { within };
        let figures = Figures { counted, seconds: figure(span.to.saturating_sub(span.from)) / 1e9, checks, pages_us };
        let mut outcome = Outcome::new(self.spec, target, span.used, self.windows, figures);
        outcome.placement = self.placer.seen();
        if !catches_up {
            outcome.timed(recorder.measured());
        }
        if let Some((backlog, part)) = self.drained {
            let [before, during] = [part - 1, part].map(|part| Quantiles::of(recorder.part(part).of(Timed::Publish)));
            outcome.backlog = Some(Backlog { before, during, ..backlog });
        }
        if !self.spec.events.is_empty() {
            outcome.calm = Some(Quantiles::of(recorder.part(0).of(Timed::Publish)));
            outcome.episodes = self.strikes.told(&self.shared, &recorder, span.to, self.spec.reads_along());
        }
        outcome.judge(Course { steady: span.steady, meant });
        Done { started: self.started, left: None, outcome, recorder }
    }
}

fn acked(sent: &[Sent]) -> u64 {
    sent.iter().map(|sent| sent.acked.count()).sum()
}

/// Tells this run's records from those of another.
pub(crate) fn mark() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    std::process::id() ^ since.subsec_nanos()
}
