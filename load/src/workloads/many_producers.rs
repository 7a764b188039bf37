//! Many producers, each with little to send: small batches, many requests.

use super::{Case, Workload};
use crate::spec::{Drive, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "many_producers", about: "4 to 64 producers with little to send each", cases };

fn cases() -> Vec<Case> {
    let of = |producers| Spec {
        producers,
        partitions: 4,
        batch_bytes: 16 << 10,
        linger_us: 0,
        drive: Drive::Closed { in_flight: 16 },
        ..Spec::default()
    };
    [4, 16, 64].map(|producers| Case::new(producers.to_string(), of(producers))).into()
}
