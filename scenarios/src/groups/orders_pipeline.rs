//! One stream of orders, keyed by user, and two services that read it on their own: neither knows of the other, and each does
//! its part of every order once and in each user's order.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::apps::idempotent;
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "orders_pipeline",
    about: "billing and audit read the same orders, each as a group of its own, while their hosts die",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    setup.load.keyless_per_mille = 0;
    setup.load.hosts = 2;
    setup.apps = ["billing", "audit"]
        .map(|name| {
            let mut group = base::group(draw);
            // Who never commits shows nothing of commits.
            group.commit_ms = group.commit_ms.max(20);
            idempotent::app(name, group, true)
        })
        .into();
    setup.menu = vec![
        base::on_app("client_crash", (1, 3), (50, 1500)),
        base::on_app("power_loss", (0, 2), (50, 1500)),
        base::on_broker("process_crash", (0, 2), (50, 500)),
    ];
    setup
}
