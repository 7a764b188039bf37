//! What a run takes: its events counted, and CPU time of the running thread, from the kernel's own account of it.

use broker::fact::Fact;

use crate::history::{Event, Kind, Outcome, Reply};
use crate::report::Cost;

impl Cost {
    /// Counts one event.
    pub(crate) fn count(&mut self, event: &Event) {
        self.events += 1;
        match &event.kind {
            Kind::Call { .. } => self.calls += 1,
            Kind::Return { outcome: Outcome::Ok, reply: Reply::Sent { .. }, .. } => self.acked += 1,
            Kind::Deliver(_) => self.delivered += 1,
            Kind::Fact { fact: Fact::Flushed { .. }, .. } => self.flushes += 1,
            Kind::Fact { fact: Fact::Snapshot { fetched: true, .. }, .. } => self.snapshots_fetched += 1,
            _ => {}
        }
    }
}

/// CPU time that this thread has used, in nanoseconds (`CLOCK_THREAD_CPUTIME_ID`). It measures the simulator; no run
/// depends on it.
pub(crate) fn thread_cpu_ns() -> u64 {
    nanoseconds(rustix::time::ClockId::ThreadCPUTime)
}

/// CPU time that all threads of this process have used, in nanoseconds (`CLOCK_PROCESS_CPUTIME_ID`).
pub(crate) fn process_cpu_ns() -> u64 {
    nanoseconds(rustix::time::ClockId::ProcessCPUTime)
}

fn nanoseconds(of: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(of);
    let (s, ns) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    s * 1_000_000_000 + ns
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_takes_time() {
        let before = super::thread_cpu_ns();
        let mut x = 1u64;
        for i in 0..100_000u64 {
            x = std::hint::black_box(x.wrapping_mul(i | 1));
        }
        assert!(super::thread_cpu_ns() > before, "{x}");
    }
}
