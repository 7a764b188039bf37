//! `bench load`, `bench search`: a broker under load, and whether the figures say anything of it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::Context;
use indicatif::ProgressBar;
use load::outcome::{Flag, Outcome, grouped};
use load::over::{Over, Place};
use load::rounds::Rounds;
use load::run::Watch;
use load::search::{Found, Trial};
use load::spec::{Drive, Reading};
use load::steady::Window;
use load::workloads::{self, Case};

use super::beside::Beside;
use crate::ask::Usage;
use crate::exit::Exit;
use crate::job::progress;
use crate::job::target::{Target, measure};
use crate::{interrupt, record, screen};

/// What is run, and how.
#[derive(clap::Args)]
pub(super) struct Common {
    /// Workloads, or single cases as workload/case (`bench list` shows them), or files of OpenMessaging Benchmark (*.yaml).
    #[arg(value_name = "WORKLOAD", required = true)]
    workloads: Vec<String>,
    /// Where brokers of ours keep their files: a directory on the disk to be measured, made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "logquake-bench")]
    dir: PathBuf,
    /// Processes of the broker at kafka://, if it runs on this machine, so that its processor time is told; may be given again.
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Seconds that are measured, once a run is steady.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
    /// Send at so many records a second, in an open loop, whatever the workload says.
    #[arg(long, value_name = "RECORDS")]
    rate: Option<f64>,
    /// Print the results as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Common {
    pub(super) fn cases(&self) -> anyhow::Result<Vec<(String, Case)>> {
        let mut cases = Vec::new();
        for name in &self.workloads {
            let path = Path::new(name);
            if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
                let (case, otherwise) = load::omb::read(&text).map_err(|why| Usage(format!("{name}: {why}")))?;
                otherwise.iter().for_each(|what| screen::remark(&format!("{name}: {what}")));
                cases.push((case.name.clone(), case));
            } else {
                cases.extend(workloads::named(name).map_err(Usage)?);
            }
        }
        let fixed = |case: &Case| matches!(case.spec.reading, Reading::CatchUp { .. });
        let changed = self.rate.is_some() || self.seconds.is_some();
        if let Some((name, _)) = cases.iter().find(|(_, case)| changed && fixed(case)) {
            return Err(Usage(format!("{name} reads what is there: it takes neither --rate nor --seconds")).into());
        }
        for (name, case) in &mut cases {
            case.spec.measure_ms = self.seconds.map_or(case.spec.measure_ms, |seconds| seconds * 1000);
            if let Some(rate) = self.rate {
                case.spec.drive = case.spec.drive.at(rate);
            }
            if let Some(why) = case.spec.refused() {
                return Err(Usage(format!("{name}: {why}")).into());
            }
        }
        Ok(cases)
    }

    /// Whether `--pid` can be told of these targets: one broker's processes are not another's.
    pub(super) fn check_pids(&self, targets: &[Target]) -> Result<(), Usage> {
        let elsewhere = targets.iter().filter(|target| matches!(target, Target::Kafka(_))).count();
        match self.pid.is_empty() || elsewhere == 1 {
            true => Ok(()),
            false => Err(Usage("--pid is of the one target kafka://HOST:PORT; brokers of ours are known".into())),
        }
    }

    /// What the machine can do, probed before anything is measured.
    pub(super) fn beside(&self, targets: &[Target]) -> anyhow::Result<Beside> {
        // The probes leave no files where Ctrl-C ends them either.
        interrupted();
        Beside::probe(targets, &self.dir, &self.pid)
    }

    pub(super) fn one(&self, target: &Target, name: &str, case: &Case) -> anyhow::Result<load::run::Done> {
        // From here on Ctrl-C or SIGTERM waits for the run that goes on.
        interrupted();
        let mut bar = Bar::new(case);
        let done = measure(target, case, &self.dir, &self.pid, &mut bar).with_context(|| name.to_owned());
        bar.0.finish_and_clear();
        if let Ok(load::run::Done { left: Some(why), .. }) = &done {
            screen::remark(&format!("{name}: the topic that was written to is left: {why}"));
        }
        // Only if it is empty: what else is there is not ours.
        let _ = std::fs::remove_dir(&self.dir);
        done
    }
}

