//! The leader hears the others and is not heard, or the reverse: half-open links are where leases go wrong.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "one_way_cut_leader",
    about: "the leader's links to its followers are dead in one direction",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::LeaderLinks(0), base::on_broker("cut_one_way", (1, 3), (100, 4000))),
        base::at(Target::Controller, base::on_broker("cut_one_way", (0, 2), (100, 4000))),
        base::at(Target::Everyone, base::on_broker("ring_cut", (0, 1), (100, 3000))),
    ];
    setup
}
