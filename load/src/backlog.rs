//! Consumers that were away come back while producers go on: how long until they have caught up, what that does to the
//! producers meanwhile, and how far the plain formula is right.

use std::fmt;

use crate::arrivals::SECOND;
use crate::outcome::{Quantiles, grouped};
use crate::spec::Drive;
use crate::statistics::figure;

/// Records behind that are no backlog, at least.
const NONE: u64 = 1000;
/// What comes in so long is none either, in seconds: a reader that keeps up is as far behind.
const MEANWHILE: f64 = 0.02;
/// So long may a backlog become no smaller, in nanoseconds.
const STILL: u64 = 10 * SECOND;
/// And so long may all of it take, in nanoseconds.
const LONGEST: u64 = 600 * SECOND;

const MS: u64 = SECOND / 1000;

/// A backlog, and how it was worked off.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Backlog {
    /// Seconds in which the stated part of it was written, as fast as it went.
    pub build_s: f64,
    /// When consumers came, in milliseconds, counted as the run's windows are.
    pub from_ms: u64,
    /// When it was over.
    pub to_ms: u64,
    /// Records that were there when consumers came: what came at the asked rate before that is among them.
    pub records: u64,
    /// Seconds until all, or the part asked for, was worked off.
    pub drain_s: f64,
    /// Whether it was; if not, it had not become smaller for ten seconds, or ten minutes were not enough.
    pub drained: bool,
    /// Records a second that the slowest group read meanwhile.
    pub catch_up: f64,
    /// Records a second that were acknowledged meanwhile.
    pub produced: f64,
    /// Records a second at which the first quarter was read.
    pub pace: f64,
    /// Seconds that `X W / (C - W)` predicts: X W the records, C the pace of the first quarter, W the asked rate. None if C is
    /// not above W.
    pub predicted_s: Option<f64>,
    /// The publish latency before consumers came: nothing is read, all else is the same.
    pub before: Quantiles,
    /// The publish latency of what was to be sent while they caught up.
    pub during: Quantiles,
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = grouped(figure(self.records));
        writeln!(f, "backlog      {records} records, built in {:.2} s", self.build_s)?;
        let end = if self.drained { "worked off in" } else { "NOT worked off in" };
        write!(f, "             {end} {:.2} s, {} records/s read", self.drain_s, grouped(self.catch_up))?;
        writeln!(f, " while {}/s came", grouped(self.produced))?;
        let predicted = self.predicted_s.map_or("never".into(), |s| format!("{s:.2} s"));
        writeln!(f, "             the pace of its first quarter, {}/s, predicts {predicted}", grouped(self.pace))?;
        let rows = [("  before", self.before), ("  meanwhile", self.during)];
        rows.into_iter().try_for_each(|(name, quantiles)| writeln!(f, "{}", quantiles.row(name)))
    }
}

/// Watches a backlog become smaller.
pub(crate) struct Drain {
    records: u64,
    asked: f64,
    /// As many behind count as none.
    level: u64,
    /// How long the building took, and when consumers came.
    times: (u64, u64),
    quarter: Option<f64>,
    /// The fewest that were behind, and when.
    least: (u64, u64),
}

impl Drain {
    /// So many records wait; so many percent of them are to be worked off.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fiftieth of a rate that was checked"
    )]
    pub(crate) fn new(records: u64, percent: u8, drive: Drive, times: (u64, u64)) -> Self {
        let asked = if let Drive::Open { rate, .. } = drive { rate } else { 0.0 };
        let left = records * (100 - u64::from(percent.min(100))) / 100;
        let level = left.max(NONE).max((asked * MEANWHILE) as u64);
        Self { records, asked, level, times, quarter: None, least: (u64::MAX, times.1) }
    }

    /// So many are acknowledged and so many read by now. Returns what it came to, once it is over.
    pub(crate) fn step(&mut self, now: u64, acked: u64, read: u64) -> Option<Backlog> {
        let behind = acked.saturating_sub(read);
        let drain_s = figure(now.saturating_sub(self.times.1)) / 1e9;
        let per_second = |records: u64| figure(records) / drain_s.max(1e-9);
        if self.quarter.is_none() && read >= self.records / 4 {
            self.quarter = Some(per_second(read));
        }
        if behind < self.least.0 {
            self.least = (behind, now);
        }
        let drained = behind <= self.level;
        if !drained && now - self.least.1 < STILL && now - self.times.1 < LONGEST {
            return None;
        }
        let pace = self.quarter.unwrap_or_else(|| per_second(read));
        let gains = pace - self.asked;
        let predicted = figure(self.records.saturating_sub(self.level)) / gains;
        Some(Backlog {
            build_s: figure(self.times.0) / 1e9,
            from_ms: self.times.1 / MS,
            to_ms: now / MS,
            records: self.records,
            drain_s,
            drained,
            catch_up: per_second(read),
            produced: per_second(acked.saturating_sub(self.records)),
            pace,
            predicted_s: (gains > 0.0).then_some(predicted),
            ..Backlog::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::Arrivals;

    /// Watches one of 100,000 records, at 1,000 more a second, that is read at a pace which depends on what was read.
    fn watched(percent: u8, pace: fn(u64) -> u64) -> (Backlog, u64) {
        let drive = Drive::Open { rate: 1000.0, arrivals: Arrivals::Fixed };
        let mut drain = Drain::new(100_000, percent, drive, (5 * SECOND, SECOND));
        let mut read = 0;
        for ms in 1.. {
            read += pace(read);
            let acked = 100_000 + ms;
            if let Some(done) = drain.step(SECOND + ms * MS, acked, read.min(acked)) {
                return (done, ms);
            }
        }
        unreachable!()
    }

    #[test]
    fn a_pace_that_holds_makes_the_prediction_right() {
        // 11,000 a second read, 1,000 a second come, 1,000 left are none: 9.9 s.
        let (done, ms) = watched(100, |_| 11);
        assert_eq!((ms, done.drained, done.records), (9900, true, 100_000));
        assert!((done.predicted_s.unwrap() - 9.9).abs() < 0.01 && (done.drain_s - 9.9).abs() < 1e-9, "{done:?}");
        assert!((done.catch_up - 11_000.0).abs() < 1.0 && (done.produced - 1000.0).abs() < 1.0 && done.build_s == 5.0);
        assert_eq!(watched(50, |_| 11).1, 5000, "half of it");
    }

    #[test]
    fn a_pace_that_falls_makes_it_longer_than_predicted() {
        let (done, _) = watched(100, |read| if read < 30_000 { 11 } else { 6 });
        assert!(done.drained && done.drain_s > done.predicted_s.unwrap() * 1.5, "{done:?}");
    }

    #[test]
    fn one_that_grows_is_given_up() {
        let (done, ms) = watched(100, |_| 1);
        assert_eq!((done.drained, done.predicted_s, ms), (false, None, 10_001));
    }
}