/// Half-seconds pass.
struct Bar(ProgressBar);

impl Bar {
    fn new(case: &Case) -> Self {
        Self(progress::bar("Bench", (case.spec.warm_up_ms + case.spec.measure_ms) / 500))
    }
}

impl Watch for Bar {
    fn window(&mut self, window: &Window, measuring: bool) {
        self.0.inc(1);
        let what = if measuring { "measured" } else { "warming up" };
        let rate = grouped(f64::from(u32::try_from(window.records).unwrap_or(u32::MAX)) * 2.0);
        self.0.set_message(format!("{what}: {rate}/s, p99 {} us", window.p99_us));
    }
}

/// The arguments of `bench load`.
#[derive(clap::Args)]
pub struct Load {
    #[command(flatten)]
    common: Common,
    /// What to measure: own, program:PATH, kafka://HOST:PORT,... where a topic logquake-bench is made and deleted,
    /// or peer:NAME, which ci/peers/NAME.sh starts.
    #[arg(long, value_name = "TARGET", default_value = "own")]
    target: Target,
    /// Rounds; the median is reported.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=99))]
    rounds: u64,
    /// Run each case with more and more of something, as partitions=1,4,16, and say what more of it brings (Universal Scalability
    /// Law): partitions, producers, consumers, groups, in-flight, rate, record-bytes, batch-bytes, linger-us.
    #[arg(long, value_name = "AXIS=N,...")]
    over: Option<Over>,
    /// Write every interval's latencies of the last round, as HdrHistogram's tools read them.
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Write the last round in the form of OpenMessaging Benchmark's results.
    #[arg(long, value_name = "FILE")]
    omb: Option<PathBuf>,
}

impl Load {
    /// Measures, and prints what came of it.
    pub fn go(self) -> anyhow::Result<Exit> {
        let cases = self.swept(self.common.cases()?)?;
        self.common.check_pids(std::slice::from_ref(&self.target))?;
        if cases.len() > 1 && (self.hlog.is_some() || self.omb.is_some()) {
            return Err(Usage("--hlog and --omb are of one case".into()).into());
        }
        let mut all = Vec::new();
        // What was measured until an error is told all the same.
        let measured = self.measure(cases, &mut all);
        if self.common.json {
            screen::out(&reports::json::pretty(&all)?)?;
        }
        measured?;
        Ok(ended(all.iter().flat_map(|rounds| &rounds.outcomes).map(exit).min()))
    }

    /// Each case at each place of the sweep, if there is one.
    fn swept(&self, cases: Vec<(String, Case)>) -> anyhow::Result<Vec<(String, Case, Option<Place>)>> {
        let Some(over) = &self.over else {
            return Ok(cases.into_iter().map(|(name, case)| (name, case, None)).collect());
        };
        let mut all = Vec::new();
        for (name, case) in cases {
            for (value, spec) in over.each(&case.spec).map_err(|why| Usage(format!("{name}: {why}")))? {
                let place = Place { case: name.clone(), axis: over.axis.into(), value, law: None };
                let at = format!("{name}@{}={value}", over.axis);
                all.push((at, Case { spec, ..case.clone() }, Some(place)));
            }
        }
        Ok(all)
    }

    fn measure(&self, cases: Vec<(String, Case, Option<Place>)>, all: &mut Vec<Rounds>) -> anyhow::Result<()> {
        let beside = self.common.beside(std::slice::from_ref(&self.target))?;
        let mut cases = cases.into_iter().take_while(|_| !interrupted()).peekable();
        while let Some((name, case, over)) = cases.next() {
            let swept = over.as_ref().map(|place| place.case.clone());
            let rounds = Rounds { over, ..self.rounds(name, &case, &beside)? };
            if !self.common.json {
                screen::out(&rounds.to_string())?;
            }
            all.push(rounds);
            let goes_on =
                cases.peek().is_some_and(|(.., next)| next.as_ref().map(|place| &place.case) == swept.as_ref());
            if let Some(swept) = swept.filter(|_| !goes_on) {
                self.law(&swept, all)?;
            }
        }
        Ok(())
    }

