//! A topic grows under its group, whose leader must notice and share out anew.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "expand_partitions",
    about: "a topic is given more partitions; its group reads them from their first record on",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_for_groups(draw);
    setup.topics[0].grows = 3;
    setup.load.groups = vec![base::group(draw)];
    setup.load.hosts = 2;
    setup.menu = vec![
        base::at(Target::Nobody, base::on_broker("expand", (1, 3), (0, 0))),
        base::at(Target::Controller, base::on_broker("process_crash", (0, 1), (50, 1500))),
    ];
    setup
}
