//! The leader's process dies, again and again; a replica that was in sync takes over, with all that was acknowledged.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "leader_crash",
    about: "leaders are killed under 300 records a second; nothing acknowledged is lost",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.load.hosts = 3;
    setup.load.producers = 3;
    setup.load.rate = 300;
    setup.load.linger_ms = 0;
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (1, 3), (50, 6000))),
        base::at(Target::Controller, base::on_broker("process_crash", (0, 1), (50, 1500))),
    ];
    setup
}
