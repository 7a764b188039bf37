//! Records come at a rate and are read as they come: from when each was meant to be sent until it was read.

use super::{Case, Workload};
use crate::arrivals::Arrivals;
use crate::spec::{Drive, Reading, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "tail_read", about: "An open loop, read as it comes: latency end to end", cases };

fn cases() -> Vec<Case> {
    let of = |rate, arrivals, linger_us| Spec {
        linger_us,
        drive: Drive::Open { rate, arrivals },
        reading: Reading::Tail { groups: 1 },
        ..Spec::default()
    };
    vec![
        Case::new("1k", of(1e3, Arrivals::Poisson, 0)),
        Case::new("10k", of(1e4, Arrivals::Poisson, 0)),
        Case::new("100k", of(1e5, Arrivals::Fixed, 1000)),
    ]
}
