//! The power goes while the broker syncs when it likes: what is lost is a suffix, and it is counted, not failed.

use broker::config::FlushPolicy;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "power_loss_lazy_flush",
    about: "the power goes under lazy flush; the lost suffix is expected and counted",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_broker(draw);
    let (records, millis) = (draw.between(5, 50), draw.between(50, 1000));
    let flush = *draw.pick(&[FlushPolicy::Never, FlushPolicy::Records(records), FlushPolicy::Millis(millis)]);
    setup.contract.flush = flush;
    setup.contract.power_loss = true;
    setup.topics[0].log.flush = flush;
    setup.menu =
        vec![base::on_broker("power_loss", (1, 3), (50, 800)), base::on_broker("process_crash", (0, 1), (50, 400))];
    setup
}
