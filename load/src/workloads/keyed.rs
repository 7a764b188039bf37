//! Keyed records: small batches over many partitions, and a few keys that make most of the traffic.

use super::{Case, Workload};
use crate::spec::{Keys, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "keyed", about: "Keyed records: even, and by Zipf's law", cases };

fn cases() -> Vec<Case> {
    let of = |keys| Spec { partitions: 16, record_bytes: 200, keys, batch_bytes: 16 << 10, ..Spec::default() };
    vec![Case::new("even", of(Keys::Even(100_000))), Case::new("zipf", of(Keys::Zipf(100_000)))]
}
