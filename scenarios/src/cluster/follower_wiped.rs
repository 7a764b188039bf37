//! A follower comes back on an empty disk, and must have everything again before it counts.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "follower_wiped",
    about: "a broker's disk is replaced by an empty one; it fetches everything anew",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::Spared, base::on_broker("wipe", (1, 2), (50, 1500))),
        base::at(
            Target::SparedLeader(0),
            base::after(&[Mark::Grown, Mark::Registered], base::on_broker("process_crash", (0, 2), (50, 800))),
        ),
        base::at(Target::FollowerLink(0), base::on_broker("slow_link", (0, 1), (500, 2000))),
    ];
    setup.menu[2].force = (20, 200);
    setup
}
