//! Acknowledgements are lost and the leader is killed with five requests open on every connection: each record is to be there all the same.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "retry_storm_cluster",
    about: "answers are lost and leaders killed with five requests in flight",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    setup.contract.max_in_flight = 5;
    // Then each is there once, and in the order sent.
    setup.contract.idempotent = draw.aside("idempotent").chance(500);
    base::impatient(&mut setup, draw);
    setup.load.producers = 3;
    setup.load.linger_ms = 0;
    setup.load.rate = 200;
    setup.menu = vec![
        base::at(Target::LeaderOf(0), base::on_broker("reset_after_append", (3, 8), (200, 1500))),
        base::at(
            Target::LeaderOf(0),
            base::after(&[Mark::Struck, Mark::Acked], base::on_broker("process_crash", (1, 3), (50, 1200))),
        ),
        base::at(Target::Client, base::on_broker("cut", (0, 2), (50, 1500))),
    ];
    setup.menu[0].force = (1, 12);
    setup
}
