//! No fault at all: what the suite costs, and the proof that it finds nothing where there is nothing.

use broker::record::Compression;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "steady",
    about: "no faults: three client hosts, 300 records a second; nothing may be found",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    setup.load.hosts = 3;
    setup.load.producers = 3;
    setup.load.tailers = 2;
    setup.load.rate = 300;
    setup.load.linger_ms = 0;
    // Its cost is what the suite's own is compared by; the codecs' is theirs.
    setup.load.compression = Compression::None;
    setup.times.strikes_ms = 4500;
    setup.least_strikes = 0;
    setup
}
