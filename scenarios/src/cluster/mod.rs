//! What breaks clusters: three brokers, their replicas and their controller.

pub(crate) mod bit_rot_on_leader;
pub(crate) mod clock_skew_cluster;
pub(crate) mod controller_crash_loop;
pub(crate) mod cut_controller;
pub(crate) mod cut_leader;
pub(crate) mod fast_failover;
pub(crate) mod follower_left_behind;
pub(crate) mod follower_wiped;
pub(crate) mod in_sync_flapping;
pub(crate) mod lagging_watermark;
pub(crate) mod last_replica_standing;
pub(crate) mod late_in_sync_change;
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
pub(crate) mod voters_crash;
