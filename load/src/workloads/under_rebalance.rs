//! Consumers of one group come and go under load: for how long partitions are not read, and how much is read again.

use super::{Case, Workload};
use crate::arrivals::Arrivals;
use crate::events::{Event, What};
use crate::spec::{Drive, Keys, Protocol, Reading, Spec};

pub(super) const WORKLOAD: Workload = Workload {
    name: "under_rebalance",
    about: "Consumers of a group join, leave and vanish under load, by each protocol",
    cases,
};

fn cases() -> Vec<Case> {
    let events = [(What::Join, 2000), (What::Leave, 9000), (What::Vanish, 16_000)];
    let of = |protocol| Spec {
        partitions: 12,
        keys: Keys::Even(10_000),
        drive: Drive::Open { rate: 6e3, arrivals: Arrivals::Fixed },
        reading: Reading::Group { protocol },
        consumers: 3,
        measure_ms: 28_000,
        events: events.map(|(what, at_ms)| Event::group(what, at_ms)).into(),
        ..Spec::default()
    };
    vec![
        Case::new("eager", of(Protocol::Eager)),
        Case::new("cooperative", of(Protocol::Cooperative)),
        Case::new("consumer", of(Protocol::Consumer)),
    ]
}
