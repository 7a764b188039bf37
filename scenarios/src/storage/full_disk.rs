//! The disk fills up in the middle of a batch, and has room again later.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "full_disk",
    about: "writes hit ENOSPC midway; no partial batch is served and service resumes",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::pipelined(&mut setup, draw);
    base::one_ack(&mut setup, draw);
    setup.menu = vec![
        base::on_broker("disk_full", (1, 3), (100, 1500)),
        base::on_broker("write_error", (0, 2), (50, 600)),
        base::on_broker("process_crash", (0, 1), (50, 400)),
    ];
    setup.menu[0].force = (0, 4000);
    setup
}
