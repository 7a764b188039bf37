//! The same load over more and more partitions.

use super::{Case, Workload};
use crate::spec::{Keys, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "many_partitions", about: "Keyed records over 1 to 1,000 partitions", cases };

fn cases() -> Vec<Case> {
    let of = |partitions| Spec { partitions, keys: Keys::Even(100_000), linger_us: 5000, ..Spec::default() };
    [1, 10, 100, 1000].map(|partitions| Case::new(partitions.to_string(), of(partitions))).into()
}
