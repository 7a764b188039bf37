//! A stored bit flips on the leader: its followers must not take the damage over, nor cut away what they have.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "bit_rot_on_leader",
    about: "bits flip on the leader's disk; damage is noticed, and spreads to nobody",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    setup.contract.bit_rot = true;
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::on_broker("bit_flip", (1, 3), (1, 1))),
        base::at(Target::FollowerOf(0), base::on_broker("process_crash", (0, 2), (200, 1500))),
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (0, 1), (50, 500))),
    ];
    setup
}
