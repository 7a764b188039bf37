//! For a second or two much more comes in than the group can process; it falls behind, and catches up.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "lag_spike",
    about: "ten to twenty times the load for a while, and a member that dies under it; the group catches up",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 3;
    group.work_us = (1000, 4000);
    setup.load.groups = vec![group];
    setup.load.rate = draw.between(40, 80);
    setup.load.spike_factor = u32::try_from(draw.between(10, 20)).unwrap_or(10);
    let from = draw.between(700, 2000);
    setup.load.spike_ms = (from, from + draw.between(800, 1600));
    setup.menu = vec![base::on_client("client_crash", (1, 2), (50, 1000))];
    setup
}
