//! A leader asks for a member to be let in, and for it to leave again; then the first request arrives once more. Decided
//! anew, it would count on a member without which the leader commits (KIP-497).

use harness::plan::Target;
use harness::recipe::{Step, Wait};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cook, lonely_leader, silence};
use crate::base::ALTER_PARTITION;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "late_expand",
    about: "a request to let members in arrives again after they have left; it is not granted",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (setup, p, lost_touch) = lonely_leader(draw);
    let away = draw.between(1500, 2500);
    let recipe = vec![
        lost_touch,
        Step::new("repeat_request", Target::LeaderOf(p)).force(ALTER_PARTITION).when(&[Wait::InSync { p, size: 1 }]),
        silence(p).when(&[Wait::InSync { p, size: 3 }]).lasting(away),
        Step::witness(&[Wait::InSync { p, size: 1 }]),
        Step::witness(&[Wait::InSync { p, size: 3 }]),
    ];
    cook(setup, recipe)
}
