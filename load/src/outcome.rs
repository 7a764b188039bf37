//! What a run came to, and whether it is a result at all.

use std::fmt;

use broker::config::FlushPolicy;
use hdrhistogram::Histogram;

use crate::backlog::Backlog;
use crate::events::{Episode, What};
use crate::machine::{self, Used};
use crate::placement::Placement;
use crate::recorder::{Histograms, Timed};
use crate::spec::{Drive, Reading, Spec};
use crate::statistics::figure;
use crate::steady::Window;
use crate::threads::cpus;

/// Less of the asked rate is a rate that was missed.
const MISSED: f64 = 0.99;
/// A generator's thread that is busier was the limit.
const SATURATED: f64 = 0.95;
/// More of somebody else's work spoils a run, in cores.
const FOREIGN: f64 = 0.25;

/// A distribution, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quantiles {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The median.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// 99.99 %.
    pub p9999: u64,
    /// The largest.
    pub max: u64,
}

impl Quantiles {
    pub(crate) fn of(all: &Histogram<u64>) -> Self {
        let at = |quantile| all.value_at_quantile(quantile);
        let [p50, p90, p99, p999, p9999] = [0.5, 0.9, 0.99, 0.999, 0.9999].map(at);
        Self { count: all.len(), mean: all.mean(), p50, p90, p99, p999, p9999, max: all.max() }
    }

    /// A row of a table of them.
    pub(crate) fn row(&self, name: &str) -> String {
        format!("{name:12} {:>9} {:>9} {:>9} {:>9} {:>9}", self.p50, self.p90, self.p99, self.p999, self.max)
    }
}

/// Whether what was acknowledged was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Checks {
    /// Records handed to producers.
    pub sent: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records that were not.
    pub failed: u64,
    /// Records read by the group that has read the fewest.
    pub read: u64,
    /// Acknowledged records that a group has not read, of all groups.
    pub lost: u64,
    /// Records that a group has read again.
    pub duplicated: u64,
    /// Records read after a later one of the same producer and partition.
    pub disordered: u64,
}

/// Why a run is no result, or one to be doubted.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Acknowledged records were not read.
    Lost(u64),
    /// Records were read out of order.
    Disordered(u64),
    /// Records were read again, of a producer that promises that none is stored twice.
    Duplicated(u64),
    /// Records were not acknowledged.
    Failed(u64),
    /// More was acknowledged before it was flushed than the device's flushes can have covered: the records of each flush.
    Unflushed(f64),
    /// Less than the asked rate was acknowledged: the fraction that was.
    MissedRate(f64),
    /// A thread of the generator had nothing left to give: how many cores it used. The broker can do at least this.
    GeneratorSaturated(f64),
    /// The generator was late by more than half of its records took: the 99th percentile of that, in microseconds.
    GeneratorLate(u64),
    /// Readers fell behind more and more: the rate is not one that the broker sustains.
    FallsBehind,
    /// So many events were not over before the next one, or the end.
    NotOver(usize),
    /// It never settled.
    Unsteady,
    /// Others used so many cores meanwhile.
    Noise(f64),
}

