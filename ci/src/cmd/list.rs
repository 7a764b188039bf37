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

/// A catalogue.
struct Catalogue {
    what: What,
    title: &'static str,
    rows: fn() -> Vec<Row>,
}

const ALL: &[Catalogue] = &[
    Catalogue { what: What::Scenarios, title: "Scenarios", rows: rows::scenarios },
    Catalogue { what: What::Faults, title: "Faults", rows: rows::faults },
    Catalogue { what: What::Invariants, title: "Invariants", rows: rows::invariants },
    Catalogue { what: What::Defects, title: "Planted defects", rows: rows::defects },
];

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
        let chosen = ALL.iter().filter(|c| self.what.is_none_or(|w| w == c.what));
        if self.json {
            let named = chosen.map(|c| (c.title.to_lowercase(), (c.rows)()));
            screen::out(&reports::json::pretty(&named.collect::<std::collections::BTreeMap<_, _>>())?)?;
            return Ok(Exit::Pass);
        }
        let sections: Vec<String> = chosen.map(|c| catalogue(c.title, &(c.rows)(), screen::width())).collect();
        screen::out(&sections.join("\n"))?;
        Ok(Exit::Pass)
    }
}
