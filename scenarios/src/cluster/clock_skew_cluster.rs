//! The brokers' clocks disagree and run at different rates: no session, lag or vote may hang on them being right.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "clock_skew_cluster",
    about: "brokers' clocks jump and drift against each other, through failovers",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.contract.clock_faults = true;
    setup.topics[0].log.log_append_time = draw.chance(300);
    setup.menu = vec![
        base::on_broker("clock_jump", (1, 4), (100, 3000)),
        base::on_broker("clock_drift", (1, 3), (500, 4000)),
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (0, 2), (50, 1000))),
    ];
    setup.menu[0].force = (10, 7_200_000);
    setup.menu[1].force = (100, 100_000);
    setup
}
