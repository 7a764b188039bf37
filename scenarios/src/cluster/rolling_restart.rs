//! An operator restarts every broker in turn, cleanly; leaders move off in time, and nobody recovers.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "rolling_restart",
    about: "brokers stop cleanly and start again, one after the other; nothing is lost",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::Everyone, base::on_broker("rolling_restart", (1, 2), (3000, 6000))),
        base::at(Target::Everyone, base::on_broker("config_flip", (0, 2), (500, 2500))),
        base::at(Target::LeaderOf(0), base::on_broker("graceful_stop", (0, 2), (300, 1500))),
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (0, 1), (50, 800))),
    ];
    setup
}
