//! `meta`: the same seed in two processes must be the same run, byte for byte. Before this holds, nothing else counts.

use harness::scenario::Scenario;

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::Jobs;
use crate::job::meta;
use crate::{ask, screen};

/// The arguments of `meta`.
#[derive(clap::Args)]
pub struct Meta {
    /// Which scenarios; all, if none is named.
    #[arg(value_parser = ask::scenario(), hide_possible_values = true)]
    names: Vec<&'static Scenario>,
    /// Which seeds of each scenario.
    #[arg(long, value_name = "A..B", default_value = "0..20")]
    seeds: ask::Seeds,
    #[command(flatten)]
    jobs: Jobs,
}

impl Cmd for Meta {
    const NAME: &'static str = "meta";
    const ABOUT: &'static str = "Run each seed in two processes and compare every event, byte for byte";
    const EXAMPLES: &'static str = "logquake meta\nlogquake meta power_loss --seeds 0..100";

    fn go(self) -> anyhow::Result<Exit> {
        let outcome = meta::meta(&ask::chosen(&self.names), self.seeds.0, self.jobs.count())?;
        screen::out(&reports::text::determinism(&outcome, screen::width()))?;
        Ok(meta::exit(&outcome))
    }
}
