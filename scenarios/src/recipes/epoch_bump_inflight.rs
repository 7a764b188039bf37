//! KAFKA-14034's scenario: five requests are in flight to several partitions, stored, and not answered. One of them is
//! given up, which costs the producer its epoch; what becomes of the others, which are stored under the old one?

use harness::plan::{Mark, Target};
use harness::recipe::{Step, any, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook};

/// The API key of Produce.
const PRODUCE: u64 = 0;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "epoch_bump_inflight",
    about: "a batch is given up while others are stored and unanswered: a new epoch, and no second copy",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    setup.contract.idempotent = true;
    setup.contract.max_in_flight = 5;
    setup.load.rate = draw.between(100, 250);
    setup.load.linger_ms = *draw.pick(&[0, 2, 5]);
    setup.load.batch_bytes = *draw.pick(&[200, 2000]);
    // Given up with most of a batch's followers still in time.
    setup.load.request_timeout_ms = *draw.pick(&[200, 350, 500]);
    setup.load.delivery_timeout_ms = setup.load.request_timeout_ms + *draw.pick(&[50, 150, 300]);
    let (stored, after) = (draw.between(2, 8), draw.between(2, 10));
    let recipe = vec![
        Step::new("hold_answers", Target::LeaderClients(p))
            .force(PRODUCE)
            .when(&[nth(Mark::Acked, p, 3)])
            .until(&[struck(2)]),
        Step::witness(&[nth(Mark::Acked, p, stored)]),
        Step::witness(&[any(Mark::Bumped, 1)]),
        Step::new("process_crash", Target::LeaderOf(p)).lasting(draw.between(50, 900)),
        Step::witness(&[nth(Mark::Acked, p, after)]),
    ];
    cook(setup, recipe)
}
