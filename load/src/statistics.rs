//! Medians, their spread, and what a ratio of two systems is worth when both were measured in turns.

use harness::seed::Seed;

/// Rounds that an interval needs: of n, the true median lies outside their least and most once in 2^(n - 1) times.
const FEWEST: usize = 6;
/// Samples drawn for an interval.
const DRAWS: usize = 2000;

/// The median of what was measured more than once, with the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    /// The median; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of `all`; zeros of nothing.
    pub fn of(all: &[f64]) -> Self {
        let sorted = sorted(all);
        let least_most = sorted.first().zip(sorted.last()).map_or((0.0, 0.0), |(least, most)| (*least, *most));
        Self { median: median(&sorted), least: least_most.0, most: least_most.1 }
    }
}

/// What a ratio shows with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// It is more than 1.
    More,
    /// It is less.
    Less,
    /// It may be 1.
    NoDifference,
    /// Nothing.
    TooFewRounds,
}

/// A ratio, and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The interval's ends; none of fewer than six rounds, whose least and most do not span 95 %.
    pub interval: Option<(f64, f64)>,
}

impl Ratio {
    /// Of rounds in which both were measured, one right after the other: `(a, b)` of each gives a / b. By the percentile
    /// bootstrap (Efron 1979) over the rounds, so that what the machine did to both in a round cancels out. `None` of nothing.
    pub fn of(rounds: &[(f64, f64)]) -> Option<Self> {
        let ratios: Vec<f64> = rounds.iter().filter(|(_, b)| *b > 0.0).map(|(a, b)| a / b).collect();
        if ratios.is_empty() {
            return None;
        }
        // The same numbers give the same interval.
        let mut draw = Seed::new(ratios.len() as u64).split("bootstrap", 0).draw();
        let mut medians: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let again: Vec<f64> = ratios.iter().map(|_| *draw.pick(&ratios)).collect();
                median(&sorted(&again))
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let ends = (medians[DRAWS / 40], medians[DRAWS - 1 - DRAWS / 40]);
        let interval = (ratios.len() >= FEWEST).then_some(ends);
        Some(Self { median: median(&sorted(&ratios)), interval })
    }

    /// What it is worth.
    pub fn shows(&self) -> Shows {
        match self.interval {
            None => Shows::TooFewRounds,
            Some((low, _)) if low > 1.0 => Shows::More,
            Some((_, high)) if high < 1.0 => Shows::Less,
            Some(_) => Shows::NoDifference,
        }
    }
}

/// A count as a figure to reckon with or to read: exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^53, or is read by people")]
pub fn figure(n: u64) -> f64 {
    n as f64
}

fn sorted(all: &[f64]) -> Vec<f64> {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n.is_multiple_of(2) => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of(&[]).median, 0.0);
    }

    #[test]
    fn what_disturbs_both_alike_cancels_out() {
        // The machine is up to ten times slower in some rounds; one system is 1.2 times the other in each.
        let rounds: Vec<_> = (1..=9).map(|n| (120.0 / f64::from(n), 100.0 / f64::from(n))).collect();
        let ratio = Ratio::of(&rounds).unwrap();
        let (low, high) = ratio.interval.unwrap();
        assert!((low - 1.2).abs() < 1e-9 && (high - 1.2).abs() < 1e-9 && ratio.shows() == Shows::More, "{ratio:?}");
        let few = Ratio::of(&rounds[..5]).unwrap();
        assert!(few.interval.is_none() && few.shows() == Shows::TooFewRounds, "{few:?}");
    }

    #[test]
    fn noise_tells_nothing_apart() {
        let rounds = [(1.0, 1.1), (1.2, 1.0), (0.9, 1.0), (1.0, 0.95), (1.1, 1.12), (1.0, 1.02), (1.03, 1.0)];
        assert_eq!(Ratio::of(&rounds).unwrap().shows(), Shows::NoDifference);
        assert_eq!(Ratio::of(&[]), None);
    }

    proptest! {
        #[test]
        fn the_median_ratio_lies_in_its_interval(rounds in prop::collection::vec((0.1..10.0f64, 0.1..10.0f64), 1..20)) {
            let ratio = Ratio::of(&rounds).unwrap();
            let (low, high) = ratio.interval.unwrap_or((ratio.median, ratio.median));
            prop_assert!(low <= ratio.median && ratio.median <= high, "{:?}", ratio);
        }
    }
}
