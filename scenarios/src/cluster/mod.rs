//! What breaks clusters: three brokers, their replicas and their controller.

pub(crate) mod bit_rot_on_leader;
pub(crate) mod clock_skew_cluster;
pub(crate) mod controller_crash_loop;
pub(crate) mod cut_controller;
pub(crate) mod cut_leader;
pub(crate) mod fast_failover;
pub(crate) mod follower_wiped;
pub(crate) mod in_sync_flapping;
pub(crate) mod last_replica_standing;
pub(crate) mod leader_crash;
pub(crate) mod min_isr_refusal;
pub(crate) mod one_way_cut_leader;
pub(crate) mod power_loss_everyone;
pub(crate) mod power_loss_minority;
pub(crate) mod reassign_under_load;
pub(crate) mod retry_storm_cluster;
pub(crate) mod rolling_restart;
pub(crate) mod slow_follower;
pub(crate) mod stale_fetch;
pub(crate) mod swizzle;
pub(crate) mod topic_recreated;
pub(crate) mod unclean_election;

use harness::scenario::Scenario;

/// Every scenario of a cluster, in the order they are listed and swept.
pub const ALL: &[Scenario] = &[
    leader_crash::SCENARIO,
    rolling_restart::SCENARIO,
    power_loss_minority::SCENARIO,
    power_loss_everyone::SCENARIO,
    cut_leader::SCENARIO,
    one_way_cut_leader::SCENARIO,
    cut_controller::SCENARIO,
    swizzle::SCENARIO,
    fast_failover::SCENARIO,
    stale_fetch::SCENARIO,
    follower_wiped::SCENARIO,
    slow_follower::SCENARIO,
    in_sync_flapping::SCENARIO,
    controller_crash_loop::SCENARIO,
    last_replica_standing::SCENARIO,
    unclean_election::SCENARIO,
    retry_storm_cluster::SCENARIO,
    bit_rot_on_leader::SCENARIO,
    min_isr_refusal::SCENARIO,
    clock_skew_cluster::SCENARIO,
    reassign_under_load::SCENARIO,
    topic_recreated::SCENARIO,
];

#[cfg(test)]
mod tests {
    use harness::fault;
    use harness::run::RunSpec;

    #[test]
    fn every_menu_names_faults_that_there_are() {
        for scenario in super::ALL {
            let setup = RunSpec::new(scenario, 1).setup();
            assert!(setup.contract.clustered(), "{} is no cluster", scenario.name);
            for menace in &setup.menu {
                assert!(fault::find(menace.fault).is_some(), "{}: no fault {}", scenario.name, menace.fault);
            }
        }
    }
}
