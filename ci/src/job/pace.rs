//! Speed, as far as it can be held on a machine that others use: no seconds, only what this build takes beside what another one
//! does, both measured in turns, and only where the interval leaves no doubt.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use harness::verdict::Verdict;
use load::statistics::{Ratio, Spread, figure};
use load::workloads;
use serde::Deserialize;

use super::progress;
use super::target::{Target, measure};
use crate::interrupt;

/// What is simulated, by two seeds: about a second of CPU time, of which a tick of the kernel's is one per cent.
const SIMULATED: [&str; 5] = ["steady", "leader_crash", "member_crash", "retry_storm", "duplicate_delivery"];
/// What a live broker is given.
const LIVE: &str = "sequential_append/1KiB";
/// And how long that is measured, after the warm-up, in milliseconds.
const LIVE_MS: (u64, u64) = (1000, 500);
/// A tick of the kernel's accounts, in seconds.
const TICK: f64 = 0.01;

/// What ratios are held to.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratios {
    /// Red, if the whole interval is above it.
    pub most: f64,
    /// No result, if the interval reaches above `most` and is wider than this.
    pub widest: f64,
    /// Rounds, in each of which both are measured.
    pub rounds: usize,
    /// Rounds at most, while there is no result.
    pub most_rounds: usize,
}

impl Default for Ratios {
    fn default() -> Self {
        Self { most: 1.1, widest: 0.2, rounds: 7, most_rounds: 21 }
    }
}

impl Ratios {
    /// As the policy's file has them.
    pub fn text(&self) -> String {
        let Self { most, widest, rounds, most_rounds } = self;
        format!("\n[ratios]\nmost = {most:?}\nwidest = {widest:?}\nrounds = {rounds}\nmost_rounds = {most_rounds}\n")
    }

    /// What these rounds amount to, in each of which (this build, the other one) took so much.
    pub fn judge(&self, rounds: &[(f64, f64)]) -> Verdict {
        match Ratio::of(rounds).and_then(|ratio| ratio.interval) {
            Some((low, _)) if low > self.most => Verdict::Fail,
            Some((low, high)) if high <= self.most || high - low <= self.widest => Verdict::Pass,
            _ => Verdict::Vacuous,
        }
    }
}

/// Another build, and how this one is held to it.
pub struct Against {
    /// Its executable.
    pub program: PathBuf,
    /// Where brokers keep their files meanwhile.
    pub dir: PathBuf,
    /// How.
    pub ratios: Ratios,
}

/// What came of a comparison.
pub struct Paced {
    /// What it amounts to.
    pub verdict: Verdict,
    /// The same in one line.
    pub line: String,
}

impl Against {
    /// CPU-seconds of the same simulated runs.
    pub fn simulated(&self) -> anyhow::Result<Paced> {
        self.in_turns("simulated", "CPU-s", simulated)
    }

    /// A live broker's CPU-seconds for each gigabyte that is appended.
    pub fn live(&self) -> anyhow::Result<Paced> {
        let (_, mut case) = workloads::named(LIVE).map_err(anyhow::Error::msg)?.remove(0);
        (case.spec.measure_ms, case.spec.warm_up_ms) = LIVE_MS;
        let paced = self.in_turns("live", "CPU-s per GB", |program| {
            let outcome = measure(&Target::Program(program.into()), &case, &self.dir, &[], &mut ())?.outcome;
            anyhow::ensure!(!outcome.breaks(), "{}: it lost, repeated or reordered records", program.display());
            let cores = outcome.used.broker.context("the kernel does not tell a process's CPU time")?;
            // Whether the generator was the limit does not matter: this is what the broker spent, not how fast it went.
            Ok(cores / (outcome.megabytes / 1000.0).max(1e-9))
        });
        // Only if it is empty: what else is there is not ours.
        let _ = std::fs::remove_dir(&self.dir);
        paced
    }

