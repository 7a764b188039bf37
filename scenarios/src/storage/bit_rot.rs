//! Stored bits flip. Nobody may be handed a damaged record; losing it is the harm itself.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario =
    Scenario { name: "bit_rot", about: "stored bits flip; damage is noticed, never delivered", setup };

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.contract.bit_rot = true;
    // What is damaged may go off line: with one partition nothing would be left to judge.
    setup.topics[0].partitions = setup.topics[0].partitions.max(2);
    setup.menu = vec![
        base::on_broker("bit_flip", (1, 4), (1, 1)),
        base::on_broker("process_crash", (0, 2), (50, 400)),
        base::on_broker("read_error", (0, 1), (50, 300)),
    ];
    setup
}
