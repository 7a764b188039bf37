//! `bench`: how fast it is, beside what the machine itself can do in the same minutes.

use std::path::PathBuf;

use anyhow::Context;
use harness::bench::log::{self, Options};

use super::Cmd;
use crate::exit::Exit;
use crate::screen;

/// The arguments of `bench`.
#[derive(clap::Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

/// What is measured.
#[derive(clap::Subcommand)]
enum What {
    /// The log beside plain write(), read() and fdatasync() of the same bytes.
    Log(LogArgs),
}

/// The arguments of `bench log`.
#[derive(clap::Args)]
struct LogArgs {
    /// Where to write: a directory on the disk to be measured, made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "logquake-bench")]
    dir: PathBuf,
    /// Rounds; the median is reported.
    #[arg(long, value_name = "N", default_value_t = Options::default().rounds)]
    rounds: usize,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Cmd for Bench {
    const NAME: &'static str = "bench";
    const ABOUT: &'static str = "Measure, beside the machine's own limits";
    const EXAMPLES: &'static str = "logquake bench log\nlogquake bench log --dir /mnt/data/bench --json";

    fn go(self) -> anyhow::Result<Exit> {
        let What::Log(args) = self.what;
        let options = Options { rounds: args.rounds.max(1), ..Options::default() };
        let measured = log::run(&args.dir, options).with_context(|| format!("in {}", args.dir.display()))?;
        // Only if it is empty: what else is there is not ours.
        let _ = std::fs::remove_dir(&args.dir);
        screen::out(&if args.json { reports::json::pretty(&measured)? } else { measured.to_string() })?;
        Ok(Exit::Pass)
    }
}
