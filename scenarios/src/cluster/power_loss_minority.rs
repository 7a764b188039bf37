//! One broker loses its power while every copy is whole. Where replicas sync when they like, the other copies alone must keep what was acknowledged.

use broker::config::FlushPolicy;
use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "power_loss_minority",
    about: "one broker at a time loses its power; with or without syncing, nothing acknowledged is lost",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.contract.power_loss = true;
    setup.contract.spared = true;
    if draw.chance(500) {
        base::flushes(&mut setup, FlushPolicy::Never);
    }
    setup.menu = vec![
        base::at(Target::Spared, base::on_broker("power_loss", (1, 3), (50, 2000))),
        base::at(Target::Spared, base::on_broker("torn_tail", (0, 2), (50, 2000))),
    ];
    setup
}
