//! Who votes on metadata changes while controllers crash and are cut off: the vote goes from one broker to another, also
//! from the active controller, and no two quorums decide.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "voters_changed",
    about: "the vote on metadata goes from one broker to another through crashes and cuts; what was decided stays decided",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.contract.brokers = 4;
    setup.voters = 3;
    setup.menu = vec![
        base::at(Target::Everyone, base::on_broker("move_vote", (2, 5), (1, 1))),
        base::at(Target::Controller, base::on_broker("process_crash", (0, 2), (50, 1500))),
        base::at(Target::Controller, base::on_broker("isolate", (0, 1), (100, 1500))),
        base::at(Target::Spared, base::on_broker("power_loss", (0, 2), (50, 1500))),
        base::at(Target::Everyone, base::on_broker("reassign", (0, 1), (1, 1))),
    ];
    setup
}
