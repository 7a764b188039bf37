//! KIP-101's first scenario (KAFKA-1211): a follower restarts that has a committed record, but does not know yet that it
//! is committed; before it has asked its leader again, that dies. Cut to its own high watermark, it leads without it.

use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, any, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook, silence};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "truncate_to_hw",
    about: "a follower restarts below its leader's high watermark and must lead at once: it has cut nothing",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    // The only follower: when it has said good-bye it is eligible, and nobody else.
    setup.contract.replication = 2;
    setup.contract.min_insync = 2;
    let recipe = vec![
        // What came last is on both. That it is committed by this stays the leader's secret: until the follower has
        // stopped; afterwards its first answer is on its way for long enough.
        silence(p).when(&[Wait::Level { p }]).until(&[struck(1), any(Mark::Down, 1)]),
        Step::new("graceful_stop", Target::FollowerOf(p))
            .when(&[Wait::Ahead { p }, nth(Mark::Acked, p, 1)])
            .until(&[any(Mark::Down, 1)]),
        Step::new("process_crash", Target::LeaderOf(p)).when(&[nth(Mark::Follows, p, 1)]).until(&[struck(1)]),
        Step::witness(&[Wait::NewLeader { p }]),
    ];
    cook(setup, recipe)
}
