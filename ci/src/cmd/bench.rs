//! `bench`: how fast it is, beside what the machine itself can do in the same minutes.

use std::path::PathBuf;

use anyhow::Context;
use harness::bench::{cluster, log};

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
    Log(Args),
    /// Three brokers in this process: acks=all with three replicas beside one, and the ceiling.
    Cluster(Args),
}

/// How it is measured.
#[derive(clap::Args)]
struct Args {
    /// Where to write: a directory on the disk to be measured, made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "logquake-bench")]
    dir: PathBuf,
    /// Rounds; the median is reported.
    #[arg(long, value_name = "N", default_value_t = log::Options::default().rounds)]
    rounds: usize,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Cmd for Bench {
    const NAME: &'static str = "bench";
    const ABOUT: &'static str = "Measure, beside the machine's own limits";
    const EXAMPLES: &'static str = "\
logquake bench log
logquake bench log --dir /mnt/data/bench --json
logquake bench cluster --rounds 9";

    fn go(self) -> anyhow::Result<Exit> {
        let (What::Log(args) | What::Cluster(args)) = &self.what;
        let (dir, rounds, json) = (&args.dir, args.rounds.max(1), args.json);
        let text = match self.what {
            What::Log(_) => {
                let options = log::Options { rounds, ..log::Options::default() };
                let measured = log::run(dir, options).with_context(|| format!("in {}", dir.display()))?;
                if json { reports::json::pretty(&measured)? } else { measured.to_string() }
            }
            What::Cluster(_) => {
                let options = cluster::Options { rounds, ..cluster::Options::default() };
                let own = dir.join("cluster");
                let measured = cluster::run(&own, &options).with_context(|| format!("in {}", own.display()))?;
                if json { reports::json::pretty(&measured)? } else { measured.to_string() }
            }
        };
        // Only if it is empty: what else is there is not ours.
        let _ = std::fs::remove_dir(dir);
        screen::out(&text)?;
        Ok(Exit::Pass)
    }
}
