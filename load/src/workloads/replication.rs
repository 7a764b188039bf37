//! Three replicas beside one, on brokers that share this machine.

use super::{Case, Workload};
use crate::spec::Spec;

pub(super) const WORKLOAD: Workload =
    Workload { name: "replication", about: "Three replicas beside one, on brokers that share this machine", cases };

fn cases() -> Vec<Case> {
    let of = |replication, min_insync| Spec { partitions: 16, replication, min_insync, ..Spec::default() };
    vec![Case::new("1", of(1, 1)), Case::new("3", of(3, 2))]
}
