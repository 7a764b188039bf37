//! A leader hands over to a broker that is the last to hear of it: its clients know it before it knows itself. What they
//! ask it then it must refuse, or they take its word for the leader's (KIP-320).

use harness::plan::Target;
use harness::recipe::{Step, Wait};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::cook;
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "late_leader",
    about: "a partition's new leader is the last to hear of it; what clients ask it before goes wrong, and nothing else",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_for_groups(draw);
    setup.load.groups = vec![base::group(draw)];
    setup.times.strikes_ms = 15_000;
    let p = u32::try_from(draw.below(2)).unwrap_or(0);
    let mut recipe = Vec::new();
    for _ in 0..2 {
        // Longer, and the followers elect another controller.
        let late = draw.between(150, 450);
        recipe.push(Step::new("hold_answers", Target::Controller).force(base::FETCH).when(&[whole(p)]).lasting(late));
        recipe.push(Step::new("graceful_stop", Target::LeaderOf(p)).lasting(draw.between(500, 1500)));
    }
    recipe.push(Step::witness(&[whole(p)]));
    cook(setup, recipe)
}

/// All replicas of `p` are in sync.
fn whole(p: u32) -> Wait {
    Wait::InSync { p, size: 3 }
}
