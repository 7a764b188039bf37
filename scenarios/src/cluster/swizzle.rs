//! FoundationDB's swizzle-clogging: brokers are cut off one by one, and come back in another order.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "swizzle", about: "brokers are cut off one by one and come back in another order", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::Everyone, base::on_broker("swizzle", (1, 3), (500, 4000))),
        base::at(Target::Minority, base::on_broker("process_crash", (0, 2), (50, 800))),
    ];
    setup
}