    /// Measures both until there is a result. A red one counts only if rounds of their own say so once more: what else the
    /// machine had to do may have fallen on one of the two for as long as the first ones took, and hardly does so twice.
    fn in_turns(
        &self,
        what: &'static str,
        unit: &str,
        mut measure: impl FnMut(&Path) -> anyhow::Result<f64>,
    ) -> anyhow::Result<Paced> {
        let mut rounds = self.rounds(what, &mut measure)?;
        if self.ratios.judge(&rounds) == Verdict::Fail && !interrupt::asked().load(Ordering::Relaxed) {
            rounds = self.rounds(what, &mut measure)?;
        }
        Ok(told(&self.ratios, &rounds, unit))
    }

    /// What both take, A B B A, until that amounts to something.
    fn rounds(
        &self,
        what: &'static str,
        measure: &mut impl FnMut(&Path) -> anyhow::Result<f64>,
    ) -> anyhow::Result<Vec<(f64, f64)>> {
        let own = std::env::current_exe().context("cannot find this program to start it again")?;
        let Ratios { rounds: least, most_rounds, .. } = self.ratios;
        let bar = progress::bar(what, least as u64);
        let mut rounds = Vec::new();
        while rounds.len() < most_rounds.max(least) {
            let enough = rounds.len() >= least && self.ratios.judge(&rounds) != Verdict::Vacuous;
            if enough || interrupt::asked().load(Ordering::Relaxed) {
                break;
            }
            // The other way round each second time, so that what drifts falls on both.
            let (ours, theirs) = if rounds.len().is_multiple_of(2) {
                let ours = measure(&own)?;
                (ours, measure(&self.program)?)
            } else {
                let theirs = measure(&self.program)?;
                (measure(&own)?, theirs)
            };
            rounds.push((ours, theirs));
            bar.set_length(rounds.len().max(least) as u64);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(rounds)
    }
}

fn told(ratios: &Ratios, rounds: &[(f64, f64)], unit: &str) -> Paced {
    let verdict = ratios.judge(rounds);
    let ratio = Ratio::of(rounds);
    let all: (Vec<f64>, Vec<f64>) = rounds.iter().copied().unzip();
    let (ours, theirs) = (Spread::of(&all.0).median, Spread::of(&all.1).median);
    let interval = match ratio.map(|ratio| (ratio.median, ratio.interval)) {
        Some((median, Some((low, high)))) => format!("{median:.3} times the other's, 95 %: {low:.3}..{high:.3}"),
        _ => "too few rounds for an interval".into(),
    };
    let word = match verdict {
        Verdict::Fail => format!(": all of it above {}", ratios.most),
        Verdict::Vacuous => ": no result, too wide".into(),
        Verdict::Pass => String::new(),
    };
    let line = format!("{interval}{word} ({ours:.3} and {theirs:.3} {unit}, {} rounds)", rounds.len());
    Paced { verdict, line }
}

/// CPU-seconds, user and system, of a process that plays the runs.
fn simulated(program: &Path) -> anyhow::Result<f64> {
    let name = program.display();
    let mut command = Command::new(program);
    command.arg("sweep").args(SIMULATED).args(["--seeds", "0..2", "--jobs", "1", "--json"]);
    // What a job of GitHub's leaves there is not for this.
    command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY");
    let before = children()?;
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {name}"))?;
    // A run that breaks off takes less, and one that fails is played again.
    if !status.success() {
        bail!("{name} does not play {} to a pass: {status}", SIMULATED.join(", "));
    }
    Ok(children()? - before)
}

/// CPU-seconds of all processes that this one has started and that have ended (proc_pid_stat(5), cutime and cstime).
fn children() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    spent(&stat).context("/proc/self/stat is not what it should be")
}

/// Fields 16 and 17; the second one may hold blanks and ends with a bracket.
fn spent(stat: &str) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1;
    let ticks: Vec<u64> = fields.split_whitespace().skip(13).take(2).filter_map(|n| n.parse().ok()).collect();
    if let [user, system] = ticks[..] { Some(figure(user + system) * TICK) } else { None }
}

#[cfg(test)]
mod tests {
    use harness::seed::Seed;

    use super::*;

    const HELD: Ratios = Ratios { most: 1.1, widest: 0.15, rounds: 7, most_rounds: 21 };

