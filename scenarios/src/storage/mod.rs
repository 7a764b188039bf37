//! What breaks machines and disks.

pub(crate) mod bit_rot;
pub(crate) mod broker_crash;
pub(crate) mod clock_jump;
pub(crate) mod compaction_under_load;
pub(crate) mod fsync_error;
pub(crate) mod full_disk;
pub(crate) mod power_loss;
pub(crate) mod power_loss_lazy_flush;
pub(crate) mod recycled_segments;
pub(crate) mod retention_race;
pub(crate) mod slow_disk;
pub(crate) mod torn_tail;
