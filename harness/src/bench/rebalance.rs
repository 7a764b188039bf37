//! What a rebalance costs, from storms on virtual time: how long partitions are nobody's, which records are handed out again,
//! and what the members ask of their coordinator meanwhile.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::client::group::assign::Assignor;
use crate::report::RunReport;
use crate::run::{Overrides, RunSpec};
use crate::scenario::Scenario;

/// One size of group under one protocol, over all seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `eager`, `cooperative` or `KIP-848`.
    pub protocol: Cow<'static, str>,
    /// Members of the group.
    pub members: u32,
    /// Runs.
    pub runs: u64,
    /// Runs in which a promise was broken: none must be.
    pub failed: u64,
    /// Generations.
    pub generations: u64,
    /// Partitions that came to an owner, another one or the same one anew.
    pub handoffs: u64,
    /// Of the time since each partition had its first owner, per mille in which it had none.
    pub idle_per_mille: f64,
    /// The worst wait of one partition for an owner, in milliseconds.
    pub idle_max_ms: u64,
    /// Records handed out.
    pub delivered: u64,
    /// Of those, handed out before.
    pub again: u64,
    /// Requests to coordinators a generation: joins, syncs, heartbeats, leaves, commits, look-ups of offsets.
    pub requests: f64,
}

/// The run of one storm: the scenario's own draws, under `assignor`.
pub fn spec(storm: &'static Scenario, assignor: Assignor, seed: u64) -> RunSpec {
    let mut spec = RunSpec::new(storm, seed);
    let mut load = spec.setup().load;
    load.groups.iter_mut().for_each(|group| group.assignor = assignor);
    spec.with = Overrides { load: Some(load), ..Overrides::default() };
    spec
}

impl Row {
    /// Sums up the runs of one size under one assignor.
    pub fn of(members: u32, assignor: Assignor, reports: &[RunReport]) -> Row {
        let protocol = match assignor {
            Assignor::Brokers => "KIP-848",
            _ if assignor.is_cooperative() => "cooperative",
            _ => "eager",
        };
        let (mut row, mut idle, mut owned, mut requests) =
            (Row { protocol: protocol.into(), members, ..Row::default() }, 0, 0, 0);
        for report in reports {
            row.runs += 1;
            row.failed += u64::from(report.verdict == crate::verdict::Verdict::Fail);
            requests += report.cost.group_requests;
            for group in &report.groups {
                row.generations += group.rounds;
                row.handoffs += group.handoffs;
                row.idle_max_ms = row.idle_max_ms.max(group.idle_max_ms);
                row.delivered += group.delivered;
                row.again += group.again;
                idle += group.idle_ms;
                owned += group.owned_ms;
            }
        }
        row.idle_per_mille = ratio(idle * 1000, owned);
        row.requests = ratio(requests, row.generations);
        row
    }
}

fn ratio(of: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { of as f64 / by as f64 }
}

/// Every row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Costs(pub Vec<Row>);

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "What a rebalance costs  storms on virtual time, the same seeds for each protocol")?;
        writeln!(
            f,
            " {:<12} {:>7} {:>5} {:>6} {:>11} {:>9} {:>12} {:>12} {:>13} {:>12}",
            "protocol",
            "members",
            "runs",
            "failed",
            "generations",
            "hand-offs",
            "idle of time",
            "longest idle",
            "redelivered",
            "requests/gen"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                " {:<12} {:>7} {:>5} {:>6} {:>11} {:>9} {:>10.2} % {:>9} ms {:>4} ({:.2} %) {:>12.0}",
                row.protocol,
                row.members,
                row.runs,
                row.failed,
                row.generations,
                row.handoffs,
                row.idle_per_mille / 10.0,
                row.idle_max_ms,
                row.again,
                100.0 * ratio(row.again, row.delivered),
                row.requests
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_of_nothing_are_nothing_and_rows_are_told_as_they_are() {
        let row = Row::of(3, Assignor::CooperativeSticky, &[]);
        assert_eq!(row, Row { protocol: "cooperative".into(), members: 3, ..Row::default() });
        assert_eq!(Row::of(3, Assignor::Brokers, &[]).protocol, "KIP-848");
        let told =
            Costs(vec![Row { idle_per_mille: 25.0, delivered: 200, again: 3, requests: 7.4, ..row }]).to_string();
        assert!(told.contains("2.50 %") && told.contains("3 (1.50 %)") && told.trim_end().ends_with('7'), "{told}");
    }
}
