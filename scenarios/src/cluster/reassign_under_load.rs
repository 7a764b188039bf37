//! Replicas move to other brokers under load, while brokers die: a move completes or is undone, and loses nothing.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "reassign_under_load",
    about: "partitions are reassigned between four brokers through crashes; nothing is lost",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.contract.brokers = 4;
    setup.racks = 2;
    setup.topics[0].grows = 1;
    setup.menu = vec![
        base::at(Target::Everyone, base::on_broker("reassign", (2, 5), (1, 1))),
        base::at(Target::Everyone, base::on_broker("elect_preferred", (0, 2), (1, 1))),
        base::at(Target::Everyone, base::on_broker("expand", (0, 1), (1, 1))),
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (0, 2), (50, 1200))),
        base::at(Target::Minority, base::on_broker("isolate", (0, 1), (100, 1500))),
    ];
    setup
}
