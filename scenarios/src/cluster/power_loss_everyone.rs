//! The whole rack goes dark. Every acknowledged record was synced on two replicas first, so none may be missing.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "power_loss_everyone",
    about: "every broker loses its power at once; with flush on every acknowledgement nothing is lost",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.contract.power_loss = true;
    setup.menu = vec![
        base::at(Target::Everyone, base::on_broker("power_loss", (1, 2), (50, 800))),
        base::at(Target::Majority, base::on_broker("power_loss", (0, 2), (50, 800))),
        base::on_broker("slow_disk", (0, 1), (500, 2000)),
    ];
    setup.menu[2].force = (2, 20);
    setup
}
