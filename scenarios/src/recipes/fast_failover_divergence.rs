//! KIP-279's scenario (KAFKA-6361): a leader dies with a tail that nobody else has; the next dies with little or nothing
//! written; the third writes. Then the first comes back, and asks about an epoch that the third may never have seen.

use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook, silence};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "fast_failover_divergence",
    about: "three leaders in quick succession; whoever comes back cuts its log where it parts from the last one's",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    // With two of the replicas down the quorum goes on, and so does the third.
    setup.contract.brokers = 5;
    setup.contract.min_insync = 1;
    // The tail is to grow before the in-sync set shrinks, though nothing is answered.
    setup.contract.max_in_flight = 5;
    setup.contract.idempotent = draw.chance(500);
    setup.load.producers = 3;
    setup.load.rate = draw.between(150, 300);
    // More than what is on its way to a follower when the answers are held.
    let (tail, third) = (i64::try_from(draw.between(3, 5)).unwrap_or(3), draw.between(1, 8));
    // Perhaps before it has written anything.
    let dies = match draw.below(3) {
        0 => vec![Wait::NewLeader { p }],
        n => vec![Wait::NewLeader { p }, Wait::Tail { p, n: i64::try_from(n).unwrap_or(1) }],
    };
    let recipe = vec![
        // Whoever hears of the tail after its leader's death hears of a new leader before.
        silence(p).until(&[struck(2)]),
        Step::new("process_crash", Target::LeaderOf(p)).when(&[Wait::Tail { p, n: tail }]).until(&[struck(2)]),
        Step::new("process_crash", Target::LeaderOf(p)).when(&dies).until(&[struck(2)]),
        Step::witness(&[Wait::NewLeader { p }, nth(Mark::Appended, p, third)]),
        Step::witness(&[nth(Mark::Truncated, p, 1)]),
        Step::witness(&[Wait::InSync { p, size: 3 }]),
    ];
    cook(setup, recipe)
}
