//! A member is cut off for longer than its session, works on what it has, and comes back.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "zombie_member",
    about: "members are cut off until the group has forgotten them; what they still do counts for nothing",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.session_ms = draw.between(300, 700);
    group.work_us = (0, 20_000);
    // The work on all that one poll of a backlog brings must end before, or each member in turn is thrown out in the midst of it.
    group.max_poll_ms = 12_000;
    setup.load.groups = vec![group];
    setup.load.producers = 1;
    setup.menu = vec![base::on_link("cut", (1, 4), (200, 2500)), base::on_link("cut_one_way", (0, 2), (200, 2500))];
    setup
}
