//! All brokers die at once, and the high watermarks written down are old: who was behind must not be let in by one of them
//! (KAFKA-7128).

use std::time::Duration;

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "lagging_watermark",
    about: "all brokers die while one lags, and begin with old high watermarks; it is let in when it has everything",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.broker.checkpoint_interval = Duration::from_millis(draw.between(1000, 4000));
    let heels: &[Mark] = &[Mark::Shrunk, Mark::Registered];
    setup.menu = vec![
        base::at(Target::FollowerOf(0), base::on_broker("process_crash", (1, 2), (800, 2500))),
        base::at(Target::Everyone, base::after(heels, base::on_broker("process_crash", (1, 2), (50, 800)))),
    ];
    setup
}
