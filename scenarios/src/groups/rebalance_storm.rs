//! A minute of members that join, leave, crash, and take too long over a batch.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "rebalance_storm",
    about: "members join, leave, crash and stand still for a minute; each record is processed, by owners only",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 6;
    group.stay_ms = (300, 6000);
    group.vanish_per_mille = 300;
    group.stuck_per_mille = 10;
    setup.load.groups = vec![group];
    setup.times.strikes_ms = 60_000;
    setup.menu = vec![base::on_client("client_crash", (3, 10), (50, 2000)), base::on_link("cut", (0, 5), (100, 2000))];
    setup
}
