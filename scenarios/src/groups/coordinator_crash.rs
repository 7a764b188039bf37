//! The brokers that coordinate groups die, again and again; others take their seats.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "coordinator_crash",
    about: "group coordinators are killed; the next ones know every commit and every member",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_for_groups(draw);
    setup.load.groups = vec![base::group(draw), base::group(draw)];
    let coordinators = [0, 1].map(|group| Target::LeaderOf(setup.coordinated_by(group)));
    let crash = |target, count| base::at(target, base::on_broker("process_crash", count, (50, 3000)));
    setup.menu = vec![crash(coordinators[0], (1, 3)), crash(coordinators[1], (0, 2))];
    setup
}