impl Flag {
    /// Whether the figures say nothing of the broker. Noise makes them doubtful; they stand as a lower bound.
    pub fn voids(self) -> bool {
        !matches!(self, Flag::Noise(_))
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flag::Lost(n) => write!(f, "{n} acknowledged records were not read"),
            Flag::Disordered(n) => write!(f, "{n} records were read out of order"),
            Flag::Duplicated(n) => write!(f, "{n} records of idempotent producers were read again"),
            Flag::Failed(n) => write!(f, "{n} records were not acknowledged"),
            Flag::Unflushed(each) => {
                write!(
                    f,
                    "{each:.0} acknowledged records for each flush are more than were ever in flight: not durable"
                )
            }
            Flag::MissedRate(part) => write!(f, "only {:.1} % of the asked rate was acknowledged", part * 100.0),
            Flag::GeneratorSaturated(cores) => {
                write!(
                    f,
                    "the generator was the limit ({cores:.2} cores of one thread): the broker can do at least this"
                )
            }
            Flag::GeneratorLate(us) => {
                write!(f, "the generator was late by {us} us at p99, more than half of the records took")
            }
            Flag::FallsBehind => write!(f, "readers fell behind more and more"),
            Flag::NotOver(n) => write!(f, "{n} events were not over before the next one, or the end"),
            Flag::Unsteady => write!(f, "it never settled: no five half-seconds in a row agreed"),
            Flag::Noise(cores) => write!(f, "others used {cores:.2} cores meanwhile"),
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// What was run.
    pub spec: Spec,
    /// The broker.
    pub target: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Processors.
    pub cpus: usize,
    /// The congestion control of sockets that ask for none; ours ask for cubic where both ends are on one machine.
    pub congestion: Option<String>,
    /// Microseconds of a page just before: about 0.7 where memory is warm.
    pub page_us: Option<f64>,
    /// Microseconds of a page just after: more where the run has used up what was warm.
    #[serde(default)]
    pub page_after_us: Option<f64>,
    /// How long the clock ran, in seconds.
    pub seconds: f64,
    /// Records a second: acknowledged, or read where nothing is sent.
    pub rate: f64,
    /// Megabytes (10^6 bytes) of their values.
    pub megabytes: f64,
    /// From when a record was meant to be sent until it was acknowledged.
    pub publish: Quantiles,
    /// Until it was handed to the producer.
    pub delay: Quantiles,
    /// Until it was read.
    pub end_to_end: Option<Quantiles>,
    /// How a backlog was worked off, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<Backlog>,
    /// What happened meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub episodes: Vec<Episode>,
    /// The publish latency outside of episodes until the first, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm: Option<Quantiles>,
    /// Whether nothing was lost.
    pub checks: Checks,
    /// Processor time and flushes; of a backlog, while it was worked off.
    pub used: Used,
    /// Where the kernel had both run, if both were on this machine and it was looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Seconds of a core that the broker took for each gigabyte (10^9 bytes) of values.
    pub cpu_s_per_gb: Option<f64>,
    /// Flushes of the device for each acknowledged record.
    pub flushes_per_ack: Option<f64>,
    /// Why it is no result, or a doubtful one.
    pub flags: Vec<Flag>,
    /// The run, half a second each.
    pub windows: Vec<Window>,
}

/// What was counted.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Records acknowledged, or read, while the clock ran.
    pub counted: u64,
    /// How long that was.
    pub seconds: f64,
    /// Whether nothing was lost.
    pub checks: Checks,
    /// Microseconds of a page before it and after it.
    pub pages_us: [Option<f64>; 2],
}

/// What [`Outcome::judge`] needs to know beside the outcome itself.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// Whether it settled.
    pub steady: bool,
    /// Records that were meant to be sent while the clock ran.
    pub meant: u64,
}

impl Outcome {
    /// An outcome without its distributions, not judged yet.
    pub fn new(spec: &Spec, target: &str, used: Used, windows: Vec<Window>, figures: Figures) -> Self {
        let Figures { counted, seconds, checks, pages_us } = figures;
        let rate = figure(counted) / seconds.max(1e-9);
        let megabytes = rate * figure(spec.record_bytes as u64) / 1e6;
        let per_ack = |flushes: u64| figure(flushes) / figure(counted.max(1));
        Self {
            spec: spec.clone(),
            target: target.into(),
            kernel: machine::kernel(),
            cpus: cpus(),
            congestion: machine::congestion(),
            page_us: pages_us[0],
            page_after_us: pages_us[1],
            seconds,
            rate,
            megabytes,
            publish: Quantiles::default(),
            delay: Quantiles::default(),
            end_to_end: None,
            backlog: None,
            episodes: Vec::new(),
            calm: None,
            checks,
            used,
            placement: None,
            cpu_s_per_gb: used.broker.filter(|_| counted > 0).map(|cores| cores * 1e3 / megabytes),
            flushes_per_ack: used.flushes.map(per_ack),
            flags: Vec::new(),
            windows,
        }
    }

    /// Takes the measured distributions.
    pub fn timed(&mut self, all: &Histograms) {
        (self.publish, self.delay) = (Quantiles::of(all.of(Timed::Publish)), Quantiles::of(all.of(Timed::Delay)));
        if self.spec.is_timed_to_the_end() {
            self.end_to_end = Some(Quantiles::of(all.of(Timed::EndToEnd)));
        }
    }

