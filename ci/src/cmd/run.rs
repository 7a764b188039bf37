//! `run`: one run, told from start to end.

use std::path::PathBuf;

use harness::history::Event;
use harness::report::RunReport;
use harness::run::RunSpec;
use harness::scenario::Scenario;

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::Hang;
use crate::job::progress;
use crate::record::Recorder;
use crate::{ask, screen};

/// The arguments of `run`.
#[derive(clap::Args)]
pub struct Run {
    /// The scenario.
    #[arg(value_parser = ask::scenario(), hide_possible_values = true)]
    name: &'static Scenario,
    #[command(flatten)]
    run: ask::Named,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write every event as a line of JSON, compressed by zstd; `-` is the standard output, plain and without report.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Write a Chrome trace: open it in ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    hang: Hang,
}

impl Cmd for Run {
    const NAME: &'static str = "run";
    const ABOUT: &'static str = "Run one scenario with one seed and report";
    const EXAMPLES: &'static str = "\
logquake run power_loss --seed 7
logquake run power_loss --seed 7 --keep 0,2
logquake run power_loss --seed 7 --planted st-ack-before-fsync
logquake run steady --history steady.jsonl.zst
logquake run steady --history - | head
logquake run power_loss --seed 7 --trace power_loss.json";

    fn go(self) -> anyhow::Result<Exit> {
        let quiet = self.history.as_deref().is_some_and(|path| path.as_os_str() == "-");
        let spec = self.run.spec(self.name)?;
        let history = self.history.as_deref().map(|path| Recorder::history(path, &spec)).transpose()?;
        let trace = self.trace.as_deref().map(|path| Recorder::trace(path, &spec)).transpose()?;
        let mut recorders: Vec<Recorder> = history.into_iter().chain(trace).collect();
        let play = || self.hang.watchdog().over(&spec, || watched(&spec, &mut recorders));
        let report = progress::busy("run", play);
        recorders.into_iter().try_for_each(Recorder::finish)?;
        if !quiet {
            screen::out(&rendered(&report, self.name.about, self.json)?)?;
        }
        Ok(Exit::of(&report))
    }
}

fn watched(spec: &RunSpec, recorders: &mut [Recorder]) -> RunReport {
    if recorders.is_empty() {
        return harness::run::run(spec, None);
    }
    harness::run::run(spec, Some(&mut |event: &Event| recorders.iter_mut().for_each(|to| to.note(event))))
}

/// The report as it was asked for.
pub fn rendered(report: &RunReport, about: &str, json: bool) -> anyhow::Result<String> {
    Ok(if json { reports::json::pretty(report)? } else { reports::text::run(report, about, screen::width()) })
}
