//! One record at a time: what a round trip takes.

use super::{Case, Workload};
use crate::spec::{Drive, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "one_in_flight", about: "One record at a time: what a round trip takes", cases };

fn cases() -> Vec<Case> {
    let of = |record_bytes| Spec {
        record_bytes,
        linger_us: 0,
        requests_in_flight: 1,
        drive: Drive::Closed { in_flight: 1 },
        ..Spec::default()
    };
    vec![Case::new("100B", of(100)), Case::new("1KiB", of(1024))]
}
