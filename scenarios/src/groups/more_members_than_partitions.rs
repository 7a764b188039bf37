//! More members than partitions: some are idle until others go.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "more_members_than_partitions",
    about: "4 partitions, 6 members: two are idle, and take over when others go",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    setup.topics[0].partitions = 4;
    let mut group = base::group(draw);
    group.members = 6;
    setup.load.groups = vec![group];
    setup.menu = vec![base::on_client("client_crash", (1, 2), (50, 1500))];
    setup
}
