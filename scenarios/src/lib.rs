//! The catalogue: one small file per scenario, one row here, and the planted defects each must find.
//!
//! A scenario is a function from draws to a setup: it says what is promised, who works, and which faults may strike. It
//! holds no loop and no check; the harness has those.

mod base;
mod clients;
pub mod cluster;
pub mod known;
mod network;
pub mod planted;
mod storage;

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
    cluster::swizzle::SCENARIO,
    cluster::fast_failover::SCENARIO,
    cluster::stale_fetch::SCENARIO,
    cluster::follower_wiped::SCENARIO,
    cluster::slow_follower::SCENARIO,
    cluster::in_sync_flapping::SCENARIO,
    cluster::controller_crash_loop::SCENARIO,
    cluster::unclean_election::SCENARIO,
    cluster::retry_storm_cluster::SCENARIO,
    cluster::bit_rot_on_leader::SCENARIO,
    cluster::min_isr_refusal::SCENARIO,
    cluster::clock_skew_cluster::SCENARIO,
    cluster::topic_recreated::SCENARIO,
];

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|s| s.name == name)
}
