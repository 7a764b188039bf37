//! A few keys make most of the traffic, and the partitions they belong to most of the work; salted, they spread.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "hot_partition",
    about: "keys by Zipf's law, salted or not; members of the busy partitions die, and nothing is left behind",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    setup.topics[0].partitions = i32::try_from(draw.between(4, 8)).unwrap_or(4);
    let mut group = base::group(draw);
    group.members = 4;
    group.work_us = (500, 3000);
    setup.load.groups = vec![group];
    (setup.load.keyless_per_mille, setup.load.naming_per_mille) = (0, 0);
    setup.load.zipf_percent = draw.between(90, 160);
    setup.load.salts = *draw.pick(&[1, 8]);
    setup.load.rate = draw.between(100, 300);
    setup.menu = vec![base::on_client("client_crash", (1, 3), (50, 1500))];
    setup
}
