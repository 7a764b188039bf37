//! THE table of subcommands: one file each, one row here.

mod bench;
mod check;
mod completions;
mod explain;
mod gate;
mod list;
mod man;
mod merge;
mod meta;
mod plan;
mod planted;
mod replay;
mod report;
mod run;
mod serve;
mod shrink;
mod sweep;

use clap::{ArgMatches, Args, Command};

use crate::exit::{self, Exit};

/// A subcommand: its arguments, and what it does with them.
trait Cmd: Args {
    /// Its name on the command line.
    const NAME: &'static str;
    /// What it does, in one line.
    const ABOUT: &'static str;
    /// Examples, one a line.
    const EXAMPLES: &'static str;

    /// What else its help says, after the examples.
    fn more() -> String {
        String::new()
    }

    /// Does it.
    fn go(self) -> anyhow::Result<Exit>;
}

/// A row of the table.
struct Row {
    name: &'static str,
    command: fn() -> Command,
    go: fn(&ArgMatches) -> anyhow::Result<Exit>,
}

const TABLE: &[Row] = &[
    row::<gate::Gate>(),
    row::<list::List>(),
    row::<explain::Explain>(),
    row::<run::Run>(),
    row::<replay::Replay>(),
    row::<shrink::Shrink>(),
    row::<check::Check>(),
    row::<sweep::Sweep>(),
    row::<merge::Merge>(),
    row::<meta::Meta>(),
    row::<planted::Planted>(),
    row::<serve::Serve>(),
    row::<bench::Bench>(),
    row::<plan::Plan>(),
    row::<report::Report>(),
    row::<completions::Completions>(),
    row::<man::Man>(),
];

const fn row<C: Cmd>() -> Row {
    Row { name: C::NAME, command: subcommand::<C>, go: go_as::<C> }
}

fn subcommand<C: Cmd>() -> Command {
    let help = format!("Examples:\n{}{}", indented(C::EXAMPLES), C::more());
    C::augment_args(Command::new(C::NAME)).about(C::ABOUT).after_help(help)
}

fn go_as<C: Cmd>(matches: &ArgMatches) -> anyhow::Result<Exit> {
    C::from_arg_matches(matches)?.go()
}

fn indented(lines: &str) -> String {
    lines.lines().map(|l| format!("  {l}\n")).collect()
}

const EXAMPLES: &str = "\
logquake gate                                  everything CI asks, in a few minutes
logquake run power_loss --seed 7               one run, told from start to end
logquake sweep --budget 60s                    as many seeds of every scenario as fit in a minute
logquake planted                               prove that the suite finds what it claims to find";

/// The whole command line.
pub fn command() -> Command {
    Command::new("logquake")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Shakes an event log until it breaks, or shows that it does not.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .after_help(format!("Examples:\n{}\n{}", indented(EXAMPLES), exit::HELP))
        .subcommands(TABLE.iter().map(|row| (row.command)()))
}

/// Does what was asked.
pub fn go(matches: &ArgMatches) -> anyhow::Result<Exit> {
    let asked = matches.subcommand().and_then(|(name, args)| Some((TABLE.iter().find(|row| row.name == name)?, args)));
    match asked {
        Some((row, args)) => (row.go)(args),
        None => Err(crate::ask::Usage("no such subcommand".into()).into()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_examples_that_parse() {
        for row in super::TABLE {
            let help = (row.command)().get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help.lines().filter_map(|l| l.trim().strip_prefix("logquake ")).collect();
            assert!(!examples.is_empty(), "{} has no examples", row.name);
            for example in examples {
                let words = example.split("  ").next().unwrap_or_default().split_whitespace();
                let words = std::iter::once("logquake").chain(words.take_while(|w| !matches!(*w, "|" | ">" | "<")));
                super::command().try_get_matches_from(words).unwrap_or_else(|e| panic!("{example}: {e}"));
            }
        }
    }
}
