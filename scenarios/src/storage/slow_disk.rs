//! Syncs take hundreds of milliseconds, or stop for a while: slow is not broken.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "slow_disk", about: "syncs are slow or stall; every call still returns by its deadline", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::one_ack(&mut setup, draw);
    setup.menu =
        vec![base::on_broker("slow_disk", (1, 2), (500, 2500)), base::on_broker("disk_stall", (0, 2), (50, 2500))];
    setup.menu[0].force = (5, 300);
    setup
}