    /// Finds the law of a sweep that is over.
    fn law(&self, case: &str, all: &mut [Rounds]) -> anyhow::Result<()> {
        let is = |rounds: &Rounds| rounds.over.as_ref().is_some_and(|place| place.case == case);
        let law = load::over::law(&all.iter().filter(|rounds| is(rounds)).collect::<Vec<_>>());
        if !self.common.json {
            let told = law.as_ref().map_or("fewer than three results\n".into(), ToString::to_string);
            screen::out(&format!("{case}: Universal Scalability Law: {told}\n"))?;
        }
        let places = all.iter_mut().filter(|rounds| is(rounds)).filter_map(|rounds| rounds.over.as_mut());
        places.for_each(|place| place.law.clone_from(&law));
        Ok(())
    }

    fn rounds(&self, name: String, case: &Case, beside: &Beside) -> anyhow::Result<Rounds> {
        let mut outcomes = Vec::new();
        for _ in 0..self.rounds {
            if interrupted() {
                break;
            }
            let done = self.common.one(&self.target, &name, case)?;
            if let Some(file) = &self.hlog {
                write_log(file, &done)?;
            }
            if let Some(file) = &self.omb {
                let text = reports::json::pretty(&load::omb::result(&name, &done))?;
                record::create(file)?.write_all(text.as_bytes()).with_context(|| format!("in {}", file.display()))?;
            }
            outcomes.push(done.outcome);
        }
        beside.of(&self.target, &case.spec, Rounds::of(name, outcomes))
    }
}

fn write_log(file: &Path, done: &load::run::Done) -> anyhow::Result<()> {
    let mut to = std::io::BufWriter::new(record::create(file)?);
    load::hlog::write(&done.recorder, done.started, &mut to).with_context(|| format!("in {}", file.display()))
}

/// The arguments of `bench search`.
#[derive(clap::Args)]
pub struct Search {
    #[command(flatten)]
    common: Common,
    /// What to measure: own, program:PATH, kafka://HOST:PORT,... or peer:NAME.
    #[arg(long, value_name = "TARGET", default_value = "own")]
    target: Target,
    /// A rate is sustained while the 99th percentile of the publish latency is below so many microseconds.
    #[arg(long, value_name = "US", default_value_t = 20_000)]
    p99_us: u64,
}

impl Search {
    /// Searches, and prints the curve.
    pub fn go(self) -> anyhow::Result<Exit> {
        let mut all = Vec::new();
        let cases = self.common.cases()?;
        if let Some((name, _)) = cases.iter().find(|(_, case)| matches!(case.spec.reading, Reading::CatchUp { .. })) {
            return Err(
                Usage(format!("{name} sends nothing while it is measured: it has no rate to search for")).into()
            );
        }
        let beside = self.common.beside(std::slice::from_ref(&self.target))?;
        for (name, case) in cases {
            let first = match case.spec.drive {
                Drive::Open { rate, .. } => rate,
                Drive::Closed { .. } => 1e4,
            };
            let (mut search, mut trials) = (load::search::Search::new(first), Vec::new());
            while let Some(rate) = search.next().filter(|_| !interrupted()) {
                let trial = match self.trial(&name, &case, rate) {
                    Err(why) if !trials.is_empty() => {
                        // A rate under which the broker breaks off is none that it sustains.
                        screen::remark(&format!("{name} at {}/s: {why:#}", grouped(rate)));
                        search.tried(false);
                        continue;
                    }
                    trial => trial?,
                };
                search.tried(trial.held);
                trials.push(trial);
            }
            let highest = search.found();
            if interrupted() {
                screen::remark(&format!("{name}: the search was cut short; a higher rate may be sustained"));
            }
            let mut curve = Vec::new();
            let parts = highest.filter(|_| !interrupted()).map_or(&[][..], |_| &[0.1, 0.25, 0.5, 0.75, 0.9]);
            for part in parts {
                curve.push(self.trial(&name, &case, highest.unwrap_or(0.0) * part)?);
            }
            let highest_trial = trials.iter().filter(|trial| trial.held).max_by(|a, b| a.rate.total_cmp(&b.rate));
            let run = highest_trial.map(|trial| &trial.outcome);
            let bound = beside.bound(&self.target, &case.spec, run)?;
            let limit = bound.zip(highest).map(|(bound, rate)| (bound.clone(), rate / bound.rate));
            let found = Found { workload: name, p99_us: self.p99_us, highest, limit, trials, curve };
            if !self.common.json {
                screen::out(&curve_told(&found))?;
            }
            all.push(found);
        }
        if self.common.json {
            screen::out(&reports::json::pretty(&all)?)?;
        }
        let found = all.iter().all(|found| found.highest.is_some());
        Ok(ended(Some(if found { Exit::Pass } else { Exit::Incomplete })))
    }

