//! The cleaner rewrites segments while producers write, and the process or the power goes while it does.

use std::time::Duration;

use broker::config::CleanupPolicy;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "compaction_under_load",
    about: "a compacted topic keeps the last record of every key, whenever the process or the power goes",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.compaction = true;
    // A second copy of a record would be the one that stays.
    setup.contract.idempotent = true;
    setup.contract.max_in_flight = 5;
    setup.contract.power_loss = true;
    setup.broker.cleaner_backoff = Duration::from_millis(draw.between(20, 300));
    setup.broker.cleaner_dedupe_buffer = *draw.pick(&[200, 600, 1 << 20]);
    let log = &mut setup.topics[0].log;
    log.cleanup = CleanupPolicy::Compact;
    log.segment_bytes = *draw.pick(&[600, 1200, 2500]);
    log.min_cleanable_dirty_millionths = *draw.pick(&[0, 100_000, 500_000]);
    setup.load.keyless_per_mille = 0;
    setup.load.producers = 3;
    setup.load.rate = 200;
    setup.load.replayers = 1;
    setup.menu = vec![
        base::on_broker("power_loss", (1, 3), (50, 800)),
        base::on_broker("process_crash", (0, 2), (50, 400)),
        base::on_broker("disk_stall", (0, 1), (100, 600)),
    ];
    setup
}
