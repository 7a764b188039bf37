//! A burst, and what is left of it: how far a group falls behind, how late that makes its records, and when it has caught up.

use super::derivation::Sheet;
use super::given::Point;
use super::input;
use super::load::Load;
use super::partitions::Parallel;
use super::unit::{Amount, Records, RecordsPerSecond, Seconds};

/// For a while more comes in than before, and than can be handled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// What comes in before and after.
    pub base: Amount<RecordsPerSecond>,
    /// What comes in during the burst.
    pub rate: Amount<RecordsPerSecond>,
    /// For how long.
    pub lasts: Amount<Seconds>,
    /// What all consumers of the group handle together.
    pub pace: Amount<RecordsPerSecond>,
}

impl Burst {
    /// How far behind the group is at the end of the burst, which is as far as it gets unless it falls behind without one.
    pub fn peak_lag(&self) -> Amount<Records> {
        self.rate.less(self.pace).by(self.lasts)
    }

    /// How late the last record of the burst is handled.
    pub fn peak_delay(&self) -> Amount<Seconds> {
        self.peak_lag().over(self.pace)
    }

    /// From the end of the burst until there is no backlog any more; without end if the group does not keep up anyway.
    pub fn drain(&self) -> Amount<Seconds> {
        self.peak_lag().over(self.pace.less(self.base))
    }

    /// How far behind the group is so long after the burst began, if it was not behind then.
    pub fn lag_at(&self, since: Amount<Seconds>) -> Amount<Records> {
        let grown = self.rate.less(self.pace).by(Amount::<Seconds>::new(since.get().clamp(0.0, self.lasts.get())));
        let after = since.less(self.lasts);
        grown.plus(self.base.less(self.pace).by(after)).less(self.pace.less(self.base).by(after))
    }
}

/// Writes down what becomes of a peak, and of a time in which nobody consumes.
pub(super) fn backlog(sheet: &mut Sheet, at: &Point, load: &Load, parallel: &Parallel) -> Burst {
    sheet.part("Falling behind and catching up");
    let lasts = at.get(&input::PEAK_LASTS);
    let pace = sheet.line("pace of a group", at.get(&input::CONSUMER_RATE).times(&parallel.consumers));
    let lag = sheet.line("behind after the peak", load.peak.less(&pace).times(&lasts));
    sheet.line("its last record is late by", lag.over(&pace));
    sheet.line("caught up after the peak in", lag.over(&pace.less(&load.average)));
    let backlog = sheet.line("backlog of the outage", load.average.times(&at.get(&input::OUTAGE)));
    sheet.line("worked off at the average in", backlog.over(&pace.less(&load.average)));
    sheet.line("worked off at the peak in", backlog.over(&pace.less(&load.peak)));
    Burst { base: load.average.value(), rate: load.peak.value(), lasts: lasts.value(), pace: pace.value() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn burst(base: f64, rate: f64, lasts: f64, pace: f64) -> Burst {
        Burst { base: Amount::new(base), rate: Amount::new(rate), lasts: Amount::new(lasts), pace: Amount::new(pace) }
    }

    #[test]
    fn a_burst_that_is_worked_off() {
        let burst = burst(100.0, 1000.0, 60.0, 400.0);
        assert_eq!((burst.peak_lag().get(), burst.peak_delay().get(), burst.drain().get()), (36_000.0, 90.0, 120.0));
        let at = [0.0, 30.0, 60.0, 120.0, 180.0, 500.0].map(|t| burst.lag_at(Amount::new(t)).get());
        assert_eq!(at, [0.0, 18_000.0, 36_000.0, 18_000.0, 0.0, 0.0]);
    }

    #[test]
    fn who_keeps_up_has_nothing_to_work_off_and_who_does_not_never_has_done() {
        assert_eq!(burst(100.0, 1000.0, 60.0, 1000.0).drain().get(), 0.0);
        assert_eq!(burst(100.0, 1000.0, 60.0, 100.0).drain().get(), f64::INFINITY);
        assert_eq!(burst(100.0, 1000.0, 60.0, 50.0).lag_at(Amount::new(61.0)).get(), 57_050.0);
    }

    proptest! {
        /// Second by second it is the same.
        #[test]
        fn as_if_simulated(base in 0u32..200, more in 0u32..2000, lasts in 1u32..100, pace in 1u32..400, t in 0u32..300) {
            let one = burst(f64::from(base), f64::from(base + more), f64::from(lasts), f64::from(pace));
            prop_assume!(base <= pace);
            let mut lag = 0i64;
            for second in 0..t {
                let rate = if second < lasts { base + more } else { base };
                lag = (lag + i64::from(rate) - i64::from(pace)).max(0);
            }
            prop_assert_eq!(one.lag_at(Amount::new(f64::from(t))).get(), lag as f64);
        }
    }
}
