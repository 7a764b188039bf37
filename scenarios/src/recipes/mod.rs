//! Sequences that chance hardly ever hits: each strike waits for the state that the next one needs. What lost data in
//! Kafka and its kin, step by step.

use std::time::Duration;

use harness::plan::Target;
use harness::recipe::{Step, Wait};
use harness::scenario::Setup;
use harness::seed::Draw;

use crate::base;

/// What a power loss does to unsynced data, as its force: all of it is lost.
const LOST: u64 = 1;
/// All of it is kept.
const KEPT: u64 = 2;

pub(crate) mod ack_before_fsync_cluster;
pub(crate) mod epoch_bump_inflight;
pub(crate) mod failover_and_back;
pub(crate) mod fast_failover_divergence;
pub(crate) mod ghost_member;
pub(crate) mod hw_before_truncate;
pub(crate) mod hw_divergence;
pub(crate) mod lagging_watermark;
pub(crate) mod late_expand;
pub(crate) mod late_leader;
pub(crate) mod sole_survivor;
pub(crate) mod stale_fetch;
pub(crate) mod truncate_to_hw;
pub(crate) mod twin_start;

/// A cluster at work, and the partition that its recipe is about.
fn cluster(draw: &mut Draw) -> (Setup, u32) {
    let mut setup = base::three_brokers(draw);
    setup.load.keyless_per_mille = 1000;
    setup.times.strikes_ms = 15_000;
    let partitions = u64::try_from(setup.topics[0].partitions).unwrap_or(1);
    let p = u32::try_from(draw.below(partitions)).unwrap_or(0);
    (setup, p)
}

/// As [`cluster`], with a leader that goes on alone soon after its followers have lost touch, and the step in which they
/// do.
fn lonely_leader(draw: &mut Draw) -> (Setup, u32, Step) {
    let (mut setup, p) = cluster(draw);
    setup.contract.min_insync = 1;
    setup.broker.replica_lag_time_max = Duration::from_millis(draw.between(150, 300));
    (setup, p, silence(p).until(&[Wait::InSync { p, size: 1 }]))
}

/// The followers of `p` are not answered by its leader.
fn silence(p: u32) -> Step {
    Step::new("hold_answers", Target::LeaderLinks(p)).force(base::FETCH)
}

/// The cluster cooks it: a run in which not every step struck shows nothing.
fn cook(mut setup: Setup, recipe: Vec<Step>) -> Setup {
    setup.least_strikes = recipe.len();
    setup.recipe = recipe;
    setup
}
