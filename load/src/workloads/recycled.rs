//! Sequential appends where retention deletes as much as is written, as in a broker that has run for a while: segments are
//! written into the files of deleted ones, whose blocks and pages are there already, or (`grown`) into new ones.

use broker::config::FlushPolicy;

use super::{Case, Workload};
use crate::spec::{Drive, Spec};

pub(super) const WORKLOAD: Workload =
    Workload { name: "recycled", about: "As sequential_append, with retention: into files written before", cases };

const OFTEN: &str = "log.retention.check.interval.ms=50";

fn cases() -> Vec<Case> {
    let base = Spec { retain_megabytes: Some(256), ..Spec::default() };
    let durable =
        Spec { flush: FlushPolicy::Always, linger_us: 0, drive: Drive::Closed { in_flight: 64 }, ..base.clone() };
    let case = |name: &str, spec: &Spec| {
        let settings = if name.ends_with("grown") { &[OFTEN][..] } else { &[OFTEN, "log.recycle.segments=4"] };
        Case { settings, ..Case::new(name, spec.clone()) }
    };
    vec![case("1KiB", &base), case("1KiB-grown", &base), case("durable", &durable), case("durable-grown", &durable)]
}
