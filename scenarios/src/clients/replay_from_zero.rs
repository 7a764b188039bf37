//! Consumers read the whole log again and again while the broker is killed and its segments roll.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "replay_from_zero",
    about: "consumers replay from offset 0 through crashes; no record skipped or repeated",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    base::less_acks(&mut setup, draw);
    setup.load.replayers = 2;
    setup.load.fetch_bytes = *draw.pick(&[512, 2 << 10, 64 << 10]);
    setup.topics[0].log.segment_bytes = *draw.pick(&[700, 1500, 4 << 10]);
    setup.topics[0].log.index_interval_bytes = *draw.pick(&[1, 64, 256]);
    setup.menu = vec![base::on_broker("process_crash", (1, 3), (50, 500)), base::on_link("cut", (0, 2), (20, 2000))];
    setup
}
