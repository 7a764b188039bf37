//! `sweep`: many seeds of many scenarios, on every core.

use std::path::PathBuf;
use std::time::Duration;

use harness::scenario::Scenario;
use reports::{outcome, suite};

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::{Hang, Jobs, duration};
use crate::job::results::{Open, Results};
use crate::job::sweep;
use crate::shard::Shard;
use crate::{ask, screen};

/// The arguments of `sweep`.
#[derive(clap::Args)]
pub struct Sweep {
    /// Which scenarios; all, if none is named.
    #[arg(value_parser = ask::scenario(), hide_possible_values = true)]
    names: Vec<&'static Scenario>,
    /// Which seeds of each scenario, as 0..2000; 0..100 if neither seeds nor budget are given.
    #[arg(long, value_name = "A..B")]
    seeds: Option<ask::Seeds>,
    /// No new run begins after this much real time, as 60s or 10m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    budget: Option<Duration>,
    /// Only the seeds of this part, as 2/8: seed s belongs to part s mod N + 1. With auto or auto/N a job array, an indexed
    /// job or a parallel pipeline says which.
    #[arg(long, value_name = "K/N", default_value = "1/1")]
    shard: Shard,
    /// Append each run's result to this file as it ends, and leave out the runs that it has: a sweep that was stopped goes on.
    /// The file must be of the same scenarios, seeds and part, and of this very build. `merge` takes several together.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    jobs: Jobs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    results: Results,
    #[command(flatten)]
    hang: Hang,
}

impl Cmd for Sweep {
    const NAME: &'static str = "sweep";
    const ABOUT: &'static str = "Run many seeds on every core; Ctrl-C ends with what there is";
    const EXAMPLES: &'static str = "\
logquake sweep --seeds 0..2000
logquake sweep power_loss torn_tail --budget 10m
logquake sweep --seeds 0..100000 --shard 2/8 --resume part-2.jsonl
logquake sweep --budget 5m --junit sweep.xml --markdown sweep.md";

    fn go(self) -> anyhow::Result<Exit> {
        let seeds = match (self.seeds, self.budget) {
            (Some(seeds), _) => seeds.0,
            (None, Some(_)) => 0..u64::MAX,
            (None, None) => 0..100,
        };
        let order = sweep::Order {
            scenarios: ask::chosen(&self.names),
            seeds,
            budget: self.budget,
            shard: self.shard,
            jobs: self.jobs.count(),
            hang: self.hang,
        };
        let results = self.results.open()?;
        let outcome = sweep::sweep(&order, order.journal(self.resume.as_deref())?)?;
        told(&outcome, self.json, results)
    }
}

/// Prints what a sweep amounts to and leaves it where it is looked for.
pub fn told(outcome: &outcome::Sweep, json: bool, results: Open) -> anyhow::Result<Exit> {
    screen::out(&if json { reports::json::pretty(outcome)? } else { reports::text::sweep(outcome, screen::width()) })?;
    results.write(outcome.verdict(), &reports::text::sweep_line(outcome), &suite::sweep(outcome))?;
    Ok(Exit::of_sweep(outcome))
}
