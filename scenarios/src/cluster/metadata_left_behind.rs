//! A broker is away for longer than the others keep their metadata log: it comes back to a log that begins after all it has,
//! and must take a snapshot for what it missed (KIP-630). Whoever was away may be elected controller right after.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "metadata_left_behind",
    about: "the metadata log is cut behind snapshots while a broker is away; it fetches a snapshot, and may be elected",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.broker.metadata_snapshot_bytes = draw.between(150, 300);
    setup.least_snapshots = 1;
    let back: &[Mark] = &[Mark::Registered];
    setup.menu = vec![
        base::after(&[], base::at(Target::FollowerOf(0), base::on_broker("process_crash", (2, 3), (1500, 3000)))),
        base::after(&[], base::at(Target::FollowerOf(0), base::on_broker("isolate", (0, 1), (1500, 3000)))),
        // What is decided meanwhile.
        base::at(Target::Everyone, base::after(&[], base::on_broker("config_flip", (14, 20), (50, 1500)))),
        base::at(Target::Controller, base::after(back, base::on_broker("process_crash", (0, 2), (50, 600)))),
    ];
    // A raised min.insync.replicas that a leader has not heard of yet is another matter.
    setup.menu[2].force = (1, 1);
    setup
}
