//! Scenarios of consumer groups: members that come, go, stand still and come back; coordinators that die under them.

pub mod at_most_once;
pub mod backlog_drain;
pub mod coordinator_crash;
pub mod coordinator_cut;
pub mod expand_partitions;
pub mod independent_groups;
pub mod member_crash;
pub mod more_members_than_partitions;
pub mod offsets_survive_failover;
pub mod rebalance_storm;
pub mod replay_after_bug;
pub mod slow_member;
pub mod static_restart;
pub mod twin_instance;
pub mod zombie_member;
