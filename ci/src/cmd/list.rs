//! `list`: what there is to run, to strike with, to hold, and to plant.

use clap::ValueEnum;
use reports::text::{Row, catalogue};

use super::Cmd;
use crate::exit::Exit;
use crate::job::catalogue as rows;
use crate::screen;

/// What to list.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Scenarios,
    Faults,
    Invariants,
    Defects,
}

/// The arguments of `list`.
#[derive(clap::Args)]
pub struct List {
    /// Which catalogue; all, if not given.
    what: Option<What>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Cmd for List {
    const NAME: &'static str = "list";
    const ABOUT: &'static str = "List scenarios, faults, invariants and planted defects";
    const EXAMPLES: &'static str = "logquake list\nlogquake list scenarios\nlogquake list invariants --json";

    fn go(self) -> anyhow::Result<Exit> {
        let all: [(What, &str, fn() -> Vec<Row>); 4] = [
            (What::Scenarios, "Scenarios", rows::scenarios),
            (What::Faults, "Faults", rows::faults),
            (What::Invariants, "Invariants", rows::invariants),
            (What::Defects, "Planted defects", rows::defects),
        ];
        let chosen = all.into_iter().filter(|(what, ..)| self.what.is_none_or(|w| w == *what));
        if self.json {
            let named = chosen.map(|(_, title, rows)| (title.to_lowercase(), rows()));
            screen::out(&reports::json::pretty(&named.collect::<std::collections::BTreeMap<_, _>>())?)?;
            return Ok(Exit::Pass);
        }
        let sections: Vec<String> = chosen.map(|(_, title, rows)| catalogue(title, &rows(), screen::width())).collect();
        screen::out(&sections.join("\n"))?;
        Ok(Exit::Pass)
    }
}
