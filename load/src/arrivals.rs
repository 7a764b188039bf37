//! When records are meant to be sent. An open loop keeps to it whatever the broker does, so that what waits because the
//! broker is slow is seen to wait.

use harness::seed::Draw;

use crate::statistics::figure;

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// How records come in an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly.
    Fixed,
    /// As of many independent senders (a Poisson process).
    Poisson,
    /// Evenly, but for a while in each period at a multiple of the average rate; the rest of the period makes up for it.
    Bursts {
        /// How many times the average.
        factor: u32,
        /// How long each lasts, in milliseconds; at most 1 / `factor` of the period.
        length_ms: u64,
        /// The period, in milliseconds.
        every_ms: u64,
    },
}

/// The intended times of one producer's records, in order.
pub struct Schedule {
    arrivals: Arrivals,
    rate: f64,
    count: u64,
    /// Where the Poisson process stands, in nanoseconds.
    at: f64,
    draw: Draw,
}

impl Schedule {
    /// Records at so many a second on average.
    pub fn new(arrivals: Arrivals, rate: f64, draw: Draw) -> Self {
        Self { arrivals, rate, count: 0, at: 0.0, draw }
    }

    /// How many records are due in so many nanoseconds, on average.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, never negative")]
    pub fn mean(&self, ns: u64) -> u64 {
        (self.rate * figure(ns) / 1e9) as u64
    }

    /// When the next record is meant to be sent, in nanoseconds since the schedule began. Each is reckoned from the start, not
    /// from the one before, so that no error adds up.
    pub fn next_ns(&mut self) -> u64 {
        let n = self.count;
        self.count += 1;
        match self.arrivals {
            Arrivals::Fixed => nanoseconds(figure(n) / self.rate),
            Arrivals::Poisson => {
                let uniform = (figure(self.draw.number() >> 11) + 0.5) / figure(1 << 53);
                self.at += -uniform.ln() / self.rate;
                nanoseconds(self.at)
            }
            Arrivals::Bursts { factor, length_ms, every_ms } => {
                let (length, period) = (figure(length_ms) / 1e3, figure(every_ms.max(1)) / 1e3);
                let each = (self.rate * period).max(1.0);
                let within = (f64::from(factor) * self.rate * length).min(each);
                let (periods, rest) = ((figure(n) / each).floor(), figure(n) % each);
                let offset = if rest < within {
                    rest / within * length
                } else {
                    length + (rest - within) / (each - within) * (period - length)
                };
                nanoseconds(periods * period + offset)
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times since the start, never negative")]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use harness::seed::Seed;
    use proptest::prelude::*;

    use super::*;

    fn times(arrivals: Arrivals, rate: f64, seed: u64, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::new(arrivals, rate, Seed::new(seed).draw());
        (0..count).map(|_| schedule.next_ns()).collect()
    }

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        prop_oneof![
            Just(Arrivals::Fixed),
            Just(Arrivals::Poisson),
            (1..20u32, 1..50u64, 1..4u64).prop_map(|(factor, length_ms, more)| Arrivals::Bursts {
                factor,
                length_ms,
                every_ms: length_ms * u64::from(factor) * more
            }),
        ]
    }

    proptest! {
        #[test]
        fn records_are_in_order_and_keep_the_rate(arrivals in any_arrivals(), rate in 100.0..1e6f64, seed: u64) {
            let all = times(arrivals, rate, seed, 20_000);
            prop_assert!(all.is_sorted());
            let took = figure(*all.last().unwrap()) / 1e9;
            // A burst's period may have begun and not ended; of a Poisson process, five standard deviations.
            let slack = match arrivals {
                Arrivals::Fixed => 1.0 / rate,
                Arrivals::Poisson => 5.0 * 20_000f64.sqrt() / rate,
                Arrivals::Bursts { every_ms, .. } => figure(every_ms) / 1e3 + 1.0 / rate,
            };
            prop_assert!((took - 20_000.0 / rate).abs() <= slack + 1e-6, "{took} s for {} s", 20_000.0 / rate);
        }
    }

    #[test]
    fn a_poisson_process_has_the_variance_of_one() {
        // Of counts in equal windows the variance is the mean; evenly spaced ones would have none.
        let mut counts = vec![0u32; 1000];
        for at in times(Arrivals::Poisson, 1e5, 3, 100_000) {
            if let Some(count) = counts.get_mut(usize::try_from(at / 1_000_000).unwrap()) {
                *count += 1;
            }
        }
        let mean = counts.iter().map(|n| f64::from(*n)).sum::<f64>() / 1000.0;
        let variance = counts.iter().map(|n| (f64::from(*n) - mean).powi(2)).sum::<f64>() / 1000.0;
        assert!((0.85..1.15).contains(&(variance / mean)), "{variance} {mean}");
    }

    #[test]
    fn a_burst_is_so_many_times_the_average() {
        let bursts = Arrivals::Bursts { factor: 10, length_ms: 50, every_ms: 1000 };
        let all = times(bursts, 10_000.0, 0, 30_000);
        let within = |from: u64, to: u64| all.iter().filter(|at| (from..to).contains(&(**at / 1_000_000))).count();
        assert_eq!([within(0, 50), within(1000, 1050), within(0, 1000)], [5000, 5000, 10_000]);
    }
}