    /// Says what is wrong with it.
    pub fn judge(&mut self, course: Course) {
        let c = self.checks;
        let open = match self.spec.drive {
            Drive::Open { rate, .. } if !matches!(self.spec.reading, Reading::CatchUp { .. }) => Some(rate),
            _ => None,
        };
        // By what was meant to be sent: a Poisson process's own number is not the mean.
        let part = open.map(|_| self.rate * self.seconds / figure(course.meant.max(1)));
        let missed = part.filter(|part| *part < MISSED);
        let unended = self.episodes.iter().filter(|episode| episode.over_ms.is_none()).count();
        // Members of a group read again what was not committed: that is what at least once says.
        let once = self.spec.idempotent && !matches!(self.spec.reading, Reading::Group { .. });
        // On this machine, and on others that share its processors.
        let noise = self.used.foreign + self.used.steal;
        let late = open.is_some() && self.delay.p99 > self.publish.p50.max(1);
        let flags = [
            (c.lost > 0).then_some(Flag::Lost(c.lost)),
            (c.disordered > 0 && self.keeps_order()).then_some(Flag::Disordered(c.disordered)),
            (c.duplicated > 0 && once).then_some(Flag::Duplicated(c.duplicated)),
            (c.failed > 0).then_some(Flag::Failed(c.failed)),
            self.unflushed().map(Flag::Unflushed),
            missed.map(Flag::MissedRate),
            (self.used.busiest >= SATURATED && (open.is_none() || missed.is_some() || self.spec.reads_along()))
                .then_some(Flag::GeneratorSaturated(self.used.busiest)),
            late.then_some(Flag::GeneratorLate(self.delay.p99)),
            (open.is_some() && self.falls_behind()).then_some(Flag::FallsBehind),
            (unended > 0).then_some(Flag::NotOver(unended)),
            (!course.steady).then_some(Flag::Unsteady),
            (noise > FOREIGN && !self.kills()).then_some(Flag::Noise(noise)),
        ];
        self.flags = flags.into_iter().flatten().collect();
    }

    /// Records of each flush, if a flush before every acknowledgement was asked for and they are too many for that: one covers at
    /// most what is in flight. Twice as many are let pass for what the clock cuts off at its ends.
    fn unflushed(&self) -> Option<f64> {
        let Drive::Closed { in_flight } = self.spec.drive else { return None };
        if matches!(self.spec.reading, Reading::CatchUp { .. }) {
            return None;
        }
        let flushes = self.used.flushes.filter(|_| self.spec.flush == FlushPolicy::Always)?;
        let each = self.rate * self.seconds / figure(flushes.max(1));
        (each > 2.0 * figure((in_flight * self.spec.producers) as u64)).then_some(each)
    }

    /// Whether a producer's records keep their order in a partition: several requests of one that is not idempotent may change
    /// places when one is sent again.
    fn keeps_order(&self) -> bool {
        self.spec.idempotent || self.spec.requests_in_flight == 1
    }

    /// Whether brokers were killed: what a process that is gone has used is nobody's, and counts with the others'.
    fn kills(&self) -> bool {
        self.episodes.iter().any(|episode| episode.what == What::Kill)
    }

    fn falls_behind(&self) -> bool {
        // What happens meanwhile holds readers up by right.
        let grows = || self.episodes.is_empty() && self.lag_grows();
        self.backlog.map_or_else(grows, |backlog| !backlog.drained)
    }

    /// Whether readers fall behind more and more: the last windows' lag is twice that of those before, and more than a second's
    /// records.
    pub fn lag_grows(&self) -> bool {
        let half = self.windows.len() / 2;
        let mean = |windows: &[Window]| {
            let sum: u64 = windows.iter().map(|window| window.lag).sum();
            figure(sum) / figure(windows.len().max(1) as u64)
        };
        let (before, after) = (mean(&self.windows[..half]), mean(&self.windows[half..]));
        after > before * 2.0 && after > self.rate
    }

    /// Whether a promise was broken: records lost, out of order, or stored twice of a producer whose never are. Less than
    /// acks=all promises none of it through a change of leader.
    pub fn breaks(&self) -> bool {
        self.spec.acks == -1
            && self.flags.iter().any(|flag| matches!(flag, Flag::Lost(_) | Flag::Disordered(_) | Flag::Duplicated(_)))
    }

    /// Whether its figures say something of the broker.
    pub fn is_result(&self) -> bool {
        !self.flags.iter().any(|flag| flag.voids())
    }

