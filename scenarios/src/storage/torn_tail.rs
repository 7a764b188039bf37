//! Power is lost in the middle of large writes: sectors of one batch survive and others do not.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "torn_tail", about: "unsynced sectors survive one by one; a torn batch is never served", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.power_loss = true;
    setup.contract.max_in_flight = 5;
    setup.load.value_bytes = (400, 3000);
    setup.load.linger_ms = 20;
    setup.menu =
        vec![base::on_broker("torn_tail", (1, 4), (50, 500)), base::on_broker("disk_stall", (0, 2), (50, 400))];
    setup
}
