//! Consumers were away and catch up while producers go on: how long that takes, and what it does to the producers.

use super::{Case, Workload};
use crate::arrivals::Arrivals;
use crate::spec::{Drive, Reading, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "backlog", about: "Consumers come back to a backlog while producers go on", cases };

fn cases() -> Vec<Case> {
    let of = |record_bytes, rate, megabytes, groups| Spec {
        record_bytes,
        partitions: 4,
        drive: Drive::Open { rate, arrivals: Arrivals::Fixed },
        reading: Reading::Backlog { groups, megabytes, drain_percent: 100 },
        ..Spec::default()
    };
    vec![
        Case::new("1KiB", of(1024, 2e4, 2000, 1)),
        Case::new("100B", of(100, 1e5, 500, 1)),
        Case::new("4-groups", of(1024, 2e4, 500, 4)),
    ]
}
