//! The catalogue: one small file per scenario, one row here, and the planted defects each must find.
//!
//! A scenario is a function from draws to a setup: it says what is promised, who works, and which faults may strike. It
//! holds no loop and no check; the harness has those.

mod apps;
mod base;
mod clients;
mod cluster;
mod groups;
pub mod known;
mod network;
pub mod planted;
mod recipes;
mod storage;
pub mod storms;

use harness::scenario::Scenario;

/// Every scenario, in the order they are listed and swept.
pub const ALL: &[Scenario] = &[
    clients::steady::SCENARIO,
    storage::broker_crash::SCENARIO,
    storage::power_loss::SCENARIO,
    storage::power_loss_lazy_flush::SCENARIO,
    storage::torn_tail::SCENARIO,
    network::cut_client::SCENARIO,
    network::one_way_cut::SCENARIO,
    network::reset_after_append::SCENARIO,
    clients::retry_storm::SCENARIO,
    storage::slow_disk::SCENARIO,
    storage::full_disk::SCENARIO,
    storage::fsync_error::SCENARIO,
    storage::bit_rot::SCENARIO,
    storage::clock_jump::SCENARIO,
    storage::retention_race::SCENARIO,
    storage::recycled_segments::SCENARIO,
    storage::compaction_under_load::SCENARIO,
    clients::timestamp_lookup::SCENARIO,
    clients::replay_from_zero::SCENARIO,
    clients::many_partitions::SCENARIO,
    cluster::leader_crash::SCENARIO,
    cluster::rolling_restart::SCENARIO,
    cluster::power_loss_minority::SCENARIO,
    cluster::power_loss_everyone::SCENARIO,
    cluster::cut_leader::SCENARIO,
    cluster::one_way_cut_leader::SCENARIO,
    cluster::cut_controller::SCENARIO,
    cluster::fast_failover::SCENARIO,
    cluster::in_sync_flapping::SCENARIO,
    cluster::controller_crash_loop::SCENARIO,
    cluster::unclean_election::SCENARIO,
    cluster::acks_one_failover::SCENARIO,
    cluster::retry_storm_cluster::SCENARIO,
    cluster::bad_disk_on_leader::SCENARIO,
    cluster::bit_rot_on_leader::SCENARIO,
    cluster::min_isr_refusal::SCENARIO,
    cluster::min_isr_changed::SCENARIO,
    cluster::clock_skew_cluster::SCENARIO,
    cluster::compacted_replicas::SCENARIO,
    cluster::voters_crash::SCENARIO,
    cluster::separate_controllers::SCENARIO,
    cluster::voters_changed::SCENARIO,
    recipes::lagging_watermark::SCENARIO,
    cluster::late_in_sync_change::SCENARIO,
    cluster::metadata_left_behind::SCENARIO,
    cluster::swizzle::SCENARIO,
    recipes::stale_fetch::SCENARIO,
    cluster::follower_wiped::SCENARIO,
    cluster::slow_follower::SCENARIO,
    cluster::last_replica_standing::SCENARIO,
    cluster::reassign_under_load::SCENARIO,
    cluster::topic_recreated::SCENARIO,
    cluster::follower_left_behind::SCENARIO,
    cluster::recycled_replicas::SCENARIO,
    recipes::truncate_to_hw::SCENARIO,
    recipes::hw_divergence::SCENARIO,
    recipes::fast_failover_divergence::SCENARIO,
    recipes::failover_and_back::SCENARIO,
    recipes::hw_before_truncate::SCENARIO,
    recipes::ack_before_fsync_cluster::SCENARIO,
    recipes::sole_survivor::SCENARIO,
    recipes::epoch_bump_inflight::SCENARIO,
    recipes::twin_start::SCENARIO,
    recipes::late_expand::SCENARIO,
    recipes::ghost_member::SCENARIO,
    recipes::late_leader::SCENARIO,
    groups::rebalance_storm::SCENARIO,
    groups::replay_after_bug::SCENARIO,
    groups::member_crash::SCENARIO,
    groups::slow_member::SCENARIO,
    groups::zombie_member::SCENARIO,
    groups::static_restart::SCENARIO,
    groups::lost_join::SCENARIO,
    groups::stuck_consumer::SCENARIO,
    groups::twin_instance::SCENARIO,
    groups::more_members_than_partitions::SCENARIO,
    groups::near_members::SCENARIO,
    groups::hot_partition::SCENARIO,
    groups::independent_groups::SCENARIO,
    groups::lag_spike::SCENARIO,
    groups::throttled_producer::SCENARIO,
    groups::backpressure::SCENARIO,
    groups::backlog_drain::SCENARIO,
    groups::at_most_once::SCENARIO,
    groups::coordinator_crash::SCENARIO,
    groups::coordinator_cut::SCENARIO,
    groups::expand_partitions::SCENARIO,
    groups::offsets_survive_failover::SCENARIO,
    groups::duplicate_delivery::SCENARIO,
    groups::poison_message::SCENARIO,
    groups::dead_letter_order::SCENARIO,
    groups::hung_handler::SCENARIO,
    groups::orders_pipeline::SCENARIO,
];

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|s| s.name == name)
}

#[cfg(test)]
mod tests {
    use broker::record::Compression;
    use harness::fault;
    use harness::run::RunSpec;

    #[test]
    fn names_differ_and_menus_name_faults_that_there_are() {
        let mut names: Vec<_> = super::ALL.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a != b), "two scenarios of one name");
        for scenario in super::ALL.iter() {
            let setup = RunSpec::new(scenario, 1).setup();
            for name in setup.faults() {
                assert!(fault::find(name).is_some(), "{}: no fault {name}", scenario.name);
            }
        }
    }

    #[test]
    fn every_codec_is_drawn_by_every_scenario_but_the_yardstick() {
        for scenario in super::ALL.iter().filter(|scenario| scenario.name != "steady") {
            let drawn: Vec<_> = (0..60).map(|seed| RunSpec::new(scenario, seed).setup().load.compression).collect();
            for codec in Compression::ALL {
                assert!(drawn.contains(codec), "{} never sends {codec:?}", scenario.name);
            }
        }
    }

    #[test]
    fn every_level_of_acknowledgement_is_drawn() {
        let acks = |name: &str| -> std::collections::BTreeSet<i16> {
            let scenario = super::find(name).expect("a scenario");
            (0..60).map(|seed| RunSpec::new(scenario, seed).setup().contract.acks).collect()
        };
        for name in ["broker_crash", "power_loss", "replay_from_zero"] {
            assert_eq!(acks(name).into_iter().collect::<Vec<_>>(), [-1, 0, 1], "{name}");
        }
        for name in ["cut_client", "full_disk", "one_way_cut", "slow_disk"] {
            assert_eq!(acks(name).into_iter().collect::<Vec<_>>(), [-1, 1], "{name}");
        }
    }
}
