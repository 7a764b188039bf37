//! A fetch that a follower sent before it lost its disk arrives after it came back: it must not let the empty copy into
//! the in-sync set (KIP-903). The follower had just been started, and begun a session: only a fetch that does is taken in
//! whenever it arrives.

use std::time::Duration;

use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, nth};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook, silence};
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "stale_fetch",
    about: "an old fetch arrives after its follower was wiped; the empty replica is not let in",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    // What the follower had then is enough for as long as nothing is committed without it.
    (setup.contract.replication, setup.contract.min_insync) = (2, 2);
    setup.broker.replica_lag_time_max = Duration::from_millis(draw.between(3000, 5000));
    let recipe = vec![
        // It is not answered, so that it goes on lacking what it had.
        silence(p).lasting(draw.between(3000, 4500)),
        Step::new("repeat_request", Target::FollowerLink(p)).force(base::FETCH),
        Step::new("process_crash", Target::FollowerOf(p)).lasting(draw.between(50, 100)),
        Step::new("wipe", Target::FollowerOf(p))
            .when(&[nth(Mark::Follows, p, 1), Wait::Asked { api: 1, n: draw.between(1, 8) }])
            .lasting(draw.between(50, 300)),
        Step::witness(&[nth(Mark::Follows, p, 1), Wait::InSync { p, size: 2 }]),
    ];
    cook(setup, recipe)
}
