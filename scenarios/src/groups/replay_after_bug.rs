//! What an application has done since some time was wrong: its group is set back to that time and goes through it again.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "replay_after_bug",
    about: "groups are set back to a time while their members are away; all from there on is processed again",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_for_groups(draw);
    setup.contract.rewinds = true;
    setup.load.groups = (0..draw.between(1, 2)).map(|_| base::group(draw)).collect();
    setup.load.hosts = 2;
    let coordinator = Target::LeaderOf(setup.coordinated_by(0));
    setup.menu = vec![
        base::at(Target::Nobody, base::on_broker("rewind_group", (2, 3), (0, 0))),
        base::on_client("client_crash", (0, 1), (50, 1000)),
        base::at(coordinator, base::on_broker("process_crash", (0, 1), (50, 1500))),
    ];
    setup
}
