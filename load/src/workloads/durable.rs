//! Durable before it is acknowledged: how many records share a flush of the device.

use broker::config::FlushPolicy;

use super::{Case, Workload};
use crate::spec::{Drive, Spec};

pub(super) const WORKLOAD: Workload = Workload {
    name: "durable",
    about: "A flush of the device before every acknowledgement, shared by what waits",
    cases,
};

fn cases() -> Vec<Case> {
    let base = Spec { flush: FlushPolicy::Always, linger_us: 0, ..Spec::default() };
    let producers =
        |producers| Spec { producers, requests_in_flight: 1, drive: Drive::Closed { in_flight: 1 }, ..base.clone() };
    let in_flight = |in_flight| Spec { drive: Drive::Closed { in_flight }, ..base.clone() };
    vec![
        Case::new("1-producer", producers(1)),
        Case::new("16-producers", producers(16)),
        Case::new("64-producers", producers(64)),
        Case::new("64-in-flight", in_flight(64)),
        Case::new("batches", Spec { linger_us: 1000, ..base.clone() }),
    ]
}
