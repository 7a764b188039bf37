//! Whoever comes to lead the metadata quorum dies at once: votes and decisions must survive it.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "controller_crash_loop",
    about: "every new controller is killed; votes are not forgotten and decisions not undone",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.contract.power_loss = true;
    let elected: &[Mark] = &[Mark::QuorumLeads];
    setup.menu = vec![
        base::at(Target::Controller, base::after(elected, base::on_broker("process_crash", (2, 4), (50, 600)))),
        base::at(Target::Controller, base::after(elected, base::on_broker("power_loss", (1, 3), (50, 600)))),
        base::at(Target::Controller, base::on_broker("drop_answer", (0, 2), (50, 500))),
    ];
    setup.menu[2].force = base::api(base::VOTE);
    setup
}
