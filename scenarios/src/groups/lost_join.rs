//! Static members (KIP-345) go and come again, and the coordinator's answers to them are lost: whoever asks again is the
//! member that it was, and not a second one of its name. Their sessions are as long as Kafka's, so that none ends in a run.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "lost_join",
    about: "answers to static members that join are lost; who asks again is not fenced by itself",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    let mut group = base::group(draw);
    group.members = 4;
    group.instances = 4;
    group.stay_ms = (200, 1500);
    group.session_ms = 45_000;
    setup.load.groups = vec![group];
    setup.load.hosts = 4;
    setup.load.request_timeout_ms = *draw.pick(&[200, 500]);
    let own = setup.coordinated_by(0);
    let lost = |api, count| {
        let mut menace = base::at(Target::LeaderClients(own), base::on_broker("drop_answer", count, (50, 500)));
        menace.force = base::api(api);
        menace
    };
    setup.menu = vec![lost(base::JOIN_GROUP, (1, 4)), lost(base::GROUP_HEARTBEAT, (1, 4))];
    setup
}
