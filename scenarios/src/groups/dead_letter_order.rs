//! Events of one key follow one another while an earlier one is tried again, and while it is given up.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::apps::retry::Trouble;
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "dead_letter_order",
    about: "attempts fail and are made again later: no event overtakes an earlier one of its key",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let trouble = Trouble {
        poison_per_mille: 10,
        flaky_per_mille: draw.between(50, 150),
        hang_per_mille: 5,
        limit_ms: 50,
        delay_ms: *draw.pick(&[50, 150, 300]),
        mended_ms: None,
    };
    base::tries_again(&mut setup, draw, trouble);
    setup.load.keyless_per_mille = 50;
    setup.load.hosts = 2;
    setup.menu =
        vec![base::on_app("client_crash", (0, 2), (50, 800)), base::on_broker("process_crash", (0, 2), (50, 500))];
    setup.least_strikes = 0;
    setup
}
