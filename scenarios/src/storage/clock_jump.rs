//! Wall clocks jump by hours and run fast or slow; nothing may depend on them being right.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "clock_jump", about: "the broker and clients jump and drift in time", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.clock_faults = true;
    setup.load.seekers = 1;
    setup.topics[0].log.segment_ms = draw.between(500, 5000);
    setup.topics[0].log.log_append_time = draw.chance(300);
    setup.menu = vec![
        base::on_broker("clock_jump", (1, 4), (100, 2000)),
        base::on_broker("clock_drift", (0, 2), (500, 3000)),
        base::on_client("clock_jump", (0, 3), (100, 2000)),
        base::on_client("clock_drift", (0, 2), (500, 3000)),
        base::on_broker("process_crash", (0, 1), (50, 400)),
    ];
    for menace in &mut setup.menu {
        menace.force = if menace.fault == "clock_jump" { (10, 7_200_000) } else { (100, 100_000) };
    }
    setup
}