    /// Rounds on a machine that is up to twice as slow in some, with noise of so many per cent in each figure, of a program
    /// that takes so many times what the other one does.
    fn rounds(seed: u64, count: usize, times: f64, noise: f64) -> Vec<(f64, f64)> {
        let mut draw = Seed::new(seed).split("rounds", 0).draw();
        let mut part = |most: f64| most * figure(draw.below(1001)) / 1000.0;
        let round = |_| {
            let machine = 1.0 + part(1.0);
            let mut of = |takes: f64| takes * machine * (1.0 + part(2.0 * noise) - noise);
            (of(times), of(1.0))
        };
        (0..count).map(round).collect()
    }

    #[test]
    fn a_slower_program_is_red_and_the_same_one_is_green() {
        for seed in 0..200 {
            assert_eq!(HELD.judge(&rounds(seed, 7, 1.0, 0.03)), Verdict::Pass, "{seed}");
            assert_eq!(HELD.judge(&rounds(seed, 7, 0.6, 0.1)), Verdict::Pass, "{seed}: faster");
            assert_eq!(HELD.judge(&rounds(seed, 7, 1.25, 0.03)), Verdict::Fail, "{seed}");
        }
    }

    #[test]
    fn where_there_is_doubt_there_is_no_result() {
        assert_eq!(HELD.judge(&[]), Verdict::Vacuous);
        assert_eq!(HELD.judge(&rounds(1, 5, 1.0, 0.0)), Verdict::Vacuous, "too few");
        assert_eq!(HELD.judge(&rounds(1, 5, 3.0, 0.0)), Verdict::Vacuous, "too few");
        let wide = (0..50).filter(|seed| HELD.judge(&rounds(*seed, 7, 1.05, 0.4)) == Verdict::Vacuous).count();
        assert!(wide > 40, "{wide} of 50");
        let red = (0..200).filter(|seed| HELD.judge(&rounds(*seed, 7, 1.0, 0.2)) == Verdict::Fail).count();
        assert_eq!(red, 0, "noise alone is never red");
    }

    #[test]
    fn both_are_measured_in_turns_until_there_is_a_result() {
        let against = |ratios| Against { program: "other".into(), dir: PathBuf::new(), ratios };
        let play = |ratios, times: f64, noise: &[f64]| {
            let (mut order, mut n) = (String::new(), 0);
            let paced = against(ratios).in_turns("t", "s", |program| {
                let own = program != Path::new("other");
                order.push(if own { 'A' } else { 'B' });
                n += 1;
                let takes = if own { times } else { 1.0 };
                Ok(takes * noise[n % noise.len()])
            });
            (paced.expect("measured"), order)
        };
        let (same, order) = play(HELD, 1.0, &[1.0]);
        assert_eq!((same.verdict, order.as_str()), (Verdict::Pass, "ABBAABBAABBAAB"));
        let (slow, order) = play(HELD, 1.2, &[1.0]);
        assert_eq!((slow.verdict, order.len()), (Verdict::Fail, 28), "measured twice");
        assert!(
            slow.line.starts_with("1.200 times the other's, 95 %: 1.200..1.200: all of it above 1.1"),
            "{}",
            slow.line
        );
        let mut n = 0;
        let disturbed = against(HELD).in_turns("t", "s", |program| {
            n += 1;
            Ok(if n <= 14 && program != Path::new("other") { 1.5 } else { 1.0 })
        });
        assert_eq!((disturbed.expect("measured").verdict, n), (Verdict::Pass, 28), "only the first time");
        let (noisy, order) = play(HELD, 1.0, &[1.0, 2.0, 0.5, 1.3, 0.9]);
        assert_eq!((noisy.verdict, order.len()), (Verdict::Vacuous, 42), "{}", noisy.line);
    }

    #[test]
    fn the_kernels_account_is_read() {
        assert_eq!(spent("7 (a ) b) S 1 7 7 0 -1 0 1 2 3 4 11 12 130 14 20 0 1 0"), Some(1.44));
        assert_eq!((spent(""), spent("7 (a) S 1")), (None, None));
        assert!(children().is_ok());
    }
}
