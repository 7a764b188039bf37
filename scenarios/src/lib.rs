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
];

/// The scenario of that name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().chain(cluster::ALL).find(|s| s.name == name)
}
