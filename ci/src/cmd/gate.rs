//! `gate`: everything CI asks, in order: the same seed is the same run; every planted defect is found; every seed that once
//! failed passes; a sweep finds nothing.

use std::time::Duration;

use super::Cmd;
use crate::exit::Exit;
use crate::job::gate;
use crate::job::limits::{Hang, Jobs, duration};
use crate::job::results::Results;

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
    #[command(flatten)]
    results: Results,
    #[command(flatten)]
    hang: Hang,
}

impl Cmd for Gate {
    const NAME: &'static str = "gate";
    const ABOUT: &'static str = "Everything CI asks: determinism, planted defects, known seeds, a sweep";
    const EXAMPLES: &'static str = "logquake gate\nlogquake gate --quick\nlogquake gate --budget 10m --from 100000\nlogquake gate --junit gate.xml\nlogquake gate --json";

    fn go(self) -> anyhow::Result<Exit> {
        let scale = if self.quick { gate::QUICK } else { gate::USUAL };
        let scale = gate::Scale { sweep: self.budget.unwrap_or(scale.sweep), from: self.from, ..scale };
        let how = gate::How { jobs: self.jobs.count(), hang: self.hang, json: self.json };
        gate::gate(&scale, &how, self.results.open()?)
    }
}
