//! The cleaner rewrites segments while producers write, and the process or the power goes while it does.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "compaction_under_load",
    about: "a compacted topic keeps the last record of every key, whenever the process or the power goes",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::compacted(&mut setup, draw);
    setup.contract.power_loss = true;
    setup.menu = vec![
        base::on_broker("power_loss", (1, 3), (50, 800)),
        base::on_broker("process_crash", (0, 2), (50, 400)),
        base::on_broker("disk_stall", (0, 1), (100, 600)),
    ];
    setup
}
