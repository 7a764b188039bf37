//! The leader of the metadata quorum is cut off: it must resign, and nothing it decides afterwards may count.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "cut_controller",
    about: "the controller is cut off from the others; another decides, and it alone",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::Controller, base::on_broker("isolate", (1, 3), (100, 6000))),
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (0, 2), (50, 800))),
        base::at(Target::Controller, base::on_broker("hold_request", (0, 2), (100, 1500))),
    ];
    setup.menu[2].force = base::api(base::FETCH);
    setup
}
