//! Exact costs: what the same seed costs in messages, bytes, syncs, allocations and virtual time is a number without noise. A
//! change of it is found at once on the busiest machine, and has to be meant: the baseline is a file in the same commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use harness::report::Cost;
use harness::run::{RunSpec, run};
use harness::verdict::Verdict;
use serde::Deserialize;

use super::limits::Hang;
use super::pace::Ratios;
use crate::exit::Exit;
use crate::heap::{Asked, counted};
use crate::{ask, record, screen};

/// The policy that the program was built with.
const BUILT_IN: &str = include_str!("../../gate.toml");
/// Where it lies in the repository.
const FILE: &str = "ci/gate.toml";
/// What the file says of itself.
const HEAD: &str = "\
# What the gate holds the same work to: exact costs of simulated runs. They have no noise; a change is meant or a regression.
# Only allocations are held to 2 in 1,000: a debug build makes a few more than a release.
# After one that is meant: `logquake gate --update-baseline`, and the reason in the commit. To hold another run: add its line
# `[runs.SCENARIO-SEED]` and do the same.
";

/// What is held.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// By run, written `scenario-seed`.
    runs: BTreeMap<String, BTreeMap<String, u64>>,
    /// What speed is held to, beside another build.
    #[serde(default)]
    pub ratios: Ratios,
}

/// What is held of a run, by name.
type Figures = [(&'static str, u64); 9];

/// The figures of a run that are held.
fn figures(cost: &Cost, asked: Asked) -> Figures {
    [
        ("acked", cost.acked),
        ("requests", cost.requests),
        ("network_bytes", cost.network_bytes),
        ("disk_writes", cost.disk_writes),
        ("disk_bytes", cost.disk_bytes),
        ("disk_syncs", cost.disk_syncs),
        ("publish_us", cost.publish_ns / 1000),
        ("allocations", asked.times),
        ("allocated_bytes", asked.bytes),
    ]
}

/// By how much a figure may differ from what it should be.
fn slack(name: &str, should: u64) -> u64 {
    if name.starts_with("alloc") { should / 500 } else { 0 }
}

/// The policy in `file`, or the built-in one.
pub fn policy(file: Option<&Path>) -> anyhow::Result<Policy> {
    let text = match file {
        None => BUILT_IN.to_owned(),
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
    };
    let name = file.map_or(FILE.into(), |path| path.display().to_string());
    toml::from_str(&text).map_err(|e| ask::Usage(format!("{name}: {e}")).into())
}

/// Plays each run of the policy. How it differs, if it does.
pub fn held(policy: &Policy, hang: Hang) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let compared = |(name, should): (&String, &BTreeMap<String, u64>)| {
        let differs = differences(should, &cost(name, hang)?);
        Ok((name.clone(), differs))
    };
    policy.runs.iter().map(compared).collect()
}

fn cost(name: &str, hang: Hang) -> anyhow::Result<Figures> {
    let wrong = || ask::Usage(format!("'{name}' is no run: it is written SCENARIO-SEED, as steady-0"));
    let (scenario, seed) = name.rsplit_once('-').ok_or_else(wrong)?;
    let spec = RunSpec::new(ask::known_scenario(scenario)?, seed.parse().map_err(|_| wrong())?);
    Ok(figures_of(&spec, hang)?.0)
}

/// And the CPU time that the run took.
fn figures_of(spec: &RunSpec, hang: Hang) -> anyhow::Result<(Figures, Duration)> {
    let played = || counted(|| hang.watchdog().over(spec, || run(spec, None)));
    // On a thread of its own: what the runs before it have left in a thread's buffers need not be allocated.
    let played = std::thread::scope(|scope| scope.spawn(played).join());
    let (report, asked) = played.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked));
    // What a run costs that does not keep its promises is nobody's measure.
    anyhow::ensure!(report.verdict == Verdict::Pass, "it does not pass: {}", report.replay);
    Ok((figures(&report.cost, asked), Duration::from_nanos(report.cost.cpu_ns)))
}

/// Whether a planted defect shows in the costs of a run, and the CPU time of the runs with it and without.
pub fn betrayed(spec: &RunSpec, hang: Hang) -> anyhow::Result<(bool, Duration)> {
    let (should, before) = figures_of(&RunSpec { planted: None, ..spec.clone() }, hang)?;
    let should = should.map(|(name, figure)| (name.to_owned(), figure)).into();
    let (is, after) = figures_of(spec, hang)?;
    Ok((differences(&should, &is).is_some(), before + after))
}

