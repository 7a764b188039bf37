//! Static members whose name another process takes, as after a botched deployment.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "twin_instance",
    about: "two processes go by one group.instance.id, again and again; the older one is fenced",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 5;
    group.instances = 3;
    group.stay_ms = (300, 2500);
    group.vanish_per_mille = 500;
    setup.load.groups = vec![group];
    setup.menu = vec![base::on_client("client_crash", (0, 2), (50, 1500))];
    setup.least_strikes = 0;
    setup
}
