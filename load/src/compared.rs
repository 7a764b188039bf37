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
    /// Of records a second where that of results is not known: of rounds in which the other came to a result and the first could
    /// do at least what it did, since its generator was the limit. None that is not above 1: it would say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Ratio>,
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
        let among = |counts: fn(&Outcome) -> bool, of: fn(&Outcome) -> Option<f64>| {
            let both = first.iter().zip(other).filter(|(a, b)| counts(a) && b.is_result());
            let rounds = both.filter_map(|(a, b)| Some((of(a)?, of(b)?)));
            Ratio::of(&rounds.collect::<Vec<_>>())
        };
        let ratio = |of| among(Outcome::is_result, of);
        let rate = ratio(|o| Some(o.rate));
        let at_least =
            among(Outcome::is_at_least, |o| Some(o.rate)).filter(|least| rate.is_none() && least.median > 1.0);
        let name = |all: &[Outcome]| all.first().map_or(String::new(), |outcome| outcome.target.clone());
        let results = |all: &[Outcome]| all.iter().filter(|outcome| outcome.is_result()).count();
        Self {
            first: name(first),
            other: name(other),
            rate,
            at_least,
            p99: ratio(|o| (o.publish.count > 0).then_some(figure(o.publish.p99))),
            cpu_per_mb: ratio(|o| o.cpu_s_per_gb),
            results: (results(first), results(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Used;
    use crate::outcome::{Checks, Figures, Flag};
    use crate::spec::Spec;

    fn outcome(counted: u64, flags: &[Flag]) -> Outcome {
        let figures = Figures { counted, seconds: 1.0, checks: Checks::default(), pages_us: [None; 2] };
        let outcome = Outcome::new(&Spec::default(), "a test", Used::default(), Vec::new(), figures);
        Outcome { flags: flags.to_vec(), ..outcome }
    }

    #[test]
    fn what_the_generator_held_back_is_ahead_by_at_least_so_much() {
        let of = |first: &[Flag], other: &[Flag], counted| {
            let pair = Pair::of(&[outcome(3000, first)], &[outcome(counted, other)]);
            (pair.rate.map(|ratio| ratio.median), pair.at_least.map(|ratio| ratio.median))
        };
        let held = [Flag::Noise(0.5), Flag::GeneratorSaturated(0.99)];
        assert_eq!(of(&[], &[], 1000), (Some(3.0), None));
        assert_eq!(of(&held, &[], 1000), (None, Some(3.0)));
        // It may be ahead all the same.
        assert_eq!(of(&held, &[], 4000), (None, None));
        // The other could do more than it did, or what the first did is worth nothing.
        assert_eq!(of(&held, &held, 1000), (None, None));
        assert_eq!(of(&[held[1], Flag::Unsteady], &[], 1000), (None, None));
    }
}
