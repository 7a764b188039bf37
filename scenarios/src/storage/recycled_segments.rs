//! New segments are written into the files of those that retention took, and the power goes: what such a file held before is
//! never taken for records, though batches of one size lie in it where the new ones do.

use std::time::Duration;

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "recycled_segments",
    about: "the power goes while segments are written into old files; nothing old comes back",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.retention = true;
    setup.contract.power_loss = true;
    setup.broker.log.recycle_segments = u32::try_from(draw.between(1, 3)).unwrap_or(1);
    setup.broker.retention_check_interval = Duration::from_millis(draw.between(20, 100));
    let log = &mut setup.topics[0].log;
    log.segment_bytes = *draw.pick(&[600, 1200, 2500]);
    log.retention_bytes = Some(draw.between(600, 3000));
    setup.load.producers = 4;
    setup.load.rate = 200;
    setup.load.linger_ms = 0;
    let bytes = *draw.pick(&[50, 200]);
    setup.load.value_bytes = (bytes, bytes);
    setup.load.replayers = 1;
    setup.menu = vec![
        base::on_broker("power_loss", (1, 3), (50, 800)),
        base::on_broker("process_crash", (0, 2), (50, 400)),
        base::on_broker("torn_tail", (0, 2), (50, 400)),
    ];
    setup
}