    fn trial(&self, name: &str, case: &Case, rate: f64) -> anyhow::Result<Trial> {
        let mut case = case.clone();
        case.spec.drive = case.spec.drive.at(rate);
        let outcome = self.common.one(&self.target, name, &case)?.outcome;
        // That the generator is late by more than half of the records took does not fail a rate: latency counts from when each
        // was meant to be sent.
        let sound = outcome.flags.iter().all(|flag| matches!(flag, Flag::Noise(_) | Flag::GeneratorLate(_)));
        let held = sound && outcome.publish.p99 <= self.p99_us && !outcome.lag_grows();
        Ok(Trial { rate, held, outcome })
    }
}

fn curve_told(found: &Found) -> String {
    let mut text = format!("{}: ", found.workload);
    let trials = found.trials.len();
    _ = match found.highest {
        Some(rate) => writeln!(
            text,
            "{} records/s sustained, with p99 within {} us ({trials} trials)",
            grouped(rate),
            found.p99_us
        ),
        None => writeln!(text, "no rate is sustained with p99 within {} us ({trials} trials)", found.p99_us),
    };
    if let Some((bound, part)) = &found.limit {
        _ = writeln!(text, "  {part:.2} of the limit by {}: {} records/s", bound.by, grouped(bound.rate));
    }
    let saturated = |trial: &Trial| trial.outcome.flags.iter().any(|flag| matches!(flag, Flag::GeneratorSaturated(_)));
    if found.trials.iter().any(|trial| !trial.held && saturated(trial)) {
        text.push_str("  The generator was the limit, not the broker: it can do at least this.\n");
    }
    _ = writeln!(text, "  {:>14} {:>10} {:>9} {:>9} {:>9}  held", "records/s", "MB/s", "p50 us", "p99 us", "p99.9 us");
    let mut all: Vec<&Trial> = found.curve.iter().chain(&found.trials).collect();
    all.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    for trial in all {
        let Trial { rate, held, outcome } = trial;
        let (q, mb) = (outcome.publish, outcome.megabytes);
        let held = if *held { "yes".into() } else { format!("no   {}", trial.why_not(found.p99_us)) };
        _ = writeln!(text, "  {:>14} {mb:>10.1} {:>9} {:>9} {:>9}  {held}", grouped(*rate), q.p50, q.p99, q.p999);
    }
    text
}

/// Prints the workloads.
pub fn list() -> anyhow::Result<Exit> {
    let mut text = String::new();
    for workload in workloads::ALL {
        let cases: Vec<_> = (workload.cases)().into_iter().map(|case| case.name).collect();
        _ = writeln!(text, "{:18} {}\n{:18} {}", workload.name, workload.about, "", cases.join(", "));
    }
    screen::out(&text)?;
    Ok(Exit::Pass)
}

/// The worst of all runs; no pass if there was none, or not all were begun.
pub(super) fn ended(worst: Option<Exit>) -> Exit {
    let worst = worst.unwrap_or(Exit::Incomplete);
    if interrupted() { worst.min(Exit::Incomplete) } else { worst }
}

/// Whether no further run is to begin: what was measured is told.
pub(super) fn interrupted() -> bool {
    interrupt::asked().load(Ordering::Relaxed)
}

/// What a run amounts to.
pub(super) fn exit(outcome: &Outcome) -> Exit {
    match outcome.breaks() {
        true => Exit::Safety,
        false if outcome.is_result() => Exit::Pass,
        false => Exit::Incomplete,
    }
}
