//! Storms of rebalancing that are measured: one for each size of a group. Under any protocol the same members come, go and
//! die at the same moments; a run that breaks a promise is no measurement.

use harness::client::group::assign::Assignor;
use harness::group_load::GroupLoad;
use harness::scenario::{Scenario, Setup};
use harness::seed::Draw;

use crate::base;

/// By members: two partitions for each.
pub const ALL: &[(u32, Scenario)] = &[
    (3, Scenario { name: "storm_of_3", about: ABOUT, setup: |draw| setup(draw, 3) }),
    (10, Scenario { name: "storm_of_10", about: ABOUT, setup: |draw| setup(draw, 10) }),
    (50, Scenario { name: "storm_of_50", about: ABOUT, setup: |draw| setup(draw, 50) }),
];

/// What they are measured under: one of each protocol.
pub const PROTOCOLS: &[Assignor] = &[Assignor::Range, Assignor::CooperativeSticky, Assignor::Brokers];

const ABOUT: &str = "members of a group come, go and die, one every second or so, while records come in";

fn setup(draw: &mut Draw, members: u32) -> Setup {
    let mut setup = base::one_for_groups(draw);
    setup.topics[0].partitions = i32::try_from(2 * members).unwrap_or(i32::MAX);
    setup.topics[0].log.segment_bytes = 1 << 20;
    // However many there are, one of them goes every second and a half.
    let stay = u64::from(members);
    setup.load.groups = vec![GroupLoad {
        members,
        stay_ms: (200, 3000 * stay),
        vanish_per_mille: 300,
        commit_ms: 200,
        work_us: (0, 500),
        ..GroupLoad::default()
    }];
    (setup.load.rate, setup.load.naming_per_mille) = (200, 1000);
    setup.load.fetch_wait_ms = 100;
    setup.load.tailers = 0;
    (setup.times.strikes_ms, setup.least_strikes) = (20_000, 0);
    setup
}

#[cfg(test)]
mod tests {
    use harness::bench::rebalance::spec;
    use harness::run::RunSpec;

    use super::{ALL, PROTOCOLS};

    #[test]
    fn a_storm_is_the_same_but_for_its_protocol() {
        for (_, storm) in ALL {
            let own = RunSpec::new(storm, 7);
            for protocol in PROTOCOLS {
                let spec = spec(storm, *protocol, 7);
                let mut load = spec.setup().load;
                assert!(load.groups.iter().all(|group| group.assignor == *protocol));
                for (group, drawn) in load.groups.iter_mut().zip(own.setup().load.groups) {
                    group.assignor = drawn.assignor;
                }
                assert_eq!(load, own.setup().load);
                // Plan, streams of draws and the rest follow from these.
                assert_eq!((spec.seed, spec.scenario.name), (own.seed, own.scenario.name));
                assert!(spec.with.plan.is_none() && spec.with.log.is_none());
            }
        }
    }
}
