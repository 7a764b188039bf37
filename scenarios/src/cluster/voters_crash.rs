//! Whoever has just elected a controller dies with it: who was voted for must be known after the restart, or another is
//! elected in the same epoch.

use harness::plan::{Mark, Target};
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "voters_crash",
    about: "controllers die with those who elected them; nobody votes twice in one epoch",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    let elected: &[Mark] = &[Mark::QuorumLeads];
    let away = (1000, 3000);
    setup.menu = vec![
        // One is away while the other two elect, so that it hears of no vote.
        base::at(Target::Controller, base::after(&[], base::on_broker("process_crash", (1, 2), away))),
        base::at(Target::Controller, base::after(elected, base::on_broker("process_crash", (1, 2), away))),
        // The last that is up, if the new controller was struck at the same moment: its voter.
        base::after(elected, base::on_broker("process_crash", (1, 3), (20, 200))),
    ];
    setup
}
