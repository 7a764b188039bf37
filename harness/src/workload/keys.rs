//! Which keys records have: drawn evenly, or by Zipf's law, as a few users make most of the traffic; and salted, which spreads
//! one key over several partitions at the price of its order.

use crate::scenario::Load;
use crate::seed::Draw;

/// Keys drawn from; few, so that each has many records.
const KEYS: u64 = 64;
/// The weight of the most frequent key.
const WEIGHT: f64 = 1e9;

/// How keys are drawn.
pub(super) struct Keys {
    /// Of the first so many keys together; none if all are alike.
    weights: Vec<u64>,
    salts: u64,
}

impl Keys {
    /// As the load says.
    pub fn of(load: &Load) -> Self {
        let exponent = load.zipf_percent as f64 / 100.0;
        let weight = |key: u64| (WEIGHT / (key as f64).powf(exponent)) as u64;
        let sums = (1..=KEYS).scan(0, |sum, key| {
            *sum += weight(key);
            Some(*sum)
        });
        Self { weights: if load.zipf_percent == 0 { Vec::new() } else { sums.collect() }, salts: load.salts }
    }

    /// The next one.
    pub fn draw(&self, draw: &mut Draw) -> String {
        let key = match self.weights.last() {
            None => draw.below(KEYS),
            Some(all) => {
                let at = draw.below(*all);
                self.weights.partition_point(|sum| *sum <= at) as u64
            }
        };
        match self.salts {
            0 | 1 => format!("key-{key}"),
            salts => format!("key-{key}-{}", draw.below(salts)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::seed::Seed;

    fn drawn(zipf_percent: u64, salts: u64) -> BTreeMap<String, u64> {
        let (keys, mut draw) =
            (Keys::of(&Load { zipf_percent, salts, ..Load::default() }), Seed::new(1).split("k", 0).draw());
        let mut counts = BTreeMap::new();
        (0..20_000).for_each(|_| *counts.entry(keys.draw(&mut draw)).or_insert(0) += 1);
        counts
    }

    #[test]
    fn frequencies_fall_as_zipf_has_them() {
        let even = drawn(0, 0);
        assert!(even.len() == 64 && even.values().all(|count| (200..450).contains(count)), "{even:?}");
        let zipf = drawn(100, 0);
        // Of 64 keys the first has a share of 1 / (1 + 1/2 + ... + 1/64) = 0.211, the second half of that.
        assert!((4000..4450).contains(&zipf["key-0"]) && (1950..2300).contains(&zipf["key-1"]), "{zipf:?}");
        assert_eq!(zipf.len(), 64);
    }

    #[test]
    fn a_salted_key_is_several() {
        let salted = drawn(100, 4);
        let first: Vec<_> = (0..4).map(|salt| salted[&format!("key-0-{salt}")]).collect();
        assert!(first.iter().all(|count| (950..1200).contains(count)), "{first:?}");
        assert!(!salted.contains_key("key-0"));
    }
}
