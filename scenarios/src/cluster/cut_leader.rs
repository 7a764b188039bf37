//! The leader loses the other brokers, and perhaps its clients too: it must not acknowledge what its successor will not have.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "cut_leader", about: "the leader is cut off from the others; it commits nothing alone", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.load.replayers = 1;
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::on_broker("isolate", (1, 3), (100, 6000))),
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (0, 1), (50, 800))),
    ];
    setup.menu[0].force = (0, 1);
    setup
}
