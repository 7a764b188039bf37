//! Static members (KIP-345) die and come back under their names, mostly before their session ends.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "static_restart",
    about: "hosts of static members restart within their session; nobody else is given their partitions",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 4;
    group.instances = 4;
    group.session_ms = draw.between(700, 2000);
    setup.load.groups = vec![group];
    setup.load.hosts = 4;
    setup.menu = vec![base::on_client("client_crash", (1, 4), (50, 1500))];
    setup
}
