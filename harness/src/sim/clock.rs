//! A host's clocks: world time bent by an offset and a rate.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::episodes::Episodes;
use crate::seed::Draw;

/// What every wall clock shows when a run begins: 2026-01-01T00:00:00Z, in milliseconds since the Unix epoch.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

/// One host's clocks. They go on while the host is down.
#[derive(Default)]
pub(crate) struct HostClock {
    /// What the monotonic clock showed when the run began, in nanoseconds.
    origin: u64,
    offset_ms: Cell<i64>,
    /// Parts per million that each drift adds.
    drifts: RefCell<Episodes<i64>>,
    /// What they add up to.
    ppm: Cell<i64>,
    /// World time and monotonic time when the rate last changed.
    base: Cell<(u64, u64)>,
}

/// Since when a host may have been up when the run begins, at most, in nanoseconds: what one host's monotonic clock shows
/// means nothing to another.
const UP_AT_MOST: u64 = 86_400_000_000_000;
/// How far a wall clock that is kept right may be off, in milliseconds.
const OFF_MS: i64 = 50;
/// How fast or slow an ordinary crystal may run, in parts per million.
const CRYSTAL_PPM: i64 = 50;

impl HostClock {
    /// The clocks of some host: no two agree.
    pub(crate) fn some(draw: &mut Draw) -> Self {
        let mut within = |most: i64| i64::try_from(draw.below(most.unsigned_abs() * 2 + 1)).unwrap_or(0) - most;
        let (offset, ppm) = (within(OFF_MS), within(CRYSTAL_PPM));
        let origin = draw.below(UP_AT_MOST);
        let clock = Self { origin, base: Cell::new((0, origin)), ..Self::default() };
        clock.jump(offset);
        clock.drift(0, ppm);
        clock
    }

    /// The monotonic clock at world time `now`, in nanoseconds.
    pub(crate) fn mono(&self, now: u64) -> u64 {
        let (world, mono) = self.base.get();
        let passed = now.saturating_sub(world);
        if self.ppm.get() == 0 {
            return mono + passed;
        }
        let bent = i128::from(passed) * i128::from(1_000_000 + self.ppm.get()) / 1_000_000;
        mono + u64::try_from(bent).unwrap_or(0)
    }

    /// The wall clock at world time `now`, in milliseconds since the Unix epoch.
    pub(crate) fn wall(&self, now: u64) -> i64 {
        let passed_ms = i64::try_from((self.mono(now) - self.origin) / 1_000_000).unwrap_or(i64::MAX);
        EPOCH_MS + self.offset_ms.get() + passed_ms
    }

    /// How much world time passes, in nanoseconds, while this clock shows `d`.
    pub(crate) fn world_time(&self, d: Duration) -> u64 {
        let ns = u64::try_from(d.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        if self.ppm.get() == 0 {
            return ns;
        }
        // Rounded up: after a sleep of `d` this clock must show at least `d` more.
        let bent = (i128::from(ns) * 1_000_000).div_euclid(i128::from(1_000_000 + self.ppm.get())) + 1;
        u64::try_from(bent).unwrap_or(u64::MAX / 4)
    }

    /// Moves the wall clock by `ms`.
    pub(crate) fn jump(&self, ms: i64) {
        self.offset_ms.set(self.offset_ms.get().saturating_add(ms));
    }

    /// Both clocks run at `1 + ppm / 1e6` from world time `now` on, until the number returned ends it. Drifts add up.
    pub(crate) fn drift(&self, now: u64, ppm: i64) -> u64 {
        let number = self.drifts.borrow_mut().begin(ppm);
        self.rate(now);
        number
    }

    /// One drift ends at world time `now`.
    pub(crate) fn steady(&self, now: u64, number: u64) {
        self.drifts.borrow_mut().end(number);
        self.rate(now);
    }

    fn rate(&self, now: u64) {
        self.base.set((now, self.mono(now)));
        let sum = self.drifts.borrow().each().fold(0, i64::saturating_add);
        // A clock that stands still or runs backwards is no clock: the monotonic one must move.
        self.ppm.set(sum.clamp(-900_000, 9_000_000));
    }
}

#[cfg(test)]
mod tests {
    use super::{EPOCH_MS, HostClock, UP_AT_MOST};
    use crate::seed::Seed;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn rate_and_jump() {
        let c = HostClock::default();
        assert_eq!((c.mono(5_000_000), c.wall(5_000_000)), (5_000_000, EPOCH_MS + 5));
        c.jump(-250);
        let drift = c.drift(1_000_000_000, 100_000);
        assert_eq!(c.mono(1_000_000_000), 1_000_000_000, "a change of rate is no jump");
        assert_eq!(c.mono(2_000_000_000), 2_100_000_000);
        assert_eq!(c.wall(2_000_000_000), EPOCH_MS + 2_100 - 250);
        let d = c.world_time(Duration::from_millis(110));
        assert!(c.mono(2_000_000_000 + d) - c.mono(2_000_000_000) >= 110_000_000);
        assert!((99_000_000..=101_000_000).contains(&d));
        c.steady(3_000_000_000, drift);
        assert_eq!(c.mono(4_000_000_000) - c.mono(3_000_000_000), 1_000_000_000);
    }

    #[test]
    fn no_two_hosts_agree() {
        let clocks: Vec<_> = (0..40).map(|n| HostClock::some(&mut Seed::new(1).split("clock", n).draw())).collect();
        for c in &clocks {
            assert!((c.wall(0) - EPOCH_MS).abs() <= 50 && c.mono(0) < UP_AT_MOST);
            let second = i64::try_from(c.mono(1_000_000_000) - c.mono(0)).unwrap();
            assert!((second - 1_000_000_000).abs() <= 50_000, "{second}");
        }
        let distinct = |of: &dyn Fn(&HostClock) -> u64| clocks.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(&|c| c.mono(0)), 40);
        assert!(distinct(&|c| c.wall(0).unsigned_abs()) > 20 && distinct(&|c| c.mono(1 << 30) - c.mono(0)) > 20);
    }

    #[test]
    fn a_jump_leaves_the_rate_and_drifts_add_up() {
        let c = HostClock::default();
        let passed = |from: u64| c.mono(from + 1_000_000) - c.mono(from);
        let fast = c.drift(0, 100_000);
        c.jump(5000);
        assert_eq!(passed(0), 1_100_000);
        let slow = c.drift(1_000, -300_000);
        assert_eq!(passed(2_000), 800_000);
        c.jump(-5000);
        c.steady(3_000, fast);
        assert_eq!(passed(4_000), 700_000, "the other goes on");
        c.steady(5_000, slow);
        assert_eq!(passed(6_000), 1_000_000);
        let backwards = c.drift(7_000, -2_000_000);
        assert_eq!(passed(8_000), 100_000, "it must move");
        c.steady(9_000, backwards);
    }
}
