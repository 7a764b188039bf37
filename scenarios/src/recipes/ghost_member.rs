//! A leader asks for a follower to be let in by what that had; before the controller hears of it the follower's disk is
//! gone, and another process of it is there. It must prove itself anew (KIP-903).

use harness::plan::Target;
use harness::recipe::{Step, Wait};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cook, lonely_leader, silence};
use crate::base::ALTER_PARTITION;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "ghost_member",
    about: "a follower is wiped between its leader's request to let it in and the controller; it is not let in",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (setup, p, lost_touch) = lonely_leader(draw);
    let late = draw.between(600, 2000);
    let recipe = vec![
        lost_touch,
        Step::new("hold_requests", Target::LeaderOf(p))
            .force(ALTER_PARTITION)
            .when(&[Wait::InSync { p, size: 1 }])
            .lasting(late),
        // Whoever is wiped then stays empty until after the request has arrived.
        silence(p).when(&[Wait::Asked { api: i16::try_from(ALTER_PARTITION).unwrap_or(0), n: 1 }]).lasting(2500),
        Step::new("wipe", Target::FollowerOf(p)).lasting(draw.between(50, 200)),
        Step::witness(&[Wait::InSync { p, size: 3 }]),
    ];
    cook(setup, recipe)
}
