//! A member is stuck in its work for longer than it may be: it loses what it owns, and must notice.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "slow_member",
    about: "members take longer over a batch than max.poll.interval.ms; the group goes on without them",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.max_poll_ms = draw.between(300, 900);
    group.stuck_per_mille = 30;
    setup.load.groups = vec![group];
    setup.least_strikes = 0;
    setup
}
