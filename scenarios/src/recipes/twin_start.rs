//! The same broker twice: while one process is cut off or stands still, another starts with its id on a copy of its disk,
//! perhaps an old one, and takes its place. Then both are there. One is fenced; and when the second is gone, the first
//! has to prove itself anew.

use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, any, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "twin_start",
    about: "two processes of one broker, on copies of one disk; only the one registered last counts",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    // Three vote and the fourth, which has the twin, does not: a quorum bears no voter twice. It has all partitions.
    setup.contract.brokers = 4;
    setup.contract.replication = 4;
    setup.voters = 3;
    setup.twin = true;
    let away = *draw.pick(&["isolate", "freeze"]);
    let (before, both) = (draw.between(3, 30), draw.between(3, 40));
    let recipe = vec![
        Step::new("twin_start", Target::Double)
            .force(draw.between(0, 1500))
            .when(&[nth(Mark::Acked, p, before)])
            .until(&[struck(4)]),
        Step::new(away, Target::Double).until(&[struck(2)]),
        Step::witness(&[any(Mark::Shrunk, 1)]),
        // Let in again while it is away: that is the other.
        Step::witness(&[any(Mark::Grown, 1)]),
        Step::witness(&[any(Mark::Acked, both)]),
        Step::witness(&[any(Mark::Registered, 1)]),
        Step::witness(&[Wait::InSync { p, size: 4 }]),
    ];
    cook(setup, recipe)
}
