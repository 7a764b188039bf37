//! acks=1 is the leader's word alone: what it has acknowledged and nobody has fetched is lost with it, or when it learns
//! that it has led no more for a while. That is counted. What consumers have seen is kept all the same.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "acks_one_failover",
    about: "acks=1: leaders die or are cut off with what nobody has fetched; the loss is expected and counted",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    setup.contract.acks = 1;
    let acked: &[Mark] = &[Mark::Appended, Mark::Acked];
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::after(acked, base::on_broker("process_crash", (1, 3), (500, 2500)))),
        base::at(Target::LeaderOf(0), base::after(acked, base::on_broker("isolate", (1, 2), (1000, 4000)))),
        base::at(Target::FollowerOf(0), base::on_broker("freeze", (0, 2), (200, 1500))),
    ];
    setup
}
