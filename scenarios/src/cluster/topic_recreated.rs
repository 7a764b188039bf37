//! A topic is deleted and made anew under its name while clients use it: nothing of the old one may show in the new (KIP-516).

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "topic_recreated",
    about: "a topic is deleted and made anew under load; the new one knows nothing of the old",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    setup.menu = vec![
        base::at(Target::Everyone, base::on_broker("delete_and_recreate", (1, 2), (1, 1))),
        base::at(Target::Minority, base::on_broker("process_crash", (0, 2), (100, 1500))),
        base::at(Target::FollowerLink(0), base::on_broker("hold_request", (0, 1), (100, 1500))),
    ];
    setup.menu[2].force = base::api(base::FETCH);
    setup
}
