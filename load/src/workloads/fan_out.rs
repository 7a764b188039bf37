//! One stream and many groups that each read all of it.

use super::{Case, Workload};
use crate::arrivals::Arrivals;
use crate::spec::{Drive, Reading, Spec};

pub(super) const WORKLOAD: Workload = Workload { name: "fan_out", about: "One stream, read by 1 to 16 groups", cases };

fn cases() -> Vec<Case> {
    let of = |groups| Spec {
        partitions: 4,
        drive: Drive::Open { rate: 2e4, arrivals: Arrivals::Fixed },
        reading: Reading::Tail { groups },
        ..Spec::default()
    };
    [1, 4, 16].map(|groups| Case::new(groups.to_string(), of(groups))).into()
}
