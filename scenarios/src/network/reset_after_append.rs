//! The acknowledgement is lost: the client must not believe that nothing was written.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "reset_after_append",
    about: "the connection dies between append and answer, again and again",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::pipelined(&mut setup, draw);
    base::impatient(&mut setup, draw);
    setup.load.producers = 3;
    setup.menu =
        vec![base::on_broker("reset_after_append", (3, 10), (200, 1500)), base::on_link("cut", (0, 1), (20, 2500))];
    setup.menu[0].force = (1, 12);
    setup
}
