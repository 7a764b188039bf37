//! `explain`: one invariant, scenario, fault or planted defect, in full.

use clap::builder::PossibleValuesParser;

use super::Cmd;
use crate::exit::Exit;
use crate::job::{catalogue, explain};
use crate::screen;

/// The arguments of `explain`.
#[derive(clap::Args)]
pub struct Explain {
    /// An invariant's id, or the name of a scenario, fault or planted defect.
    #[arg(value_name = "ID", value_parser = PossibleValuesParser::new(catalogue::names()), hide_possible_values = true)]
    #[arg(ignore_case = true)]
    id: String,
}

impl Cmd for Explain {
    const NAME: &'static str = "explain";
    const ABOUT: &'static str = "Explain an invariant, scenario, fault or planted defect";
    const EXAMPLES: &'static str =
        "logquake explain B3\nlogquake explain power_loss\nlogquake explain st-ack-before-fsync";

    fn go(self) -> anyhow::Result<Exit> {
        let entries = explain::entries(&self.id);
        let text: Vec<String> = entries.iter().map(|entry| reports::text::entry(entry, screen::width())).collect();
        screen::out(&text.join("\n"))?;
        Ok(Exit::Pass)
    }
}
