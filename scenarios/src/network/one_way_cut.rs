//! One direction only: the append happens and its answer never comes, or the answer of nothing.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "one_way_cut", about: "requests arrive and answers do not, or the reverse", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::pipelined(&mut setup, draw);
    base::one_ack(&mut setup, draw);
    base::impatient(&mut setup, draw);
    setup.menu = vec![base::on_link("cut_one_way", (1, 4), (20, 3000)), base::on_broker("freeze", (0, 1), (50, 1000))];
    setup
}
