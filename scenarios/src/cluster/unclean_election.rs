//! Availability before safety, by choice: a replica that was not in sync may lead. What is lost is counted.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "unclean_election",
    about: "an out-of-sync replica is allowed to lead; the loss is expected and counted",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    setup.contract.unclean = true;
    setup.contract.min_insync = 1;
    let shrunk: &[Mark] = &[Mark::Shrunk, Mark::Struck];
    setup.menu = vec![
        base::at(Target::FollowerOf(0), base::on_broker("process_crash", (1, 3), (500, 2500))),
        base::at(Target::LeaderOf(0), base::after(shrunk, base::on_broker("process_crash", (1, 2), (2000, 5000)))),
        base::at(Target::Everyone, base::on_broker("config_flip", (0, 3), (300, 2500))),
    ];
    setup
}
