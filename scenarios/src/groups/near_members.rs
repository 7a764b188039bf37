//! Members read from the replica in their own rack (KIP-392), which may be behind, or gone, or empty.

use harness::plan::Target;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "near_members",
    about: "members read from the nearest replica, which crashes, falls behind or loses its disk; nothing is read again",
    setup,
};

fn setup(draw: &mut Draw) -> Setup {
    let mut setup = base::three_for_groups(draw);
    setup.load.groups = vec![base::group(draw)];
    setup.load.near = true;
    setup.racks = 3;
    let on = |target, fault, count| base::at(target, base::on_broker(fault, count, (50, 1500)));
    setup.menu = vec![
        // Two disks lost at once are more than a minority of the in-sync set.
        on(Target::Spared, "wipe", (1, 2)),
        // Nor may the others crash while nobody has noticed that a disk is gone: each comes back unclean, the lost one
        // is the last in sync, and led last, so it is trusted for want of a better (KIP-966).
        on(Target::Spared, "process_crash", (0, 2)),
        on(Target::FollowerOf(0), "freeze", (0, 1)),
    ];
    setup
}
