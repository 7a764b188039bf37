//! A follower's disk or link is slow: it leaves the in-sync set in time, and the others go on.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "slow_follower",
    about: "a follower lags and leaves the in-sync set; acknowledgements go on without it",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::FollowerOf(0), base::on_broker("slow_disk", (0, 2), (500, 3000))),
        base::at(Target::FollowerLink(0), base::on_broker("slow_link", (1, 2), (500, 3000))),
        base::at(Target::FollowerOf(0), base::on_broker("disk_stall", (0, 2), (100, 2500))),
        base::at(
            Target::LeaderOf(0),
            base::after(&[Mark::Shrunk], base::on_broker("process_crash", (0, 1), (50, 800))),
        ),
    ];
    setup.menu[0].force = (20, 400);
    setup.menu[1].force = (100, 900);
    setup
}
