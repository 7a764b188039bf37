//! Idempotent producers with five requests in flight lose their answers, their broker and their patience, again and
//! again: every record is stored once, and in order.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "retry_storm",
    about: "idempotent, five in flight: answers lost, broker killed; each record is stored once, in order",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.idempotent = true;
    setup.contract.max_in_flight = 5;
    base::impatient(&mut setup, draw);
    setup.load.producers = 3;
    setup.load.rate = draw.between(100, 250);
    setup.load.linger_ms = *draw.pick(&[0, 2, 5]);
    setup.load.batch_bytes = *draw.pick(&[200, 2000, 16 << 10]);
    setup.menu = vec![
        base::on_broker("reset_after_append", (3, 10), (200, 1500)),
        base::on_broker("process_crash", (0, 2), (50, 600)),
        base::on_broker("disk_stall", (0, 2), (50, 800)),
        base::on_link("cut", (0, 2), (20, 2500)),
        base::on_link("cut_one_way", (0, 2), (20, 2500)),
    ];
    setup.menu[0].force = (1, 12);
    setup
}
