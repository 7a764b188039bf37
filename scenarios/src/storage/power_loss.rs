//! The power goes at the worst moments. Every acknowledged record was synced first, so none may be missing.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "power_loss",
    about: "the power goes; with flush on every acknowledgement nothing acknowledged is lost",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::pipelined(&mut setup, draw);
    base::less_acks(&mut setup, draw);
    setup.contract.power_loss = true;
    setup.menu = vec![
        base::on_broker("power_loss", (1, 3), (50, 800)),
        base::on_broker("process_crash", (0, 2), (50, 400)),
        base::on_broker("slow_disk", (0, 1), (500, 2000)),
    ];
    setup.menu[2].force = (2, 20);
    setup
}
