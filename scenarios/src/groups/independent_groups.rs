//! Groups that read the same topic know nothing of each other.

use harness::group_load::GroupLoad;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "independent_groups",
    about: "three groups read one topic, one of them in turmoil; each processes every record",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let restless = GroupLoad { stay_ms: (200, 1500), vanish_per_mille: 500, ..base::group(draw) };
    setup.load.groups = vec![base::group(draw), restless, base::group(draw)];
    setup.menu = vec![base::on_client("client_crash", (0, 2), (50, 1500))];
    setup.least_strikes = 0;
    setup
}
