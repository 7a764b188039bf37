//! When a run has settled: a cold start is not measured, and one that never settles says so.

/// Windows that must agree.
const WINDOWS: usize = 5;
/// How far a window's rate may be from their mean.
const RATE: f64 = 0.05;
/// How far a window's median latency may be from theirs, and how many microseconds it may be in any case.
const LATENCY: (f64, f64) = (0.2, 30.0);

/// What happened in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// When it began, in milliseconds since the first record.
    pub at_ms: u64,
    /// Records acknowledged; where nothing is sent, records read.
    pub records: u64,
    /// Median latency, in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// Records sent that the slowest group has not read.
    pub lag: u64,
}

/// Whether the last windows agree in rate and in latency. Where records are few their number may vary as chance has it
/// (three standard deviations of a Poisson count).
pub fn is_steady(windows: &[Window]) -> bool {
    let Some(last) = windows.len().checked_sub(WINDOWS).map(|from| &windows[from..]) else { return false };
    let mean = |of: fn(&Window) -> u64| last.iter().map(|w| number(of(w))).sum::<f64>() / number(WINDOWS as u64);
    let (records, latency) = (mean(|w| w.records), mean(|w| w.p50_us));
    let chance = (RATE * records).max(3.0 * records.sqrt());
    let slack = (LATENCY.0 * latency).max(LATENCY.1);
    let agrees =
        |w: &Window| (number(w.records) - records).abs() <= chance && (number(w.p50_us) - latency).abs() <= slack;
    records > 0.0 && last.iter().all(agrees)
}

#[expect(clippy::cast_precision_loss, reason = "figures to compare")]
fn number(n: u64) -> f64 {
    n as f64
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
        assert!(!is_steady(&rising));
        let mut level = rising;
        level.extend(windows(&[(101_000, 210), (99_500, 190), (100_200, 205), (98_900, 200)]));
        assert!(is_steady(&level));
        assert!(!is_steady(&windows(&[(100_000, 200); 4])), "too few");
    }

    #[test]
    fn latency_that_grows_is_not_steady_at_whatever_rate() {
        let growing: Vec<_> = (1..=8).map(|n| (100_000, n * 10_000)).collect();
        assert!(!is_steady(&windows(&growing)));
    }

    #[test]
    fn few_records_vary_as_chance_has_it() {
        assert!(is_steady(&windows(&[(50, 100), (61, 110), (43, 95), (55, 100), (47, 104)])));
        assert!(!is_steady(&windows(&[(50_000, 100), (61_000, 110), (43_000, 95), (55_000, 100), (47_000, 104)])));
        assert!(!is_steady(&windows(&[(0, 0); 9])), "nothing happens");
    }
}
