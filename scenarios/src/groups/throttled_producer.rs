//! Producers that look at how far their consumers are behind: when those stand still for a second or two they wait, and
//! then go on.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "throttled_producer",
    about: "a group stands still now and then: its producers wait, so that it is never behind by more than a bound",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = u32::try_from(draw.between(1, 2)).unwrap_or(1);
    group.commit_ms = *draw.pick(&[0, 50, 200]);
    (group.stuck_per_mille, group.stuck_ms) = (20, draw.between(600, 2000));
    group.max_poll_ms = 6000;
    setup.load.groups = vec![group];
    setup.load.producers = u32::try_from(draw.between(1, 3)).unwrap_or(1);
    setup.load.rate = draw.between(150, 300);
    setup.load.lag_bound = draw.between(60, 200);
    // A second copy of a record would be one that nobody had leave for.
    (setup.contract.idempotent, setup.contract.max_in_flight) = (true, 5);
    setup.menu = vec![base::on_broker("process_crash", (0, 2), (50, 500))];
    setup.least_strikes = 0;
    setup
}
