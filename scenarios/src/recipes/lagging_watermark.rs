//! KAFKA-7128's scenario: all brokers die while one of them lags, and begin with old high watermarks. Who was behind must
//! not be let in by one of those: it lacks what was committed.

use std::time::Duration;

use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook, silence};
use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "lagging_watermark",
    about: "all brokers die while one lags, and begin with old high watermarks; it is let in when it has everything",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    base::pipelined(&mut setup, draw);
    // What is written down of the high watermarks is old.
    setup.broker.checkpoint_interval = Duration::from_millis(draw.between(1000, 20_000));
    let (missed, dark) = (draw.between(3, 20), draw.between(50, 400));
    let recipe = vec![
        Step::new("process_crash", Target::FollowerOf(p)).until(&[struck(1)]),
        Step::new("process_crash", Target::Everyone)
            .when(&[Wait::InSync { p, size: 2 }, nth(Mark::Acked, p, missed)])
            .lasting(dark),
        // It says where it is, and does not get further.
        silence(p).when(&[Wait::NewLeader { p }]).lasting(1000),
        Step::witness(&[Wait::InSync { p, size: 3 }]),
    ];
    cook(setup, recipe)
}
