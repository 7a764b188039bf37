//! `replay`: a run again, twice: here and in a fresh process. The two must be the same run.

use harness::run::{RunSpec, run};
use harness::scenario::Scenario;

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::Hang;
use crate::job::{confirm, progress};
use crate::{ask, screen};

/// The arguments of `replay`.
#[derive(clap::Args)]
pub struct Replay {
    /// The words of a replay line, or `scenario:seed` or `scenario:seed:keep`.
    #[arg(required = true, value_name = "LINE")]
    line: Vec<String>,
    #[command(flatten)]
    run: ask::Named,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hang: Hang,
}

impl Cmd for Replay {
    const NAME: &'static str = "replay";
    const ABOUT: &'static str = "Play a run again, here and in a fresh process, and compare the traces";
    const EXAMPLES: &'static str = "\
logquake replay power_loss --seed 7 --keep 0
logquake replay logquake run power_loss --seed 7
logquake replay power_loss:7:0,2";

    fn go(self) -> anyhow::Result<Exit> {
        let (scenario, asked) = named(&self.line, self.run)?;
        let spec: RunSpec = asked.spec(scenario)?;
        let report = progress::busy("run", || self.hang.watchdog().over(&spec, || run(&spec, None)));
        let second = progress::busy("again", || confirm::again(&spec, &report));
        screen::out(&super::run::rendered(&report, scenario.about, self.json)?)?;
        if !self.json {
            screen::out(&format!("Again   {}\n", second.words()))?;
        }
        Ok(if second.same() { Exit::of(&report) } else { Exit::Safety })
    }
}

/// The run that the words name: the flags that stand beside them, unless a token says more.
fn named(line: &[String], mut run: ask::Named) -> Result<(&'static Scenario, ask::Named), ask::Usage> {
    let words: Vec<&str> = line.iter().map(String::as_str).filter(|w| !matches!(*w, "logquake" | "run")).collect();
    let [token] = words[..] else {
        return Err(ask::Usage("one scenario is replayed at a time, as `replay power_loss --seed 7`".into()));
    };
    let mut parts = token.splitn(3, ':');
    let scenario = ask::known_scenario(parts.next().unwrap_or_default())?;
    if let Some(seed) = parts.next() {
        run.seed = seed.parse().map_err(|_| ask::Usage(format!("'{seed}' is no seed, in '{token}'")))?;
    }
    if let Some(keep) = parts.next() {
        run.keep = Some(keep.parse().map_err(ask::Usage)?);
    }
    Ok((scenario, run))
}
