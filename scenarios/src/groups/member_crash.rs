//! Members die with their hosts, and come again.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "member_crash", about: "hosts of members die; others take over from the last commit", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 4;
    setup.load.groups = vec![group];
    setup.menu = vec![base::on_client("client_crash", (1, 4), (50, 2500))];
    setup
}
