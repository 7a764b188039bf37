//! Records come again, after crashes of those who read them and by retries of those who sent them, to an application that
//! knows them again; or to one that does not, for some seeds.

use harness::group_load::GroupLoad;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::apps::idempotent;
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "duplicate_delivery",
    about: "records are delivered again: done once by the idempotent application, and more than once without it",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let dedup = draw.chance(700);
    let commit_ms = *draw.pick(&[200, 400, 700]);
    setup.apps = vec![idempotent::app("idempotent consumer", GroupLoad { commit_ms, ..base::group(draw) }, dedup)];
    setup.contract.effects_repeat = !dedup;
    setup.load.hosts = 2;
    setup.menu = vec![
        base::on_app("client_crash", (1, 2), (50, 1000)),
        base::on_app("power_loss", (1, 2), (50, 1000)),
        base::on_broker("reset_after_append", (0, 3), (50, 500)),
    ];
    setup
}
