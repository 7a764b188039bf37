//! Events that no attempt succeeds at, among others that fail now and then or hang: the first go to the dead-letter topic, and
//! nobody waits for them for good.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::apps::retry::Trouble;
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "poison_message",
    about: "some events cannot be handled: each is done or dead-lettered, not both, through crashes and a redrive",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let trouble = Trouble {
        poison_per_mille: draw.between(40, 150),
        flaky_per_mille: draw.between(0, 60),
        hang_per_mille: draw.between(0, 15),
        limit_ms: *draw.pick(&[50, 120]),
        delay_ms: *draw.pick(&[50, 150]),
        // Half of the time nobody mends the handler, and what is dead stays dead.
        mended_ms: draw.chance(500).then(|| draw.between(2000, 4000)),
    };
    base::tries_again(&mut setup, draw, trouble);
    setup.load.hosts = 2;
    setup.menu = vec![base::on_app("client_crash", (2, 4), (50, 800)), base::on_app("power_loss", (1, 3), (50, 800))];
    setup
}
