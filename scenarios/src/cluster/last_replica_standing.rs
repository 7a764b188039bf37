//! The in-sync set shrinks to one, which then loses power and its unsynced tail: it is not to be trusted blindly (KIP-966).

use broker::config::FlushPolicy;
use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "last_replica_standing",
    about: "the last in-sync replica loses its power; one with more is waited for or the loss is counted",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    setup.contract.power_loss = true;
    setup.contract.min_insync = u32::try_from(draw.between(1, 2)).unwrap_or(1);
    base::flushes(&mut setup, FlushPolicy::Never);
    let shrunk: &[Mark] = &[Mark::Shrunk];
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::on_broker("isolate", (1, 2), (1500, 4000))),
        base::at(Target::FollowerOf(0), base::on_broker("process_crash", (1, 3), (1000, 3000))),
        base::at(Target::LeaderOf(0), base::after(shrunk, base::on_broker("power_loss", (1, 2), (50, 800)))),
    ];
    setup
}
