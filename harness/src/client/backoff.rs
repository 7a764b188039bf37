//! How long to wait before trying again: exponential with jitter, as Kafka's clients do (KIP-144, KIP-580).

use std::time::Duration;

/// A rule for waits between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure, before jitter (`retry.backoff.ms`).
    pub first: Duration,
    /// The longest wait, before jitter (`retry.backoff.max.ms`).
    pub most: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 is the first), spread by 20 % either way by the random `drawn`.
    pub fn wait(&self, failures: u32, drawn: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let plain = self.first.saturating_mul(1 << doublings).min(self.most);
        let per_mille = u32::try_from(800 + drawn % 401).expect("at most 1200");
        plain.saturating_mul(per_mille) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_most_and_spreads_by_a_fifth() {
        let rule = Backoff { first: Duration::from_millis(100), most: Duration::from_millis(1000) };
        let middle = |failures| rule.wait(failures, 200).as_millis();
        assert_eq!(
            [middle(1), middle(2), middle(3), middle(4), middle(5), middle(99)],
            [100, 200, 400, 800, 1000, 1000]
        );
        assert_eq!(rule.wait(1, 0).as_millis(), 80);
        assert_eq!(rule.wait(1, 400).as_millis(), 120);
    }
}