    /// Whether it is no result for one reason alone, that the generator had nothing left to give: the broker can do at least this.
    pub fn is_at_least(&self) -> bool {
        let mut voids = self.flags.iter().filter(|flag| flag.voids()).peekable();
        voids.peek().is_some() && voids.all(|flag| matches!(flag, Flag::GeneratorSaturated(_)))
    }
}

impl Outcome {
    /// What happened meanwhile, a row each.
    fn happened(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(calm) = self.calm else { return Ok(()) };
        let heads = ["at", "over after", "silent", "all silent", "unread", "p50 us", "p99 us", "max us"];
        writeln!(f, "{:12} {}", "meanwhile", heads.map(|head| format!("{head:>10}")).join(" "))?;
        let seconds = |ms: f64| format!("{:.2} s", ms / 1e3);
        let row = |name: String, times: [String; 5], q: Quantiles| {
            let numbers = [q.p50, q.p99, q.max].map(|us| us.to_string());
            let cells: Vec<_> = times.iter().chain(&numbers).map(|cell| format!("{cell:>10}")).collect();
            format!("{name:12} {}", cells.join(" "))
        };
        writeln!(f, "{}", row("  before".into(), [(); 5].map(|()| String::new()), calm))?;
        for of in &self.episodes {
            let node =
                if of.what.is_fault() && self.spec.replication > 1 { format!(" {}", of.node) } else { String::new() };
            let over = of.over_ms.map(|over| seconds(figure(over.saturating_sub(of.from_ms))));
            let times = [
                seconds(figure(of.from_ms)),
                over.unwrap_or("not over".into()),
                seconds(of.silent_ms),
                seconds(of.all_silent_ms),
                of.unread_ms.map_or("-".into(), seconds),
            ];
            writeln!(f, "{}", row(format!("  {}{node}", of.what.name()), times, of.publish))?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = |used: Option<f64>| used.map_or("?".into(), |used| format!("{used:.2}"));
        writeln!(f, "{:>14} records/s  {:>8.1} MB/s  over {:.1} s", grouped(self.rate), self.megabytes, self.seconds)?;
        let rows = [("publish", Some(self.publish)), ("delay", Some(self.delay)), ("end to end", self.end_to_end)];
        let rows: Vec<_> =
            rows.into_iter().filter_map(|(name, all)| Some((name, all.filter(|all| all.count > 0)?))).collect();
        if !rows.is_empty() {
            writeln!(f, "{:12} {:>9} {:>9} {:>9} {:>9} {:>9}", "us", "p50", "p90", "p99", "p99.9", "max")?;
        }
        for (name, q) in rows {
            writeln!(f, "{}", q.row(name))?;
        }
        self.backlog.iter().try_for_each(|backlog| write!(f, "{backlog}"))?;
        self.happened(f)?;
        let c = self.checks;
        write!(f, "records      {} sent, {} acknowledged, {} read", c.sent, c.acked, c.read)?;
        writeln!(f, "; {} lost, {} again, {} out of order", c.lost, c.duplicated, c.disordered)?;
        let used = self.used;
        write!(f, "cores        broker {}, generator {:.2}", cores(used.broker), used.generator)?;
        let others = if self.kills() { "others and killed brokers" } else { "others" };
        writeln!(f, " (busiest thread {:.2}), {others} {:.2}, stolen {:.2}", used.busiest, used.foreign, used.steal)?;
        if let Some(Placement { looks, together }) = self.placement {
            writeln!(f, "             the busiest threads of both on one processor {together} of {looks} times")?;
        }
        if let Some(seconds) = self.cpu_s_per_gb {
            writeln!(f, "             {seconds:.2} s of a core of the broker's for each GB")?;
        }
        if let (Some(flushes), Some(each)) = (used.flushes, self.flushes_per_ack) {
            writeln!(f, "flushes      {flushes} of the device, {each:.4} for each acknowledged record")?;
        } else if self.spec.flush == FlushPolicy::Always {
            writeln!(f, "flushes      not counted here: that it was durable is the broker's word alone")?;
        }
        for flag in &self.flags {
            writeln!(f, "{}  {flag}", if flag.voids() { "NO RESULT" } else { "doubtful " })?;
        }
        Ok(())
    }
}

/// A whole number with its thousands apart.
pub fn grouped(n: f64) -> String {
    let digits = format!("{n:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
