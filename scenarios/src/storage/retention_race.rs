//! Retention, DeleteRecords and a stalled disk race for the same segments.

use std::time::Duration;

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "retention_race",
    about: "retention runs while the high watermark lags; it never passes it",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.retention = true;
    setup.contract.max_in_flight = 5;
    setup.broker.retention_check_interval = Duration::from_millis(draw.between(20, 200));
    let log = &mut setup.topics[0].log;
    log.segment_bytes = *draw.pick(&[600, 1200, 2500]);
    log.retention_bytes = draw.chance(700).then(|| draw.between(600, 6000));
    log.retention_ms = draw.chance(400).then(|| draw.between(100, 2000));
    let nothing_expires = log.retention_bytes.or(log.retention_ms).is_none();
    setup.load.producers = 4;
    setup.load.rate = 200;
    setup.load.linger_ms = 2;
    setup.load.replayers = 1;
    setup.load.deleters = u32::from(draw.chance(500) || nothing_expires);
    setup.menu = vec![
        base::on_broker("disk_stall", (1, 4), (100, 1200)),
        base::on_broker("slow_disk", (0, 1), (500, 2000)),
        base::on_broker("process_crash", (0, 2), (50, 400)),
    ];
    setup.menu[1].force = (20, 200);
    setup.contract.idempotent = draw.chance(500);
    setup
}
