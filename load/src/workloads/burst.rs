//! Ten times the average for a twentieth of the time: what a burst leaves waiting.

use super::{Case, Workload};
use crate::arrivals::Arrivals;
use crate::spec::{Drive, Reading, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "burst", about: "Ten times the average, for 50 ms of every second", cases };

fn cases() -> Vec<Case> {
    let arrivals = Arrivals::Bursts { factor: 10, length_ms: 50, every_ms: 1000 };
    let drive = Drive::Open { rate: 2e4, arrivals };
    vec![Case::new("10x", Spec { drive, reading: Reading::Tail { groups: 1 }, ..Spec::default() })]
}
