//! A hundred partitions over few open files: the bounds on memory and files hold through crashes.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "many_partitions", about: "a hundred partitions share a few open files through crashes", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.topics[0].partitions = 100;
    setup.broker.max_open_files = 16;
    setup.load.rate = 150;
    setup.load.fetch_wait_ms = 250;
    setup.contract.power_loss = true;
    setup.menu =
        vec![base::on_broker("power_loss", (0, 2), (50, 500)), base::on_broker("process_crash", (1, 2), (50, 500))];
    setup
}
