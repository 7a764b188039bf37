//! Three brokers write segments into old files while leaders die, logs are cut back and followers begin anew: what an old file held
//! is on no replica taken for records.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::follower_left_behind;
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "recycled_replicas",
    about: "brokers of a cluster crash and lose power while segments are written into old files; nothing old comes back",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = (follower_left_behind::SCENARIO.setup)(draw);
    setup.broker.log.recycle_segments = u32::try_from(draw.between(1, 3)).unwrap_or(1);
    setup.contract.power_loss = true;
    setup.menu.push(base::on_broker("power_loss", (0, 2), (50, 800)));
    setup
}
