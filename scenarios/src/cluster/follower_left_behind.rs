//! Retention on the leader overtakes a follower that is away: all it has is gone there, and it begins anew where the leader
//! begins (KAFKA-9491).

use std::time::Duration;

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "follower_left_behind",
    about: "what a follower lacks is deleted by retention before it is back; it begins anew where the leader begins",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_brokers(draw);
    base::pipelined(&mut setup, draw);
    setup.contract.retention = true;
    setup.broker.retention_check_interval = Duration::from_millis(draw.between(20, 200));
    setup.load.rate = 150;
    let log = &mut setup.topics[0].log;
    log.segment_bytes = *draw.pick(&[600, 1200, 2500]);
    log.retention_bytes = Some(draw.between(600, 6000));
    setup.menu = vec![
        base::at(Target::FollowerOf(0), base::on_broker("process_crash", (1, 2), (1000, 3500))),
        base::at(Target::FollowerLink(0), base::on_broker("cut", (0, 2), (1000, 3500))),
        base::at(Target::LeaderOf(0), base::on_broker("process_crash", (0, 1), (50, 800))),
        base::at(Target::Everyone, base::on_broker("config_flip", (0, 3), (300, 2500))),
    ];
    setup
}
