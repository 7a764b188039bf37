//! `plan`: how many brokers, partitions and consumers a load needs, and why.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Arg, ArgMatches, Command};
use reports::capacity::{self, Named, Refused, Written, input};

use super::Cmd;
use crate::ask;
use crate::exit::Exit;
use crate::job::files::{self, Format};

/// The arguments of `plan`: one flag for each row of the table of inputs, and those below.
pub struct Plan {
    flags: Written,
    files: Files,
}

/// Where it comes from and goes to.
#[derive(clap::Args)]
struct Files {
    /// A TOML file of inputs: keys are the names of these flags, which override it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What `bench log`, `bench cluster`, `bench load` or `bench codecs` has printed with --json: what it measured is taken, unless
    /// it is no result.
    #[arg(long, value_name = "FILE")]
    measured: Vec<PathBuf>,
    /// How to show it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where to write it, rather than to the standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl clap::Args for Plan {
    fn augment_args(command: Command) -> Command {
        let flag = |group: &'static str, row: &'static input::Row| {
            let default =
                row.default.map_or(String::new(), |(value, _)| format!(" [default: {}]", row.kind.show(value)));
            let help = format!("{}, as {}{default}", row.about, row.example);
            let flag = Arg::new(row.name).long(row.name).value_name("AMOUNT").help(help).help_heading(group);
            flag.allow_hyphen_values(true)
        };
        let rows = input::ALL.iter().flat_map(|(group, rows)| rows.iter().map(move |row| flag(group, row)));
        Files::augment_args(command).args(rows)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Plan {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let written = input::rows().filter_map(|row| {
            let text: &String = matches.get_one(row.name)?;
            Some((row.name.into(), text.clone()))
        });
        Ok(Self { flags: written.collect(), files: Files::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Cmd for Plan {
    const NAME: &'static str = "plan";
    const ABOUT: &'static str = "Say how many brokers, partitions and consumers a load needs, and why";
    const EXAMPLES: &'static str = "\
logquake plan --users 500M --events 20 --size 500B --peak 10x --disk 10TB
logquake plan --rate 80k..120k/s --size 1kB±20% --compression 2..4 --lose-racks 1
logquake plan --file plan.toml --measured cluster.json --format html --out plan.html";

    fn more() -> String {
        "\nAmounts carry their units: 500M, 10TB (10^12 bytes), 7d, 100k/s, 10Gbit/s, 70%. Estimates may be ranges, as \
         400..600B, 400..450..600B or 10x±20%, and so is the answer then. In a file: size = \"400..600B\".\n"
            .into()
    }

    fn go(self) -> anyhow::Result<Exit> {
        let file = self.files.file.as_ref().map(read).transpose()?;
        let measured = self.files.measured.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
        let inputs = capacity::stated(file.as_ref(), &measured, &self.flags).map_err(usage)?;
        let plan = capacity::plan(&inputs).map_err(usage)?;
        let text = self.files.format.show(|| capacity::document(&plan), || reports::json::pretty(&plan))?;
        files::write(self.files.out.as_deref(), &text)?;
        Ok(Exit::Pass)
    }
}

fn usage(refused: Refused) -> anyhow::Error {
    ask::Usage(refused.0).into()
}

fn read(path: &PathBuf) -> anyhow::Result<Named> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((path.display().to_string(), text))
}
