//! The broker process dies and starts again; the machine lives on, so nothing that was written may be lost.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "broker_crash",
    about: "the broker process is killed and restarted; nothing acknowledged is lost",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::pipelined(&mut setup, draw);
    base::less_acks(&mut setup, draw);
    setup.menu = vec![
        base::on_broker("process_crash", (1, 3), (50, 800)),
        base::on_client("client_crash", (0, 1), (100, 500)),
        base::on_broker("freeze", (0, 1), (100, 1500)),
    ];
    setup
}
