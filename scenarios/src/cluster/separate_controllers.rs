//! Controllers that are nodes of their own (`process.roles`), of which one or another is lost, cut off or standing still,
//! while brokers are lost, too: what is decided stays decided, and brokers lead on while nobody decides.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "separate_controllers",
    about: "three controllers apart from three brokers; controllers crash, freeze, lose power or are cut off, and brokers crash",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.controllers = 3;
    let elected: &[Mark] = &[Mark::QuorumLeads];
    let on = |target, fault, count| base::at(target, base::on_broker(fault, count, (50, 2000)));
    setup.menu = vec![
        on(Target::Controller, "process_crash", (0, 2)),
        on(Target::Controller, "isolate", (0, 1)),
        on(Target::Controller, "freeze", (0, 1)),
        on(Target::Voter, "power_loss", (1, 2)),
        base::at(Target::Voter, base::after(elected, base::on_broker("process_crash", (0, 1), (50, 1000)))),
        on(Target::Spared, "process_crash", (1, 2)),
        on(Target::LeaderOf(0), "freeze", (0, 1)),
    ];
    setup
}
