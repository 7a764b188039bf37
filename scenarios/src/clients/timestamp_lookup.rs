//! Look-ups by time, while the log is torn, cut and rolled beneath the time index.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "timestamp_lookup",
    about: "ListOffsets by time agrees with the log, through torn tails and restarts",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.power_loss = true;
    setup.contract.max_in_flight = 5;
    setup.load.seekers = 2;
    setup.load.producers = 3;
    setup.topics[0].log.index_interval_bytes = *draw.pick(&[1, 64, 256]);
    setup.menu = vec![
        base::on_broker("torn_tail", (1, 3), (50, 400)),
        base::on_broker("power_loss", (0, 2), (50, 400)),
        base::on_broker("disk_stall", (0, 2), (50, 400)),
    ];
    setup
}
