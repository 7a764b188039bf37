//! Handlers are slower than what comes in at times: they stand behind bounded queues, and whoever polls must wait for them
//! without losing its place in the group.

use harness::group_load::GroupLoad;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::apps::pooled::{self, Pool};
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "backpressure",
    about: "slow workers behind bounded queues, in a group that is shared out anew: nothing is lost, each key in order",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let group = GroupLoad {
        max_poll_ms: draw.between(400, 1200),
        commit_ms: *draw.pick(&[50, 200, 500]),
        // Members come and go, so that there are rebalances while queues are full.
        stay_ms: *draw.pick(&[(0, 0), (500, 2000)]),
        ..base::group(draw)
    };
    let pool = Pool {
        workers: usize::try_from(draw.between(1, 3)).unwrap_or(1),
        room: usize::try_from(draw.between(1, 12)).unwrap_or(1),
        work_us: (1000, draw.between(4000, 20_000)),
        slow_per_mille: draw.between(5, 20),
        slow_ms: draw.between(200, 800),
    };
    setup.apps = vec![pooled::app("slow workers behind bounded queues", group, pool)];
    setup.load.keyless_per_mille = *draw.pick(&[0, 300]);
    setup.load.hosts = 2;
    setup.menu =
        vec![base::on_app("client_crash", (1, 3), (50, 800)), base::on_broker("process_crash", (0, 1), (50, 500))];
    setup
}
