//! Every replica cleans its own log, when it likes; leaders die meanwhile, and followers take over and truncate.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "compacted_replicas",
    about: "replicas clean a compacted topic each for itself; who leads next has the last record of every key",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::compacted(&mut setup, draw);
    setup.contract.power_loss = true;
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (1, 3), (50, 4000))),
        base::at(Target::LeaderOf(0), base::on_broker("isolate", (0, 2), (100, 3000))),
        base::at(Target::LeaderOf(0), base::on_broker("power_loss", (0, 1), (50, 3000))),
        base::at(Target::FollowerOf(0), base::on_broker("process_crash", (0, 2), (50, 4000))),
    ];
    setup
}
