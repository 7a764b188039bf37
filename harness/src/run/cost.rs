//! What a run takes: its events counted, and CPU time of the running thread, from the kernel's own account of it.

use broker::fact::Fact;
use rustc_hash::FxHashMap;

use crate::history::{Call, Event, Kind, Outcome, Reply};
use crate::report::Cost;
use crate::sim::Traffic;

/// Counts what a run takes, while it runs.
#[derive(Default)]
pub(crate) struct Counter {
    /// So far.
    pub(crate) cost: Cost,
    /// When the sends began that have not returned.
    sends: FxHashMap<u64, u64>,
}

impl Counter {
    /// Counts one event.
    pub(crate) fn see(&mut self, event: &Event) {
        let cost = &mut self.cost;
        cost.events += 1;
        match &event.kind {
            Kind::Call { op, call, .. } => {
                cost.calls += 1;
                if matches!(call, Call::Send { .. }) {
                    self.sends.insert(*op, event.at);
                }
            }
            Kind::Return { op, outcome, reply, .. } => {
                let began = self.sends.remove(op);
                if let (Outcome::Ok, Reply::Sent { .. }) = (outcome, reply) {
                    cost.acked += 1;
                    cost.publish_ns += began.map_or(0, |began| event.at.saturating_sub(began));
                }
            }
            Kind::Deliver(_) => cost.delivered += 1,
            Kind::Fact { fact: Fact::Flushed { .. }, .. } => cost.flushes += 1,
            Kind::Fact { fact: Fact::Snapshot { fetched: true, .. }, .. } => cost.snapshots_fetched += 1,
            _ => {}
        }
    }

    /// Takes what the world's doors have counted.
    pub(crate) fn doors(&mut self, traffic: Traffic) {
        let Traffic { requests, network_bytes, disk_writes, disk_bytes, disk_syncs } = traffic;
        self.cost = Cost { requests, network_bytes, disk_writes, disk_bytes, disk_syncs, ..self.cost };
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
