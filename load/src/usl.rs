//! The Universal Scalability Law (Gunther 1993): what more partitions or producers bring, and where they begin to cost.
//!
//! X(n) = l n / (1 + s (n - 1) + k n (n - 1)): l is what one gives, s what they wait for each other, k what they tell each
//! other. With k > 0 there is a best n.

/// The law's three numbers.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Usl {
    /// What one gives, in the unit of what was measured.
    pub lambda: f64,
    /// Contention: the share of the work that is done one after the other.
    pub sigma: f64,
    /// Crosstalk: what each two of them cost.
    pub kappa: f64,
}

impl Usl {
    /// The law that is nearest to `(n, throughput)`, by least squares of n / X(n), which is a parabola in n - 1. `None` if there
    /// are fewer than three different n, or the throughput is not positive.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.iter().any(|(n, x)| *n < 1.0 || *x <= 0.0) {
            return None;
        }
        // n / X = a + b m + c m^2 with m = n - 1, weighted by X^2 so that errors count in the unit of X.
        let mut sums = [[0.0; 4]; 3];
        for (n, x) in points {
            let (m, y, weight) = (n - 1.0, n / x, (x * x / n).powi(2));
            let powers = [1.0, m, m * m];
            for (row, of_row) in sums.iter_mut().zip(powers) {
                for (cell, of_column) in row.iter_mut().zip(powers.iter().chain([&y])) {
                    *cell += weight * of_row * of_column;
                }
            }
        }
        let [a, b, c] = solve(sums)?;
        let lambda = 1.0 / a;
        let kappa = (c / a).max(0.0);
        let sigma = (b / a - kappa).max(0.0);
        (lambda.is_finite() && lambda > 0.0).then_some(Self { lambda, sigma, kappa })
    }

    /// What `n` give.
    pub fn at(&self, n: f64) -> f64 {
        self.lambda * n / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }

    /// The n that gives most; `None` if more always give more.
    pub fn best(&self) -> Option<f64> {
        (self.kappa > 0.0).then(|| ((1.0 - self.sigma).max(0.0) / self.kappa).sqrt().max(1.0))
    }
}

/// Solves three equations by Gauss's elimination. `None` if they do not determine the three.
fn solve(mut rows: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for at in 0..3 {
        let pivot = (at..3).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        let scale = rows[at].iter().fold(0.0f64, |most, cell| most.max(cell.abs()));
        if rows[at][at].abs() <= scale * 1e-12 {
            return None;
        }
        let own = rows[at];
        for row in rows.iter_mut().skip(at + 1) {
            let factor = row[at] / own[at];
            row.iter_mut().zip(own).for_each(|(cell, own)| *cell -= factor * own);
        }
    }
    let mut found = [0.0; 3];
    for at in (0..3).rev() {
        let known: f64 = (at + 1..3).map(|of| rows[at][of] * found[of]).sum();
        found[at] = (rows[at][3] - known) / rows[at][at];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

    proptest! {
        #[test]
        fn the_law_is_found_in_what_follows_it(lambda in 1.0..1e6f64, sigma in 0.0..0.5f64, kappa in 0.0..0.01f64) {
            let law = Usl { lambda, sigma, kappa };
            let points: Vec<_> = NS.iter().map(|n| (*n, law.at(*n))).collect();
            let found = Usl::fit(&points).unwrap();
            for n in NS {
                prop_assert!((found.at(n) / law.at(n) - 1.0).abs() < 1e-3, "{found:?} {law:?}");
            }
        }
    }

    #[test]
    fn the_best_number_is_where_the_law_turns() {
        let law = Usl { lambda: 100.0, sigma: 0.05, kappa: 0.001 };
        let best = law.best().unwrap();
        assert!(law.at(best) >= law.at(best * 0.9) && law.at(best) >= law.at(best * 1.1), "{best}");
        assert_eq!(Usl { kappa: 0.0, ..law }.best(), None);
    }

    #[test]
    fn too_little_is_no_law() {
        assert_eq!(Usl::fit(&[(1.0, 5.0), (2.0, 9.0)]), None);
        assert_eq!(Usl::fit(&[(1.0, 5.0), (2.0, 9.0), (3.0, 0.0)]), None);
    }
}
