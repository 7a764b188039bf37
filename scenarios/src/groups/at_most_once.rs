//! A consumer that commits first: what a crash catches under way is lost, and nothing is processed twice.

use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "at_most_once",
    about: "offsets are committed before records are handed out: crashes lose some, which is expected and counted",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::one_for_groups(draw);
    setup.contract.at_most_once = true;
    let mut group = base::group(draw);
    group.work_us = (100, 3000);
    setup.load.groups = vec![group];
    setup.menu = vec![base::on_client("client_crash", (1, 4), (50, 2000))];
    setup
}
