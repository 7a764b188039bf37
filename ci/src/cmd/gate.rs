//! `gate`: everything CI asks, in order: the same seed is the same run; every planted defect is found; every seed that once
//! failed passes; the same work costs the same; a sweep finds nothing.

use std::path::PathBuf;
use std::time::Duration;

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::{Hang, Jobs, duration};
use crate::job::results::Results;
use crate::job::{costs, gate, pace};

/// The arguments of `gate`.
#[derive(clap::Args)]
pub struct Gate {
    /// Fewer seeds and smaller budgets: for a look before a commit.
    #[arg(long)]
    quick: bool,
    /// Real time for the sweep at the end; 60s, or 10s with --quick.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    budget: Option<Duration>,
    /// The first seed of the sweep: another one explores other runs.
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
    #[command(flatten)]
    jobs: Jobs,
    /// Print the result as JSON, and nothing before it is there.
    #[arg(long)]
    json: bool,
    /// The policy that costs are held to, rather than the one that this program was built with.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Do nothing but measure the policy's runs anew and write what they cost to the policy (--policy, else ci/gate.toml).
    #[arg(long)]
    update_baseline: bool,
    /// Do nothing but compare with another build of this program, in turns: CPU-seconds of simulated runs, and of a live broker
    /// for each gigabyte. Red only if the whole interval of a ratio is above the policy's bound.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "update_baseline")]
    against: Option<PathBuf>,
    /// Where brokers keep their files meanwhile: a directory, made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "logquake-bench", requires = "against")]
    dir: PathBuf,
    #[command(flatten)]
    results: Results,
    #[command(flatten)]
    hang: Hang,
}

impl Cmd for Gate {
    const NAME: &'static str = "gate";
    const ABOUT: &'static str = "Everything CI asks: determinism, planted defects, known seeds, costs, a sweep";
    const EXAMPLES: &'static str = "logquake gate\nlogquake gate --quick\nlogquake gate --budget 10m --from 100000\nlogquake gate --junit gate.xml\nlogquake gate --json\nlogquake gate --update-baseline\nlogquake gate --against /tmp/main/logquake";

    fn go(self) -> anyhow::Result<Exit> {
        if self.update_baseline {
            return costs::update(self.policy.as_deref(), self.hang);
        }
        let policy = costs::policy(self.policy.as_deref())?;
        let scale = if self.quick { gate::QUICK } else { gate::USUAL };
        let scale = gate::Scale { sweep: self.budget.unwrap_or(scale.sweep), from: self.from, ..scale };
        let ratios = policy.ratios;
        let against = self.against.map(|program| pace::Against { program, dir: self.dir, ratios });
        let how = gate::How { jobs: self.jobs.count(), hang: self.hang, json: self.json, policy, against };
        gate::gate(&scale, &how, self.results.open()?)
    }
}
