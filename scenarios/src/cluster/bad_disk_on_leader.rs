//! The disk of a leader takes nothing any more, for longer than anyone should wait: it must let others lead.
//! What it has to write down of its logs, or of the metadata, fails as well, and it stops.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "bad_disk_on_leader",
    about: "a leader's disk takes no writes for seconds; it gives up, and another leads",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::SparedLeader(0), base::on_broker("write_error", (1, 2), (3000, 5000))),
        base::at(Target::FollowerOf(0), base::on_broker("write_error", (0, 1), (50, 1500))),
    ];
    setup
}