/// What is not as it should be, in words.
fn differences(should: &BTreeMap<String, u64>, is: &[(&str, u64)]) -> Option<String> {
    let mut all = Vec::new();
    for (name, is) in is {
        match should.get(*name) {
            Some(should) if should.abs_diff(*is) <= slack(name, *should) => {}
            Some(should) => all.push(format!("{name} {should} -> {is} ({})", change(*should, *is))),
            None => all.push(format!("{name} is not held yet: {is}")),
        }
    }
    let unknown = should.keys().filter(|name| is.iter().all(|(known, _)| known != name));
    all.extend(unknown.map(|name| format!("there is no figure {name}")));
    (!all.is_empty()).then(|| all.join(", "))
}

#[expect(clippy::cast_precision_loss, reason = "figures to read")]
fn change(should: u64, is: u64) -> String {
    if should == 0 { "from nothing".into() } else { format!("{:+.1} %", (is as f64 / should as f64 - 1.0) * 100.0) }
}

/// What a person is told who has changed a cost.
pub fn told(differs: &[String]) -> String {
    let lines: String = differs.iter().map(|line| format!("  {line}\n")).collect();
    format!("{lines}  If that is meant: logquake gate --update-baseline, and the reason in the commit\n")
}

/// Writes what the policy's runs cost now.
pub fn update(file: Option<&Path>, hang: Hang) -> anyhow::Result<Exit> {
    let path = file.unwrap_or(Path::new(FILE));
    let policy = policy(Some(path))?;
    let mut text = HEAD.to_owned() + &policy.ratios.text();
    for (name, should) in &policy.runs {
        let figures = cost(name, hang)?;
        if let Some(differs) = differences(should, &figures) {
            screen::remark(&format!("{name}: {differs}"));
        }
        writeln!(text, "\n[runs.{name}]")?;
        figures.iter().try_for_each(|(name, is)| writeln!(text, "{name} = {is}"))?;
    }
    std::io::Write::write_all(&mut record::create(path)?, text.as_bytes())?;
    let built_in = if file.is_none() { "; this program holds the old ones until it is built again" } else { "" };
    screen::out(&format!("{}: {} runs{built_in}\n", path.display(), policy.runs.len()))?;
    Ok(Exit::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_holds_runs_that_there_are() {
        let policy = policy(None).unwrap();
        assert!(!policy.runs.is_empty());
        for name in policy.runs.keys() {
            let (scenario, seed) = name.rsplit_once('-').unwrap();
            assert!(ask::known_scenario(scenario).is_ok() && seed.parse::<u64>().is_ok(), "{name}");
        }
    }

    #[test]
    fn a_run_that_costs_one_sync_more_is_told() {
        let mut policy = policy(None).unwrap();
        policy.runs.retain(|name, _| name == "steady-0");
        let hang = crate::job::limits::Hang::default();
        assert_eq!(held(&policy, hang).unwrap(), [("steady-0".into(), None)]);
        policy.runs.values_mut().for_each(|figures| *figures.get_mut("disk_syncs").unwrap() -= 1);
        let told = held(&policy, hang).unwrap().remove(0).1.unwrap();
        assert!(told.starts_with("disk_syncs ") && told.contains(" (+0."), "{told}");
    }

    #[test]
    fn what_a_run_costs_is_the_same_whatever_was_run_before() {
        let hang = crate::job::limits::Hang::default();
        let spec = |name, planted| RunSpec { planted, ..RunSpec::new(ask::known_scenario(name).unwrap(), 0) };
        assert!(!betrayed(&spec("power_loss", None), hang).unwrap().0);
        assert!(!betrayed(&spec("steady", None), hang).unwrap().0);
    }

    #[test]
    fn each_difference_is_told() {
        let should = |all: &[(&str, u64)]| all.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let is = [("disk_syncs", 200), ("acked", 5)];
        assert_eq!(differences(&should(&is), &is), None);
        let told = differences(&should(&[("disk_syncs", 100), ("shoes", 2)]), &is).unwrap();
        assert_eq!(told, "disk_syncs 100 -> 200 (+100.0 %), acked is not held yet: 5, there is no figure shoes");
        assert_eq!(change(0, 3), "from nothing");
        let should = should(&[("allocations", 1000)]);
        assert_eq!(differences(&should, &[("allocations", 1002)]), None);
        assert_eq!(differences(&should, &[("allocations", 997)]).unwrap(), "allocations 1000 -> 997 (-0.3 %)");
    }
}
