//! The broker that coordinates a group is cut off, from its clients, from the other brokers, or from everyone.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "coordinator_cut",
    about: "coordinators are cut off from clients, or brokers, or both; a deposed one accepts nothing more",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_for_groups(draw);
    setup.load.groups = vec![base::group(draw)];
    let own = setup.coordinated_by(0);
    let cut = |fault, target, count| base::at(target, base::on_broker(fault, count, (200, 3000)));
    setup.menu = vec![
        cut("isolate", Target::LeaderOf(own), (1, 2)),
        cut("cut", Target::LeaderClients(own), (0, 2)),
        cut("cut", Target::LeaderLinks(own), (0, 2)),
        cut("cut_one_way", Target::LeaderLinks(own), (0, 1)),
    ];
    setup
}
