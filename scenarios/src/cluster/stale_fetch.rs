//! A fetch that a follower sent before it lost its disk arrives after it came back: it must not let the empty copy into the in-sync set (KIP-903).

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "stale_fetch",
    about: "an old fetch arrives after its follower was wiped; the empty replica is not let in",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    setup.load.rate = 100;
    let heels: &[Mark] = &[Mark::Struck];
    setup.menu = vec![
        base::at(Target::FollowerLink(0), base::on_broker("hold_request", (0, 2), (600, 2500))),
        base::at(Target::FollowerLink(0), base::on_broker("repeat_request", (1, 2), (600, 2500))),
        base::at(Target::Spared, base::after(heels, base::on_broker("wipe", (1, 2), (50, 600)))),
        base::at(
            Target::LeaderOf(0),
            base::after(&[Mark::Grown], base::on_broker("process_crash", (0, 1), (300, 1500))),
        ),
    ];
    setup.menu[0].force = base::api(base::FETCH);
    setup.menu[1].force = base::api(base::FETCH);
    setup
}
