//! Looking for a planted defect: seed after seed of one scenario, until the invariant that must catch it does.

use std::time::Duration;

use broker::planted::Defect;

use crate::report::RunReport;
use crate::run::RunSpec;
use crate::scenario::Scenario;
use crate::shrink::{Shrunk, shows, shrink};
use crate::verdict::{Severity, Verdict};

/// What to hunt for.
pub struct Prey {
    /// The defect.
    pub defect: Defect,
    /// Where.
    pub scenario: &'static Scenario,
    /// One of these invariants must be the finder.
    pub expected: &'static [&'static str],
}

/// A hunt's end.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// Seeds run, the finding one included.
    pub seeds: u64,
    /// CPU time spent, shrinking not counted.
    pub cpu: Duration,
    /// The invariant that found it, of those expected; `None` if none did.
    pub found_by: Option<String>,
    /// Other invariants that cried out first, in seeds where no expected one did.
    pub others: Vec<String>,
    /// The finding run, if any.
    pub report: Option<RunReport>,
    /// Its smallest plan.
    pub shrunk: Option<Shrunk>,
}

/// Hunts from seed `from` on until found, or until `budget` of CPU time is spent. `play` runs a plan.
pub fn hunt(prey: &Prey, from: u64, budget: Duration, shrinks: bool, play: &dyn Fn(&RunSpec) -> RunReport) -> Hunt {
    let mut hunt =
        Hunt { seeds: 0, cpu: Duration::ZERO, found_by: None, others: Vec::new(), report: None, shrunk: None };
    while hunt.cpu < budget {
        let spec = RunSpec { planted: Some(prey.defect), ..RunSpec::new(prey.scenario, from + hunt.seeds) };
        let report = play(&spec);
        hunt.seeds += 1;
        hunt.cpu += Duration::from_nanos(report.cost.cpu_ns.max(1));
        if report.verdict != Verdict::Fail {
            continue;
        }
        if let Some(id) = prey.expected.iter().find(|id| shows(&report, id)) {
            hunt.found_by = Some((*id).to_string());
            hunt.shrunk = shrinks.then(|| smallest(prey, &spec, id, play)).flatten();
            hunt.report = Some(report);
            return hunt;
        }
        for f in report.findings.iter().filter(|f| f.severity == Severity::Violation) {
            if !hunt.others.contains(&f.invariant) {
                hunt.others.push(f.invariant.clone());
            }
        }
    }
    hunt
}

/// More drawn strikes than this in its smallest plan tell too little of what a defect needs.
pub const FEW: usize = 3;
/// Further seeds that are run for the sake of a smaller plan.
const MORE_SEEDS: usize = 30;
/// How many of those that find the defect are shrunk.
const MORE_FINDS: usize = 3;

/// The smallest plan of the run that found it; of the next ones that do, if that has more than [`FEW`] strikes.
fn smallest(prey: &Prey, found: &RunSpec, by: &str, play: &dyn Fn(&RunSpec) -> RunReport) -> Option<Shrunk> {
    let first = shrink(found, by, play)?;
    let mut best = (first.drawn(prey.scenario), first);
    let mut finds = 0;
    for seed in (found.seed + 1..).take(MORE_SEEDS) {
        if best.0 <= FEW || finds == MORE_FINDS {
            break;
        }
        let spec = RunSpec { seed, ..found.clone() };
        let report = play(&spec);
        let Some(id) = prey.expected.iter().find(|id| shows(&report, id)) else { continue };
        finds += 1;
        let Some(other) = shrink(&spec, id, play) else { continue };
        let drawn = other.drawn(prey.scenario);
        if drawn < best.0 {
            best = (drawn, other);
        }
    }
    Some(best.1)
}
