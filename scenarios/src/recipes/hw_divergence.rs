//! KIP-101's second scenario: leader and follower lose their power, and the follower what it had not synced; it comes back
//! first, leads, and writes other records where the leader has its own. Both have the same high watermark.

use broker::config::FlushPolicy;
use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{KEPT, LOST, cluster, cook};
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "hw_divergence",
    about: "a follower without its unsynced tail leads first; the old leader takes its log over, not its own",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    setup.contract.replication = 2;
    setup.contract.min_insync = 1;
    setup.contract.acks = 1;
    setup.contract.power_loss = true;
    // The follower is none to be elected cleanly: its disk may have less than it said.
    setup.contract.unclean = true;
    base::flushes(&mut setup, FlushPolicy::Never);
    let (before, after) = (draw.between(5, 60), draw.between(1, 20));
    let recipe = vec![
        Step::new("power_loss", Target::LeaderOf(p))
            .force(KEPT)
            .when(&[nth(Mark::Acked, p, before), Wait::InSync { p, size: 2 }])
            .until(&[struck(2)]),
        Step::new("power_loss", Target::FollowerOf(p)).force(LOST).lasting(draw.between(50, 500)),
        Step::witness(&[Wait::NewLeader { p }, nth(Mark::Appended, p, after)]),
        Step::witness(&[nth(Mark::Follows, p, 1)]),
        Step::witness(&[Wait::InSync { p, size: 2 }]),
    ];
    cook(setup, recipe)
}
