//! KIP-279's scenario with the first leader elected again: it has a tail of its epoch, and its successor has one of the next,
//! from the same offset on. The leader does not know that epoch, and its own log may be the longer one: only by asking which
//! epoch was looked up does the successor learn where the two part.

use std::time::Duration;

use broker::ids::Offset;
use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{cluster, cook, silence};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "failover_and_back",
    about: "a leader is cut off and leads again; who led meanwhile cuts what it wrote, whichever log is the longer",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    // Whoever is cut off stays eligible (KIP-966), because fewer than two replicas commit nothing; what the leader alone
    // has is acknowledged all the same.
    setup.contract.replication = 2;
    setup.contract.min_insync = 2;
    setup.contract.acks = 1;
    setup.broker.replica_lag_time_max = Duration::from_millis(draw.between(3000, 5000));
    let tail = Offset::try_from(draw.between(2, 8)).unwrap_or(2);
    let written = draw.between(1, 6);
    let recipe = vec![
        silence(p).until(&[struck(3)]),
        Step::new("isolate", Target::LeaderOf(p)).when(&[Wait::Tail { p, n: tail }]).until(&[struck(2)]),
        Step::new("cut", Target::LeaderClients(p)).until(&[struck(1)]),
        Step::new("process_crash", Target::LeaderOf(p))
            .when(&[Wait::NewLeader { p }, nth(Mark::Appended, p, written)])
            .until(&[Wait::NewLeader { p }]),
        Step::witness(&[Wait::NewLeader { p }]),
        Step::witness(&[Wait::InSync { p, size: 2 }]),
    ];
    cook(setup, recipe)
}
