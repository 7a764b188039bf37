//! Power goes at the brokers that coordinate; what a group committed is there at the next one.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "offsets_survive_failover",
    about: "coordinators lose their power, and what was not synced; every commit survives",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_for_groups(draw);
    setup.contract.power_loss = true;
    setup.load.groups = vec![base::group(draw)];
    let own = setup.coordinated_by(0);
    setup.menu = vec![
        base::at(Target::LeaderOf(own), base::on_broker("power_loss", (1, 2), (50, 2000))),
        base::at(Target::Everyone, base::on_broker("power_loss", (0, 1), (50, 800))),
        base::on_client("client_crash", (0, 2), (50, 1500)),
    ];
    setup
}
