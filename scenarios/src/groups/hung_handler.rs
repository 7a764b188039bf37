//! A handler hangs now and then, for good: it is broken off, and nobody behind it waits for longer than that takes.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::apps::retry::Trouble;
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "hung_handler",
    about: "handlers hang for good: each is broken off and its event tried again, and the group comes to rest",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let trouble = Trouble {
        poison_per_mille: 0,
        flaky_per_mille: 20,
        hang_per_mille: draw.between(30, 100),
        limit_ms: *draw.pick(&[30, 80, 150]),
        delay_ms: 100,
        mended_ms: None,
    };
    base::tries_again(&mut setup, draw, trouble);
    setup.load.hosts = 2;
    setup.menu = vec![base::on_app("client_crash", (0, 2), (50, 800))];
    setup.least_strikes = 0;
    setup
}
