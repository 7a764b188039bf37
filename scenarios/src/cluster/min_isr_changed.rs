//! `min.insync.replicas` is raised and lowered while followers come and go: who was eligible under the old value must not be
//! while records commit without it under the other. A leader that has not heard of the raised one commits with fewer than the
//! controller counts on.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "min_isr_changed",
    about: "min.insync.replicas changes while followers crash; who is eligible has all that is committed",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.menu = vec![
        base::after(&[], base::at(Target::FollowerOf(0), base::on_broker("process_crash", (2, 4), (100, 1500)))),
        base::at(Target::Everyone, base::after(&[], base::on_broker("config_flip", (14, 20), (50, 1500)))),
    ];
    setup
}
