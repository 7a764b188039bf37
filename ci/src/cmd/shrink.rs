//! `shrink`: the smallest part of a failing run's plan that still fails in the same way.

use harness::run::{RunSpec, run};
use harness::scenario::Scenario;
use harness::shrink::shrink;
use harness::verdict::Severity;

use super::Cmd;
use crate::exit::Exit;
use crate::job::limits::Hang;
use crate::job::progress;
use crate::{ask, screen};

/// The arguments of `shrink`.
#[derive(clap::Args)]
pub struct Shrink {
    /// The scenario.
    #[arg(value_parser = ask::scenario(), hide_possible_values = true)]
    name: &'static Scenario,
    #[command(flatten)]
    run: ask::Named,
    /// The invariant whose violation must remain; the gravest finding's, if not given.
    #[arg(long, value_name = "ID")]
    invariant: Option<String>,
    /// Print the smallest run's report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hang: Hang,
}

impl Cmd for Shrink {
    const NAME: &'static str = "shrink";
    const ABOUT: &'static str = "Find the fewest strikes that still break the same promise";
    const EXAMPLES: &'static str = "\
logquake shrink power_loss --seed 7
logquake shrink power_loss --seed 7 --planted st-ack-before-fsync --invariant B3";

    fn go(self) -> anyhow::Result<Exit> {
        let spec = self.run.spec(self.name)?;
        let dog = self.hang.watchdog();
        let play = |spec: &RunSpec| dog.over(spec, || run(spec, None));
        let whole = progress::busy("run", || play(&spec));
        let gravest = whole.findings.iter().find(|f| f.severity == Severity::Violation).map(|f| f.invariant.clone());
        let Some(invariant) = self.invariant.or(gravest) else {
            screen::out(&format!("nothing to shrink: no promise is broken by {}\n", spec.replay()))?;
            return Ok(Exit::Incomplete);
        };
        let Some(shrunk) = progress::busy("shrink", || shrink(&spec, &invariant, &play)) else {
            screen::out(&format!("nothing to shrink: {invariant} is not broken by {}\n", spec.replay()))?;
            return Ok(Exit::Incomplete);
        };
        screen::out(&super::run::rendered(&shrunk.report, self.name.about, self.json)?)?;
        if !self.json {
            let (before, after) = (whole.strikes.len(), shrunk.keep.len());
            screen::out(&format!("Shrunk  {before} strikes to {after} for {invariant}, in {} runs\n", shrunk.runs))?;
        }
        Ok(Exit::of(&shrunk.report))
    }
}
