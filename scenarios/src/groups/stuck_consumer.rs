//! A handler hangs for good: the member's heart beats, but it does not poll. The group must not wait for it.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "stuck_consumer",
    about: "members hang in their work for good while their hearts beat; after max.poll.interval.ms others go on",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 4;
    group.max_poll_ms = draw.between(300, 800);
    // The work on all that one poll of a backlog brings must end before, or each member in turn is thrown out in the midst of it.
    group.work_us = (0, 200);
    (group.stuck_per_mille, group.stuck_ms) = (10, 60_000);
    setup.load.groups = vec![group];
    setup.least_strikes = 0;
    setup
}
