//! One whole simulated run: build the world, walk the phases, strike, heal, judge.
//!
//! The loop is synchronous and owns the world: due strikes, one step, drain the events, fold the invariants, due cures.
//! Nothing here knows a scenario or a fault by name.

mod acked;
mod aim;
mod backlog;
mod cast;
pub(crate) mod cost;
pub(crate) mod handoff;
mod lag;
pub(crate) mod outage;
mod roles;
mod script;
mod stage;
mod strikes;
pub(crate) mod trace;
mod waits;

use broker::planted::Defect;

pub use cast::{Guest, Life};
pub use stage::Stage;

use std::fmt;

use serde::{Deserialize, Serialize};

use broker::config::LogConfig;

use crate::history::Event;
use crate::invariant::Rules;
use crate::plan::Plan;
use crate::report::RunReport;
use crate::scenario::{Flow, Load, Scenario, Setup};
use crate::seed::Seed;

/// Calls other than sends give up within this long, in milliseconds.
const LONGEST_CALL_MS: u64 = 3000;

/// What names a run: the same code and the same spec give the same run, event for event.
#[derive(Clone)]
pub struct RunSpec {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The seed.
    pub seed: u64,
    /// Which strikes to keep, by id; all, if `None`.
    pub keep: Option<Vec<u32>>,
    /// The planted defect to activate, if any; needs the feature `planted`.
    pub planted: Option<Defect>,
    /// What replaces the scenario's own draws.
    pub with: Overrides,
}

impl fmt::Debug for RunSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.replay())
    }
}

/// What replaces a scenario's own draws: how a property test, and its replay line, names a run that no seed draws.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// The faults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// The log settings of every topic. The flush policy stays the scenario's: it is part of the contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogConfig>,
}

impl Overrides {
    fn apply(&self, setup: &mut Setup) {
        if let Some(load) = &self.load {
            setup.load = load.clone();
        }
        if let Some(log) = &self.log {
            for topic in &mut setup.topics {
                topic.log = LogConfig { flush: topic.log.flush, ..log.clone() };
            }
        }
    }
}

impl RunSpec {
    /// The run of `scenario` with `seed`, whole and with no defect.
    pub fn new(scenario: &'static Scenario, seed: u64) -> Self {
        Self { scenario, seed, keep: None, planted: None, with: Overrides::default() }
    }

    /// The setup that this run is made of.
    pub fn setup(&self) -> Setup {
        let mut setup = (self.scenario.setup)(&mut self.root().split("setup", 0).draw());
        self.with.apply(&mut setup);
        setup.contract.groups = setup.groups();
        setup.contract.apps = u32::try_from(setup.apps.len()).unwrap_or(u32::MAX);
        setup.contract.lag_bound = setup.load.lag_bound;
        setup.contract.passed_on = setup.that_flow(|flow| flow != Flow::Input);
        setup.contract.unread = setup.that_flow(|flow| flow == Flow::End);
        let groups = setup.load.groups.iter().chain(setup.apps.iter().map(|app| &app.group));
        groups.for_each(|group| group.coordinate(&mut setup.broker.groups));
        // What a client may wait for at most, by its own settings, and then some: clocks may run slow by a tenth.
        let patience = setup.load.delivery_timeout_ms.max(LONGEST_CALL_MS);
        setup.contract.call_deadline_ms = patience + patience / 5 + 1000;
        setup
    }

    /// What its history is judged by. A plan that was cut down cannot be asked for strikes.
    pub fn rules(&self, setup: &Setup) -> Rules {
        let whole = self.keep.is_none() && self.with.plan.is_none();
        Rules {
            contract: setup.contract.clone(),
            partitions: setup.partitions().iter().map(ToString::to_string).collect(),
            white_box: !setup.twin,
            least_strikes: if whole { setup.least_strikes } else { 0 },
            by_time: setup.load.seekers > 0,
            least_snapshots: if whole { setup.least_snapshots } else { 0 },
        }
    }

    /// The branch of randomness that everything in this run grows from.
    pub fn root(&self) -> Seed {
        Seed::new(self.seed).split(self.scenario.name, 0)
    }

    /// The command that plays this run again.
    pub fn replay(&self) -> String {
        let mut line = format!("logquake run {} --seed {}", self.scenario.name, self.seed);
        if let Some(keep) = &self.keep {
            let ids: Vec<String> = keep.iter().map(u32::to_string).collect();
            line.push_str(&format!(" --keep {}", if ids.is_empty() { "none".into() } else { ids.join(",") }));
        }
        if let Some(defect) = self.planted {
            line.push_str(&format!(" --planted {}", defect.id()));
        }
        if self.with != Overrides::default() {
            let json = serde_json::to_string(&self.with).unwrap_or_default();
            line.push_str(&format!(" --with '{json}'"));
        }
        line
    }
}

/// Runs `spec` to its verdict on this thread. `tap` sees every event in order, as it is judged.
pub fn run<'a>(spec: &'a RunSpec, tap: Option<&'a mut dyn FnMut(&Event)>) -> RunReport {
    run_with(spec, None, tap)
}

/// As [`run`], with one more client host, which runs the reader's own code.
pub fn run_with<'a>(spec: &'a RunSpec, guest: Option<Guest>, tap: Option<&'a mut dyn FnMut(&Event)>) -> RunReport {
    let _active = Active::defect(spec.planted);
    let setup = spec.setup();
    let drawn = || Plan::draw(&setup.recipe, &setup.menu, setup.times.strikes_ms, spec.root().split("plan", 0));
    let plan = spec.with.plan.clone().unwrap_or_else(drawn).keep(spec.keep.as_deref());
    script::Script::new(spec, setup, plan, guest, tap).play()
}

/// A planted defect is active while this lives, on this thread.
struct Active(#[cfg(feature = "planted")] Option<Defect>);

impl Active {
    #[cfg(feature = "planted")]
    fn defect(defect: Option<Defect>) -> Self {
        Self(broker::planted::activate(defect))
    }

    #[cfg(not(feature = "planted"))]
    fn defect(_: Option<Defect>) -> Self {
        Self()
    }
}

#[cfg(feature = "planted")]
impl Drop for Active {
    fn drop(&mut self) {
        broker::planted::activate(self.0);
    }
}

#[cfg(test)]
mod tests;
