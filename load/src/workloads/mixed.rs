//! As fast as it goes, while a group reads along.

use super::{Case, Workload};
use crate::spec::{Reading, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "mixed", about: "As fast as it goes, while a group reads along", cases };

fn cases() -> Vec<Case> {
    let of = |partitions| Spec { partitions, reading: Reading::Tail { groups: 1 }, ..Spec::default() };
    vec![Case::new("1-partition", of(1)), Case::new("16-partitions", of(16))]
}
