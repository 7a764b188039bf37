//! Brokers are killed and frozen under load, and others crowd their disk: how long nothing is acknowledged, and what is lost.

use broker::config::FlushPolicy;

use super::{Case, Workload};
use crate::arrivals::Arrivals;
use crate::events::{Event, What};
use crate::spec::{Drive, Keys, Reading, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "under_faults", about: "Brokers are killed, frozen and crowded under load", cases };

fn cases() -> Vec<Case> {
    // Keys spread records so evenly that each partition has one in a millisecond.
    let one = |what, lasts_ms, flush| Spec {
        partitions: 6,
        keys: Keys::Even(10_000),
        idempotent: true,
        flush,
        drive: Drive::Open { rate: 6e3, arrivals: Arrivals::Fixed },
        reading: Reading::Tail { groups: 1 },
        measure_ms: 11_000,
        events: [1500, 6500].map(|at_ms| Event::fault(what, 0, at_ms, lasts_ms)).into(),
        ..Spec::default()
    };
    let three = |what, lasts_ms| Spec {
        replication: 3,
        min_insync: 2,
        measure_ms: 32_000,
        events: [0, 1, 2].map(|node| Event::fault(what, node, 2000 + 10_000 * node as u64, lasts_ms)).into(),
        ..one(what, lasts_ms, FlushPolicy::Never)
    };
    vec![
        Case::new("1-broker-kill", one(What::Kill, 1000, FlushPolicy::Never)),
        Case::new("1-broker-freeze", one(What::Freeze, 2000, FlushPolicy::Never)),
        Case::new("1-broker-busy-disk", one(What::BusyDisk, 3000, FlushPolicy::Always)),
        Case::new("3-brokers-kill", three(What::Kill, 5000)),
        Case::new("3-brokers-freeze", three(What::Freeze, 5000)),
    ]
}
