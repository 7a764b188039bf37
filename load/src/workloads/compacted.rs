//! A compacted topic: updates of few keys.

use super::{Case, Workload};
use crate::spec::{Keys, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "compacted", about: "Updates of 10,000 keys in a compacted topic", cases };

fn cases() -> Vec<Case> {
    vec![Case::new("zipf", Spec { compacted: true, keys: Keys::Zipf(10_000), ..Spec::default() })]
}
