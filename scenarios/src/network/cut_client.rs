//! A client loses the broker for a while, long enough for its requests to time out or not.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "cut_client",
    about: "a client cannot reach the broker for a while; retries keep every promise",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::pipelined(&mut setup, draw);
    base::one_ack(&mut setup, draw);
    base::impatient(&mut setup, draw);
    setup.menu = vec![
        base::on_link("cut", (1, 3), (20, 3000)),
        base::on_link("slow_link", (0, 2), (200, 2000)),
        base::on_client("client_crash", (0, 1), (100, 500)),
    ];
    setup.menu[1].force = (20, 400);
    setup
}
