//! A failed fsync takes the dirty pages with it; only a broker that does not try again keeps its word.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "fsync_error",
    about: "fsync fails; what it covered is never acknowledged on a second try",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.power_loss = true;
    setup.contract.max_in_flight = 5;
    setup.load.producers = 3;
    setup.menu =
        vec![base::on_broker("fsync_error", (2, 5), (20, 300)), base::on_broker("power_loss", (1, 3), (50, 400))];
    setup
}
