//! The smallest part of a plan that still shows the same finding.
//!
//! Delta debugging (Zeller's ddmin) over the keep-mask. "The same" means the same invariant, not merely "fails". It works
//! because every strike draws from a branch of its own: taking one out leaves the others as they were.

use crate::report::RunReport;
use crate::run::RunSpec;
use crate::scenario::Scenario;
use crate::verdict::Severity;

/// Runs at most this many times while shrinking.
pub const MOST_RUNS: usize = 200;

/// Pairs are tried among so many strikes at most.
const MOST_PAIRED: usize = 10;

/// A finding's smallest plan.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The strikes that are needed, by id.
    pub keep: Vec<u32>,
    /// The report of the smallest run.
    pub report: RunReport,
    /// How many runs it took.
    pub runs: usize,
}

/// Shrinks `spec` while a violation of `invariant` remains. `None` if the whole plan does not show one.
///
/// `play` runs a plan. A smaller plan is another run, and may hang where the whole one does not: whoever watches runs
/// watches them here.
pub fn shrink(spec: &RunSpec, invariant: &str, play: &dyn Fn(&RunSpec) -> RunReport) -> Option<Shrunk> {
    let whole = play(spec);
    if !shows(&whole, invariant) {
        return None;
    }
    let all: Vec<u32> = whole.strikes.iter().map(|s| s.strike.id).collect();
    let mut best = whole;
    let mut runs = 1;
    let mut fails = |keep: &[u32]| {
        if runs >= MOST_RUNS {
            return false;
        }
        runs += 1;
        let report = play(&RunSpec { keep: Some(keep.to_vec()), ..spec.clone() });
        let same = shows(&report, invariant);
        if same {
            best = report;
        }
        same
    };
    let keep = ddmin(all, &mut fails);
    let keep = without_pairs(keep, &mut fails);
    if best.keep.as_ref() != Some(&keep) {
        best = play(&RunSpec { keep: Some(keep.clone()), ..spec.clone() });
        runs += 1;
    }
    Some(Shrunk { keep, report: best, runs })
}

impl Shrunk {
    /// How many strikes of the smallest plan were drawn from a menu. The steps of a recipe are a sequence by design.
    pub fn drawn(&self, scenario: &'static Scenario) -> usize {
        let steps = RunSpec::new(scenario, self.report.seed).setup().recipe.len();
        self.keep.iter().filter(|id| **id as usize >= steps).count()
    }
}

/// Whether `report` holds a violation of `invariant`.
pub fn shows(report: &RunReport, invariant: &str) -> bool {
    report.findings.iter().any(|f| f.severity == Severity::Violation && f.invariant == invariant)
}

/// A subset of `items` for which `fails` holds and from which no single element can be taken. `fails(items)` must hold.
pub fn ddmin<T: Clone + PartialEq>(items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    if items.is_empty() || fails(&[]) {
        return Vec::new();
    }
    let mut now = items;
    let mut parts = 2;
    while now.len() > 1 {
        let size = now.len().div_ceil(parts);
        let found = (0..now.len().div_ceil(size)).find_map(|n| {
            let (from, to) = (n * size, ((n + 1) * size).min(now.len()));
            let rest: Vec<T> = now[..from].iter().chain(&now[to..]).cloned().collect();
            (rest.len() < now.len() && fails(&rest)).then_some(rest)
        });
        match found {
            Some(rest) => {
                now = rest;
                parts = parts.saturating_sub(1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(now.len()),
        }
    }
    now
}

/// As `items`, of which no two can be taken either. One strike may do harm only because another is in its way: a plan is
/// not the weaker the fewer strikes it has, so that no single one can be spared and two can.
pub fn without_pairs<T: Clone + PartialEq>(items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut now = items;
    let smaller = |now: &[T], fails: &mut dyn FnMut(&[T]) -> bool| {
        let pairs = (0..now.len()).flat_map(|a| (a + 1..now.len()).map(move |b| (a, b)));
        let mut rests = pairs.map(|(a, b)| {
            let left = now.iter().enumerate().filter(|(n, _)| *n != a && *n != b);
            left.map(|(_, item)| item.clone()).collect::<Vec<T>>()
        });
        rests.find(|rest| fails(rest))
    };
    while now.len() > 2 && now.len() <= MOST_PAIRED {
        let Some(rest) = smaller(&now, &mut fails) else { break };
        now = ddmin(rest, &mut fails);
    }
    now
}

#[cfg(test)]
mod tests {
    use super::{ddmin, without_pairs};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_exactly_what_is_needed(n in 1usize..40, needed in prop::collection::btree_set(0usize..40, 0..5)) {
            let needed: Vec<usize> = needed.into_iter().filter(|x| *x < n).collect();
            let fails = |kept: &[usize]| needed.iter().all(|x| kept.contains(x));
            prop_assert_eq!(ddmin((0..n).collect(), fails), needed);
        }
    }

    #[test]
    fn no_element_of_the_result_can_be_spared() {
        // Two alternatives: {1, 2} or {5}.
        let fails = |k: &[i32]| (k.contains(&1) && k.contains(&2)) || k.contains(&5);
        let least = ddmin(vec![0, 1, 2, 3, 4, 5, 6], fails);
        assert!(fails(&least));
        for x in &least {
            let rest: Vec<i32> = least.iter().filter(|y| *y != x).copied().collect();
            assert!(!fails(&rest));
        }
    }

    #[test]
    fn two_that_stand_in_each_others_way_are_taken_together() {
        // 4 undoes what 3 does, and 3 is harmless beside 4.
        let fails = |k: &[i32]| k.contains(&1) && k.contains(&2) && k.contains(&3) == k.contains(&4);
        let one_by_one = ddmin(vec![1, 2, 3, 4], fails);
        assert!(fails(&without_pairs(vec![1, 2, 3, 4], fails)));
        assert_eq!(without_pairs(vec![1, 2, 3, 4], fails), [1, 2]);
        assert_eq!(without_pairs(one_by_one, fails), [1, 2]);
    }
}
