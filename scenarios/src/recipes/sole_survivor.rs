//! KIP-966's scenario: the in-sync set has shrunk to one, which acknowledges alone, loses its power and its unsynced
//! tail, and comes back. It may lead for want of a better; but not as one that has everything.

use broker::config::FlushPolicy;
use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{LOST, cluster, cook, silence};
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "sole_survivor",
    about: "the only replica in sync loses its power and its tail; that it leads again is called unclean",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    setup.contract.power_loss = true;
    setup.contract.min_insync = 1;
    base::flushes(&mut setup, FlushPolicy::Never);
    let acked = draw.between(2, 20);
    let recipe = vec![
        // Nobody else hears of what it appends from now on.
        silence(p).until(&[struck(2)]),
        Step::witness(&[Wait::InSync { p, size: 1 }]),
        Step::new("power_loss", Target::LeaderOf(p))
            .force(LOST)
            .when(&[nth(Mark::Acked, p, acked), Wait::InSync { p, size: 1 }])
            .lasting(draw.between(50, 800)),
        Step::witness(&[Wait::NewLeader { p }]),
        Step::witness(&[Wait::InSync { p, size: 3 }]),
    ];
    cook(setup, recipe)
}
