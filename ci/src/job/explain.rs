//! What there is to say of one name: a fault and a scenario may share it, so there may be two entries.

use std::collections::BTreeSet;

use broker::planted::Defect;
use harness::fault::{self, Fault};
use harness::invariant;
use harness::scenario::{Scenario, Setup};
use harness::seed::Seed;
use reports::text::Entry;
use scenarios::planted::ROWS;

use super::catalogue::promise;

/// Seeds drawn to see what a scenario's setups have in common.
const SEEDS_LOOKED_AT: u64 = 16;

/// Every entry of that name; case does not matter.
pub fn entries(name: &str) -> Vec<Entry> {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    let invariants = invariant::ALL.iter().filter(|i| same(i.id)).map(of_invariant);
    let scenarios = scenarios::ALL.iter().filter(|s| same(s.name)).map(of_scenario);
    let faults = fault::ALL.iter().filter(|f| same(f.name)).map(of_fault);
    let defects = Defect::ALL.iter().filter(|d| same(&d.id())).map(|d| of_defect(*d));
    invariants.chain(scenarios).chain(faults).chain(defects).collect()
}

fn of_invariant(row: &invariant::Row) -> Entry {
    let finds = ROWS.iter().filter(|r| r.expected.contains(&row.id)).map(|r| r.defect.id());
    let sees = if row.white_box { "facts that brokers state (simulation only)" } else { "what clients saw" };
    Entry {
        name: row.id.into(),
        kind: format!("invariant, {}", promise(row.promise)),
        about: row.about.into(),
        facts: vec![
            fact("judged from", sees),
            fact("Jepsen's name", row.jepsen.unwrap_or_default()),
            fact("must find", &listed(finds)),
        ],
    }
}

fn of_scenario(scenario: &Scenario) -> Entry {
    let setups = setups(scenario);
    let faults: BTreeSet<&str> = setups.iter().flat_map(|s| s.faults()).collect();
    let recipe = setups.iter().take(1).flat_map(|s| s.recipe.iter().map(ToString::to_string));
    let finds = ROWS.iter().filter(|r| r.scenario == scenario.name).map(|r| r.defect.id());
    let promised: BTreeSet<String> = setups.iter().map(promised).collect();
    Entry {
        name: scenario.name.into(),
        kind: "scenario".into(),
        about: scenario.about.into(),
        facts: vec![
            fact("promised", &promised.into_iter().collect::<Vec<_>>().join("; or ")),
            fact("faults", &listed(faults.into_iter().map(String::from))),
            fact("recipe", &recipe.collect::<Vec<_>>().join("; ")),
            fact("must find", &listed(finds)),
            fact("run it", &format!("logquake run {}", scenario.name)),
        ],
    }
}

fn of_fault(fault: &Fault) -> Entry {
    let used = scenarios::ALL.iter().filter(|s| setups(s).iter().any(|p| p.faults().any(|name| name == fault.name)));
    Entry {
        name: fault.name.into(),
        kind: "fault".into(),
        about: fault.about.into(),
        facts: vec![fact("force", fault.unit), fact("strikes in", &listed(used.map(|s| s.name.to_string())))],
    }
}

fn of_defect(defect: Defect) -> Entry {
    let row = ROWS.iter().find(|r| r.defect == defect);
    Entry {
        name: defect.id(),
        kind: "planted defect".into(),
        about: defect.about().into(),
        facts: vec![
            fact("hunted in", row.map_or("", |r| r.scenario)),
            fact("found by", &listed(row.iter().flat_map(|r| r.expected.iter().map(|e| (*e).to_string())))),
            fact("hunt it", &format!("logquake planted {}", defect.id())),
        ],
    }
}

fn setups(scenario: &Scenario) -> Vec<Setup> {
    let draw = |s| Seed::new(s).split(scenario.name, 0).split("setup", 0).draw();
    (0..SEEDS_LOOKED_AT).map(|s| (scenario.setup)(&mut draw(s))).collect()
}

fn promised(setup: &Setup) -> String {
    let contract = &setup.contract;
    let kept =
        if contract.acked_is_kept() { "what is acknowledged is kept" } else { "acknowledged records may be lost" };
    let order = if contract.order_is_kept() { "in order" } else { "retries may overtake" };
    format!("acks={}, flush {}: {kept}, {order}", contract.acks, format!("{:?}", contract.flush).to_lowercase())
}

fn fact(label: &str, text: &str) -> (String, String) {
    (label.into(), text.into())
}

fn listed(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_listed_can_be_explained() {
        for name in super::super::catalogue::names() {
            let entries = super::entries(&name);
            assert!(!entries.is_empty(), "{name}");
            assert!(entries.iter().all(|e| !e.about.is_empty()), "{name} has no line of its own");
        }
    }
}
