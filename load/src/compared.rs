//! Targets under one case, measured in turns: what each came to, and the ratios of the first to the others.

use crate::outcome::Outcome;
use crate::rounds::Rounds;
use crate::statistics::{Ratio, figure};

/// Targets under one case.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Compared {
    /// The workload and the case.
    pub workload: String,
    /// What each came to, with every round.
    pub sides: Vec<Rounds>,
    /// The first beside each other one.
    pub pairs: Vec<Pair>,
}

/// Two targets, by the same rounds: the first / the other.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Pair {
    /// The first.
    pub first: String,
    /// The other.
    pub other: String,
    /// Of records a second.
    pub rate: Option<Ratio>,
    /// Of the publish latency's 99th percentiles.
    pub p99: Option<Ratio>,
    /// Of processor time for a megabyte.
    pub cpu_per_mb: Option<Ratio>,
    /// Rounds of each that are results.
    pub results: (usize, usize),
}

impl Pair {
    /// Of two targets' rounds, in the order in which they were measured. Only rounds count that are results of both: a generator
    /// compared with itself is no ratio of brokers.
    pub fn of(first: &[Outcome], other: &[Outcome]) -> Self {
        let ratio = |of: fn(&Outcome) -> Option<f64>| {
            let both = first.iter().zip(other).filter(|(a, b)| a.is_result() && b.is_result());
            let rounds = both.filter_map(|(a, b)| Some((of(a)?, of(b)?)));
            Ratio::of(&rounds.collect::<Vec<_>>())
        };
        let name = |all: &[Outcome]| all.first().map_or(String::new(), |outcome| outcome.target.clone());
        let results = |all: &[Outcome]| all.iter().filter(|outcome| outcome.is_result()).count();
        Self {
            first: name(first),
            other: name(other),
            rate: ratio(|o| Some(o.rate)),
            p99: ratio(|o| (o.publish.count > 0).then_some(figure(o.publish.p99))),
            cpu_per_mb: ratio(|o| o.cpu_s_per_gb),
            results: (results(first), results(other)),
        }
    }
}
