//! What leaders ask of the controller arrives late and twice: a change of the in-sync set that was asked for before the
//! last one, or for a process that is gone, must not be made (KIP-497, KIP-903).

use std::time::Duration;

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "late_in_sync_change",
    about: "changes of the in-sync set arrive late and twice, while members lag or lose their disks; none is made too late",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.broker.replica_lag_time_max = Duration::from_millis(draw.between(150, 300));
    let leader = |fault, count| base::at(Target::LeaderOf(0), base::on_broker(fault, count, (1000, 4000)));
    let flapped: &[Mark] = &[Mark::Shrunk, Mark::Grown];
    setup.menu = vec![
        base::at(Target::FollowerLink(0), base::after(flapped, base::on_broker("cut", (2, 4), (250, 900)))),
        leader("repeat_request", (1, 3)),
        base::at(Target::LeaderOf(0), base::on_broker("hold_request", (0, 2), (400, 2000))),
        base::at(Target::Spared, base::after(&[Mark::Grown, Mark::Struck], base::on_broker("wipe", (0, 1), (50, 500)))),
    ];
    setup.menu[1].force = base::api(base::ALTER_PARTITION);
    setup.menu[2].force = base::api(base::ALTER_PARTITION);
    setup
}
