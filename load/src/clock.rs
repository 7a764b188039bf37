//! The generator's clock, shared by its threads, and waiting on it more exactly than a reactor's timers do.

#![expect(clippy::disallowed_methods, reason = "a live world of its own: nothing here is ever simulated")]

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::arrivals::SECOND;

/// Nanoseconds since the generator began. Copies show the same time, on whatever thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time.
    pub fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Waits until a time, to the reactor's millisecond.
    pub async fn until(self, at: u64) {
        tokio::time::sleep_until(self.0 + Duration::from_nanos(at)).await;
    }
}

/// Waits until a time to some microseconds, without spinning: a generator that spins takes a core from what it measures.
pub enum Pacer {
    /// By a timer of the kernel's.
    Exact(AsyncFd<OwnedFd>),
    /// By the reactor's clock, which a test may have stopped.
    Coarse,
}

impl Pacer {
    /// By a timer of the kernel's; made within a reactor.
    #[expect(deprecated, reason = "its successor is unsafe, for descriptors that others may close; this one is owned")]
    pub fn exact() -> io::Result<Self> {
        let timer =
            rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self::Exact(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Waits until `at` on the clock.
    pub async fn until(&self, clock: Clock, at: u64) -> io::Result<()> {
        let Self::Exact(timer) = self else {
            clock.until(at).await;
            return Ok(());
        };
        let left = at.saturating_sub(clock.now());
        if left == 0 {
            return Ok(());
        }
        let second = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let it_value = Timespec { tv_sec: second(left / SECOND), tv_nsec: second(left % SECOND) };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        loop {
            let mut ready = timer.readable().await?;
            let mut expired = [0; 8];
            if let Ok(read) = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expired)?)) {
                return read.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_when_it_is_over_and_not_before() {
        let clock = Clock::start();
        let pacer = Pacer::exact().unwrap();
        for wait in [0, 1, 50_000, 2_000_000] {
            let until = clock.now() + wait;
            pacer.until(clock, until).await.unwrap();
            assert!(clock.now() >= until);
        }
    }
}
