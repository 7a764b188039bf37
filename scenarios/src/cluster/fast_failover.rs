//! Leaders change faster than followers can follow: logs diverge over several epochs and must agree again (KIP-101, KIP-279).

use std::time::Duration;

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "fast_failover",
    about: "three leaders in a row die or are cut off; diverging tails are cut away and nothing else",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    // Elections at the first silence, so that several fit into a follower's catching up.
    setup.broker.broker_session_timeout = Duration::from_millis(draw.between(250, 500));
    setup.broker.replica_fetch_backoff = Duration::from_millis(draw.between(20, 300));
    setup.load.rate = 150;
    let heels: &[Mark] = &[Mark::Leads, Mark::Truncated, Mark::Struck];
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::after(heels, base::on_broker("process_crash", (2, 4), (50, 900)))),
        base::at(Target::LeaderOf(0), base::after(heels, base::on_broker("isolate", (1, 3), (100, 1500)))),
        base::at(Target::LeaderLinks(0), base::after(heels, base::on_broker("hold_answer", (0, 2), (100, 1000)))),
    ];
    setup.menu[2].force = base::api(base::FETCH);
    setup
}
