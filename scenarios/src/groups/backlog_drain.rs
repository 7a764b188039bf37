//! A group stays away for seconds under load, and works off what has come in.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "backlog_drain",
    about: "all members are away while producers go on; the backlog is drained to the last record",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 4;
    group.work_us = (100, 2000);
    setup.load.groups = vec![group];
    // Whoever is on the first host produces; the members' hosts are all away at once.
    setup.load.hosts = 2;
    setup.load.rate = draw.between(100, 300);
    setup.menu = vec![base::on_client("client_crash", (2, 4), (1000, 3500))];
    setup
}
