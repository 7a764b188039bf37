//! A consumer reads what was written before, as one does that was away.

use super::{Case, Workload};
use crate::spec::{Reading, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "catch_up_read", about: "A backlog is read, from the page cache and from the device", cases };

fn cases() -> Vec<Case> {
    let of = |record_bytes, megabytes, cold| Spec {
        record_bytes,
        reading: Reading::CatchUp { megabytes, cold },
        ..Spec::default()
    };
    vec![
        Case::new("warm", of(1024, 2000, false)),
        Case::new("warm-100B", of(100, 500, false)),
        Case::new("cold", of(1024, 2000, true)),
    ]
}
