//! A follower is cut off and back around the lag limit, so that the in-sync set shrinks and grows all the time, its changes late and repeated (KIP-497).

use std::time::Duration;

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "in_sync_flapping",
    about: "the in-sync set flaps while its changes are held up; the high watermark never runs ahead",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.broker.replica_lag_time_max = Duration::from_millis(draw.between(150, 400));
    let flapped: &[Mark] = &[Mark::Shrunk, Mark::Grown];
    setup.menu = vec![
        base::at(Target::FollowerLink(0), base::on_broker("cut", (3, 6), (100, 900))),
        base::at(Target::LeaderOf(0), base::on_broker("hold_request", (1, 3), (100, 1500))),
        base::at(Target::LeaderOf(0), base::on_broker("repeat_request", (0, 2), (500, 3000))),
        base::at(Target::LeaderOf(0), base::after(flapped, base::on_broker("isolate", (0, 2), (100, 1500)))),
    ];
    setup.menu[1].force = base::api(base::ALTER_PARTITION);
    setup.menu[2].force = base::api(base::ALTER_PARTITION);
    setup
}
