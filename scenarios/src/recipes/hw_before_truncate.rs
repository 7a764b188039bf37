//! KAFKA-14704's scenario: a leader cut off from the others goes on appending; they elect another, which commits other
//! records. Back again, the ex-leader follows, and learns how much is committed before it has cut what is not. Consumers
//! read from it meanwhile, as from any follower in their rack (KIP-392).

use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "hw_before_truncate",
    about: "an ex-leader with an uncommitted tail follows; consumers nearby are not shown any of it",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    // A consumer for each broker.
    setup.racks = 3;
    setup.load.tailers = 3;
    setup.load.near = true;
    setup.contract.max_in_flight = *draw.pick(&[1, 5]);
    // Given up and sent again, to the one that is cut off while nobody else leads: there is its tail.
    setup.load.request_timeout_ms = *draw.pick(&[200, 300, 400]);
    let (slow, committed) = (draw.between(2, 60), draw.between(1, 20));
    let recipe = vec![
        // Cutting a log takes a few writes to the disk: the slower that is, the longer the tail is there to be read.
        // It is mended then: a follower with a slow disk may never catch up.
        Step::new("slow_disk", Target::LeaderOf(p))
            .force(slow)
            .when(&[nth(Mark::ServedNear, p, 1)])
            .until(&[struck(3)]),
        Step::new("isolate", Target::LeaderOf(p)).when(&[Wait::Tail { p, n: 1 }]).until(&[struck(1)]),
        Step::witness(&[Wait::NewLeader { p }, nth(Mark::Acked, p, committed)]),
        // So there was a tail that nobody else had.
        Step::witness(&[nth(Mark::Truncated, p, 1)]),
        Step::witness(&[nth(Mark::ServedNear, p, 1), Wait::InSync { p, size: 3 }]),
    ];
    cook(setup, recipe)
}
