//! `bench`: how fast it is, beside what the machine itself can do in the same minutes.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use harness::bench::{cluster, log};

mod beside;
mod codecs;
mod compare;
mod load;

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::Jobs;
use crate::job::progress;
use crate::job::rebalance::rebalance;
use crate::{ask, record, screen};

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
    /// A broker under load: workloads by name, each result judged first.
    Load(load::Load),
    /// Two or more brokers under the same load, in turns: ratios, and what they are worth.
    Compare(compare::Compare),
    /// The highest rate that a broker sustains, and latency against throughput below it.
    Search(load::Search),
    /// The workloads that there are.
    List,
    /// What the machine does without any broker: disk, loopback, processor.
    Limits(Limits),
    /// What each codec makes of a sample of your records: the ratio that a plan needs, and what it takes.
    Codecs(codecs::Args),
    /// What a rebalance costs, on virtual time: groups of 3, 10 and 50 under each protocol, through the same storms.
    Rebalance(Storms),
}

/// Which storms.
#[derive(clap::Args)]
struct Storms {
    /// Which seeds of each storm.
    #[arg(long, value_name = "A..B", default_value = "0..10")]
    seeds: ask::Seeds,
    #[command(flatten)]
    jobs: Jobs,
    /// Draw it, too.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Where.
#[derive(clap::Args)]
struct Limits {
    /// A directory on the disk to be measured, made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "logquake-bench")]
    dir: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Limits {
    fn go(self) -> anyhow::Result<Exit> {
        let limits = progress::busy("limits", || ::load::limits::Limits::probe(&self.dir))
            .with_context(|| format!("in {}", self.dir.display()))?;
        // Only if it is empty: what else is there is not ours.
        let _ = std::fs::remove_dir(&self.dir);
        screen::out(&if self.json { reports::json::pretty(&limits)? } else { limits.to_string() })?;
        Ok(Exit::Pass)
    }
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
logquake bench limits
logquake bench log
logquake bench log --dir /mnt/data/bench --json
logquake bench cluster --rounds 9
logquake bench load sequential_append/1KiB durable
logquake bench load tail_read --target kafka://broker.example:9092 --json
logquake bench load many_producers/4 --over producers=1,2,4,8,16,32,64
logquake bench load backlog/1KiB under_faults --rounds 1
logquake bench compare sequential_append/1KiB --target own --target program:/tmp/old/logquake
logquake bench compare one_in_flight --target own --target peer:tansu --target peer:noida
logquake bench search tail_read/10k --p99-us 5000
logquake bench codecs events.jsonl --codec zstd --json
logquake bench rebalance --seeds 0..20 --svg rebalance.svg";

    fn go(self) -> anyhow::Result<Exit> {
        match self.what {
            What::Log(args) => args.measure(|dir, rounds, json| {
                let measured = log::run(dir, log::Options { rounds, ..log::Options::default() })?;
                Ok(if json { reports::json::pretty(&measured)? } else { measured.to_string() })
            }),
            What::Cluster(args) => args.measure(|dir, rounds, json| {
                let options = cluster::Options { rounds, ..cluster::Options::default() };
                let measured = cluster::run(&dir.join("cluster"), &options)?;
                Ok(if json { reports::json::pretty(&measured)? } else { measured.to_string() })
            }),
            What::Load(load) => load.go(),
            What::Compare(compare) => compare.go(),
            What::Search(search) => search.go(),
            What::List => load::list(),
            What::Limits(limits) => limits.go(),
            What::Codecs(args) => args.go(),
            What::Rebalance(storms) => storms.go(),
        }
    }
}

impl Args {
    /// Measures in the directory, and prints what came of it.
    fn measure(&self, measure: impl FnOnce(&Path, usize, bool) -> anyhow::Result<String>) -> anyhow::Result<Exit> {
        let text = progress::busy("bench", || measure(&self.dir, self.rounds.max(1), self.json))
            .with_context(|| format!("in {}", self.dir.display()))?;
        // Only if it is empty: what else is there is not ours.
        let _ = std::fs::remove_dir(&self.dir);
        screen::out(&text)?;
        Ok(Exit::Pass)
    }
}

impl Storms {
    fn go(self) -> anyhow::Result<Exit> {
        let costs = rebalance(self.seeds.0, self.jobs.count())?;
        if let Some(file) = &self.svg {
            let svg = reports::chart::rebalance(&costs).map_err(|e| anyhow::anyhow!("{e}"))?;
            record::create(file)?.write_all(svg.as_bytes()).with_context(|| format!("in {}", file.display()))?;
        }
        let text = if self.json { reports::json::pretty(&costs)? } else { costs.to_string() };
        screen::out(&text)?;
        Ok(if costs.0.iter().any(|row| row.failed > 0) { Exit::Safety } else { Exit::Pass })
    }
}
