//! A leader asks for a follower to be let in by what that had; before the controller hears of it the follower's disk is
//! gone, and another process of it is there. It must prove itself anew (KIP-903).

use std::time::Duration;

use harness::plan::Target;
use harness::recipe::{Step, Wait};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook};
use crate::base::{ALTER_PARTITION, FETCH};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "ghost_member",
    about: "a follower is wiped between its leader's request to let it in and the controller; it is not let in",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    // The leader goes on alone.
    setup.contract.min_insync = 1;
    setup.broker.replica_lag_time_max = Duration::from_millis(draw.between(150, 300));
    let (late, empty) = (draw.between(600, 2000), 2500);
    let recipe = vec![
        Step::new("hold_answers", Target::LeaderLinks(p)).force(FETCH).until(&[Wait::InSync { p, size: 1 }]),
        Step::new("hold_requests", Target::LeaderOf(p))
            .force(ALTER_PARTITION)
            .when(&[Wait::InSync { p, size: 1 }])
            .lasting(late),
        // Whoever is wiped then stays empty until after the request has arrived.
        Step::new("hold_answers", Target::LeaderLinks(p))
            .force(FETCH)
            .when(&[Wait::Asked { api: i16::try_from(ALTER_PARTITION).unwrap_or(0), n: 1 }])
            .lasting(empty),
        Step::new("wipe", Target::FollowerOf(p)).lasting(draw.between(50, 200)),
        Step::witness(&[Wait::InSync { p, size: 3 }]),
    ];
    cook(setup, recipe)
}
