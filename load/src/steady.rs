//! When a run has settled: a cold start is not measured, and one that never settles says so.

use crate::statistics::figure;

/// Windows that must agree.
const WINDOWS: usize = 5;
/// How far a window's rate may be from their mean.
const RATE: f64 = 0.05;
/// How far a window's median latency may be from theirs, and how many microseconds it may be in any case.
const LATENCY: (f64, f64) = (0.2, 30.0);

/// What happened in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// When it began, in milliseconds since the generator's clock did: before it connected.
    pub at_ms: u64,
    /// Records acknowledged.
    pub records: u64,
    /// Median latency, in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// Records sent that the slowest group has not read.
    pub lag: u64,
}

/// Whether the last windows agree in rate and in latency: single ones, or so many together, after which the load repeats itself.
/// Where records are few their number may vary as chance has it
/// (three standard deviations of a Poisson count).
pub fn is_steady(windows: &[Window], period: usize) -> bool {
    let periods: Vec<Window> = windows.rchunks_exact(period.max(1)).map(together).rev().collect();
    let windows = &periods[..];
    let Some(last) = windows.len().checked_sub(WINDOWS).map(|from| &windows[from..]) else { return false };
    let mean = |of: fn(&Window) -> u64| last.iter().map(|w| figure(of(w))).sum::<f64>() / figure(WINDOWS as u64);
    let (records, latency) = (mean(|w| w.records), mean(|w| w.p50_us));
    let chance = (RATE * records).max(3.0 * records.sqrt());
    let slack = (LATENCY.0 * latency).max(LATENCY.1);
    let agrees =
        |w: &Window| (figure(w.records) - records).abs() <= chance && (figure(w.p50_us) - latency).abs() <= slack;
    records > 0.0 && last.iter().all(agrees)
}

/// Windows as one: their records, and the mean of their medians.
fn together(windows: &[Window]) -> Window {
    let sum = |of: fn(&Window) -> u64| windows.iter().map(of).sum::<u64>();
    let p50_us = sum(|window| window.p50_us) / windows.len().max(1) as u64;
    Window { records: sum(|window| window.records), p50_us, ..windows[0] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(all: &[(u64, u64)]) -> Vec<Window> {
        all.iter().map(|(records, p50_us)| Window { records: *records, p50_us: *p50_us, ..Window::default() }).collect()
    }

    #[test]
    fn a_start_is_not_steady_and_a_level_run_is() {
        let rising =
            windows(&[(1000, 900), (20_000, 500), (60_000, 300), (90_000, 200), (98_000, 200), (100_000, 200)]);
        assert!(!is_steady(&rising, 1));
        let mut level = rising;
        level.extend(windows(&[(101_000, 210), (99_500, 190), (100_200, 205), (98_900, 200)]));
        assert!(is_steady(&level, 1));
        assert!(!is_steady(&windows(&[(100_000, 200); 4]), 1), "too few");
    }

    #[test]
    fn latency_that_grows_is_not_steady_at_whatever_rate() {
        let growing: Vec<_> = (1..=8).map(|n| (100_000, n * 10_000)).collect();
        assert!(!is_steady(&windows(&growing), 1));
    }

    #[test]
    fn a_load_that_repeats_itself_is_steady_by_its_periods() {
        let bursts: Vec<_> = (0..13).map(|n| if n % 2 == 0 { (14_700, 900) } else { (5300, 200) }).collect();
        assert!(!is_steady(&windows(&bursts), 1) && is_steady(&windows(&bursts), 2));
        assert!(!is_steady(&windows(&bursts[..9]), 2), "four periods and a half");
    }

    #[test]
    fn few_records_vary_as_chance_has_it() {
        assert!(is_steady(&windows(&[(50, 100), (61, 110), (43, 95), (55, 100), (47, 104)]), 1));
        assert!(!is_steady(&windows(&[(50_000, 100), (61_000, 110), (43_000, 95), (55_000, 100), (47_000, 104)]), 1));
        assert!(!is_steady(&windows(&[(0, 0); 9]), 1), "nothing happens");
    }
}
