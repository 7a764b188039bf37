//! `planted`: the suite against deliberate bugs. Each must be found, by the invariant that claims to find it.

use std::time::Duration;

use broker::planted::Defect;

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::{Hang, Jobs, duration};
use crate::job::planted;
use crate::{ask, screen};

/// The arguments of `planted`.
#[derive(clap::Args)]
pub struct Planted {
    /// Which defects; all, if none is named.
    #[arg(value_parser = ask::defect(), hide_possible_values = true)]
    ids: Vec<Defect>,
    /// CPU time that one hunt may take.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    budget: Duration,
    /// How many hunts for each defect, from seeds 0, 1000, 2000, ...; medians are over these.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    hunts: u64,
    #[command(flatten)]
    jobs: Jobs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hang: Hang,
}

impl Cmd for Planted {
    const NAME: &'static str = "planted";
    const ABOUT: &'static str = "Hunt planted defects: each must be found by its expected invariant";
    const EXAMPLES: &'static str = "\
logquake planted
logquake planted st-ack-before-fsync --hunts 20
logquake planted --budget 5m --json";

    fn go(self) -> anyhow::Result<Exit> {
        ask::needs_planted()?;
        let (jobs, hang) = (self.jobs.count(), self.hang);
        let order = planted::Order { ids: self.ids, budget: self.budget, hunts: self.hunts, jobs, hang };
        let hunted = planted::planted(&order)?;
        let text =
            if self.json { reports::json::pretty(&hunted)? } else { reports::text::planted(&hunted, screen::width()) };
        screen::out(&text)?;
        Ok(planted::exit(&hunted))
    }
}
