//! Too few replicas are in sync: acks=all is refused, and what was refused before it was appended is nowhere.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "min_isr_refusal",
    about: "a majority is away; acks=all is refused until two replicas are in sync again",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    base::impatient(&mut setup, draw);
    setup.menu = vec![
        base::at(Target::LeaderLinks(0), base::on_broker("cut", (1, 2), (800, 3000))),
        base::at(Target::FollowerOf(0), base::on_broker("process_crash", (2, 4), (500, 2500))),
        base::at(
            Target::LeaderOf(0),
            base::after(&[Mark::Shrunk], base::on_broker("process_crash", (0, 1), (50, 800))),
        ),
    ];
    setup
}
