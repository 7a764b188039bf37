//! Hunts for planted defects, several for each, on every core.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use broker::planted::Defect;
use harness::hunt::{Hunt, Prey, hunt};
use harness::run::{RunSpec, run};
use rayon::prelude::*;
use reports::outcome::Hunted;
use scenarios::planted::{COSTS, ROWS, Row};

use super::limits::Hang;
use super::{costs, progress};
use crate::exit::Exit;
use crate::{ask, interrupt};

/// Seeds between the beginnings of two hunts.
const STRIDE: u64 = 1000;

/// What to hunt, and how long.
pub struct Order {
    /// Which defects; all, if empty.
    pub ids: Vec<Defect>,
    /// CPU time that one hunt may take.
    pub budget: Duration,
    /// Hunts for each defect.
    pub hunts: u64,
    /// Threads.
    pub jobs: usize,
    /// When a run counts as hung.
    pub hang: Hang,
}

/// Hunts them all. Of each defect, the first hunt's finding is shrunk.
pub fn planted(order: &Order) -> anyhow::Result<Vec<Hunted>> {
    let rows: Vec<&Row> = ROWS.iter().filter(|r| order.ids.is_empty() || order.ids.contains(&r.defect)).collect();
    let stop = interrupt::asked();
    let bar = progress::bar("planted", rows.len() as u64 * order.hunts);
    let tasks: Vec<(&Row, u64)> = rows.iter().flat_map(|row| (0..order.hunts).map(move |n| (*row, n))).collect();
    let dog = order.hang.watchdog();
    let play = |spec: &RunSpec| dog.over(spec, || run(spec, None));
    let one = |(row, n): &(&Row, u64)| {
        let scenario = ask::known_scenario(row.scenario)?;
        let prey = Prey { defect: row.defect, scenario, expected: row.expected };
        let hunted = if stop.load(Ordering::Relaxed) {
            None
        } else if row.expected == [COSTS] {
            Some(weigh(&prey, n * STRIDE, order.hang)?)
        } else {
            Some(hunt(&prey, n * STRIDE, order.budget, *n == 0, &play))
        };
        bar.inc(1);
        Ok((row.defect, hunted))
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(order.jobs).build()?;
    let hunts: Vec<anyhow::Result<(Defect, Option<Hunt>)>> =
        pool.install(|| tasks.par_iter().with_max_len(1).map(one).collect());
    bar.finish_and_clear();
    let hunts = hunts.into_iter().collect::<Result<Vec<_>, _>>()?;
    let of = |row: &Row| hunts.iter().filter(|(d, _)| *d == row.defect).filter_map(|(_, h)| h.as_ref()).collect();
    Ok(rows.iter().map(|row| summed(row, order.hunts, of(row))).collect())
}

/// Whether what breaks no promise shows in what a run costs: one run with it, and the same one without.
fn weigh(prey: &Prey, seed: u64, hang: Hang) -> anyhow::Result<Hunt> {
    let spec = RunSpec { planted: Some(prey.defect), ..RunSpec::new(prey.scenario, seed) };
    let (found, cpu) = costs::betrayed(&spec, hang)?;
    Ok(Hunt {
        seeds: 1,
        cpu,
        found_by: found.then(|| COSTS.to_owned()),
        others: Vec::new(),
        report: None,
        shrunk: None,
    })
}

/// What it amounts to.
pub fn exit(hunted: &[Hunted]) -> Exit {
    match hunted {
        _ if interrupt::asked().load(Ordering::Relaxed) => Exit::Incomplete,
        [] => Exit::Incomplete,
        all if all.iter().all(Hunted::complete) => Exit::Pass,
        _ => Exit::Safety,
    }
}

fn summed(row: &Row, hunts: u64, done: Vec<&Hunt>) -> Hunted {
    let found: Vec<&&Hunt> = done.iter().filter(|h| h.found_by.is_some()).collect();
    let mut seeds: Vec<u64> = found.iter().map(|h| h.seeds).collect();
    let mut cpu: Vec<Duration> = found.iter().map(|h| h.cpu).collect();
    seeds.sort_unstable();
    cpu.sort_unstable();
    let shrunk = done.iter().find_map(|h| h.shrunk.as_ref());
    Hunted {
        defect: row.defect.id(),
        scenario: row.scenario.into(),
        expected: row.expected.iter().map(|e| (*e).to_string()).collect(),
        found_by: found.iter().filter_map(|h| h.found_by.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
        others: done.iter().flat_map(|h| h.others.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
        hunts,
        found: found.len() as u64,
        seeds_median: quantile(&seeds, 50),
        cpu_median: quantile(&cpu, 50),
        cpu_p90: quantile(&cpu, 90),
        strikes: shrunk.map(|s| s.keep.len()),
        drawn: shrunk.and_then(|s| Some(s.drawn(ask::known_scenario(row.scenario).ok()?))),
        replay: shrunk.map(|s| s.report.replay.clone()),
    }
}

/// The value that `percent` of the sorted ones do not exceed.
fn quantile<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[1, 2, 3, 4, 5], 50), 3);
        assert_eq!(quantile(&[1, 2, 3, 4, 5], 90), 5);
        assert_eq!(quantile(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 90), 9);
        assert_eq!(quantile(&[7], 50), 7);
        assert_eq!(quantile::<u64>(&[], 50), 0);
    }
}
