//! NATS 2.12.1's scenario: two of five are cut off while the other three acknowledge. One of those loses its power; at the
//! same moment the two come back, and the rest are cut off. The new majority shares one broker with the old, and that
//! has what it had synced.

use harness::plan::{Mark, Target};
use harness::recipe::{Step, Wait, any, nth, struck};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use super::{LOST, cluster, cook};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "ack_before_fsync_cluster",
    about: "two majorities meet in a broker that lost its power between them; it remembers what was acknowledged",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let (mut setup, p) = cluster(draw);
    setup.contract.brokers = 5;
    setup.contract.replication = 5;
    setup.contract.min_insync = 3;
    setup.contract.power_loss = true;
    // Slower than the links, and not so slow that the leader is taken for dead.
    let (acked, slow) = (draw.between(2, 12), draw.between(5, 20));
    let recipe = vec![
        Step::new("isolate", Target::Fresh(2)).until(&[struck(3)]),
        Step::witness(&[Wait::InSync { p, size: 3 }]),
        // Of the three, the others are faster than the leader: when all have a record, it may not be on its disk.
        Step::new("slow_disk", Target::LeaderOf(p)).force(slow).until(&[struck(1)]),
        Step::new("power_loss", Target::LeaderOf(p))
            .force(LOST)
            .when(&[nth(Mark::Acked, p, acked), Wait::InSync { p, size: 3 }])
            .until(&[struck(1)]),
        Step::new("isolate", Target::Fresh(0)).until(&[struck(1)]),
        // The broker in both majorities is back, and known to the new one.
        Step::witness(&[any(Mark::QuorumLeads, 1), any(Mark::Registered, 1)]),
        Step::witness(&[Wait::InSync { p, size: 5 }]),
    ];
    cook(setup, recipe)
}
