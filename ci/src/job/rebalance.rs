//! Storms of rebalancing under each protocol, on every core.

use std::ops::Range;

use harness::bench::rebalance::{Costs, Row, spec};
use harness::run::run;
use rayon::prelude::*;

use super::progress;

/// Runs every storm with every seed under every protocol. `jobs` runs at a time.
pub fn rebalance(seeds: Range<u64>, jobs: usize) -> anyhow::Result<Costs> {
    let storms = scenarios::storms::ALL;
    let cells: Vec<_> =
        storms.iter().flat_map(|storm| scenarios::storms::PROTOCOLS.iter().map(move |p| (storm, *p))).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
    let bar = progress::bar("rebalance", cells.len() as u64 * (seeds.end - seeds.start));
    let rows = cells.into_iter().map(|((members, storm), assignor)| {
        let one = |seed| {
            let report = run(&spec(storm, assignor, seed), None);
            bar.inc(1);
            report
        };
        let reports: Vec<_> = pool.install(|| seeds.clone().into_par_iter().map(one).collect());
        Row::of(*members, assignor, &reports)
    });
    let costs = Costs(rows.collect());
    bar.finish_and_clear();
    Ok(costs)
}
