//! Which planted defect which scenario must find, and by which invariant. Being caught only by a crash does not count.

use broker::planted::Defect;

/// One promise of the suite about itself.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The defect.
    pub defect: Defect,
    /// The scenario that must find it.
    pub scenario: &'static str,
    /// One of these invariants must be the finder, or [`COSTS`].
    pub expected: &'static [&'static str],
}

/// What finds a defect that breaks no promise and makes everything slower: what a run costs.
pub const COSTS: &str = "costs";

/// Every planted defect.
pub const ROWS: &[Row] = &[
    row(Defect::StAckBeforeFsync, "power_loss", &["W3", "B3"]),
    row(Defect::StRecoverNoFlush, "power_loss", &["W16", "B5"]),
    row(Defect::StTornBatchAccepted, "torn_tail", &["W2", "W17", "B7"]),
    row(Defect::StRetentionPastHw, "retention_race", &["W14", "B3"]),
    row(Defect::StIndexOffByOneRoll, "replay_from_zero", &["W18", "B10"]),
    row(Defect::StTimeindexStaleAfterTruncate, "timestamp_lookup", &["W18", "B20"]),
    row(Defect::StFsyncErrorRetry, "fsync_error", &["W16", "B3"]),
    row(Defect::StRecycledRemains, "recycled_segments", &["W16"]),
    row(Defect::StCleanPastHw, "compaction_under_load", &["W19"]),
    row(Defect::StCleanUnnotedKeys, "compaction_under_load", &["B21"]),
    row(Defect::PrReorderRetry, "reset_after_append", &["B6"]),
    row(Defect::PrNotleaderTreatedFail, "one_way_cut", &["B4"]),
    row(Defect::StProducerSnapshotLost, "retention_race", &["W20", "B8"]),
    row(Defect::PrOosNonfatalDup, "retry_storm", &["B8"]),
    row(Defect::PrEpochBumpInflight, "epoch_bump_inflight", &["B8"]),
    row(Defect::PrPartialSeqReset, "retry_storm", &["L6", "B8"]),
    row(Defect::PrWindowLtInflight, "retry_storm", &["B8", "W20"]),
    row(Defect::PrStateExpiry, "retry_storm", &["B8"]),
    row(Defect::PrSeqReuse, "retry_storm", &["B2", "B3"]),
    row(Defect::PrEpochExhaustion, "retry_storm", &["W10", "L6"]),
    row(Defect::PrDedupStagesBeforeCommit, "full_disk", &["B2", "B3"]),
    row(Defect::ReTruncateToHw, "truncate_to_hw", &["W4", "B3"]),
    row(Defect::ReHwDivergence, "cut_leader", &["W1", "B1"]),
    row(Defect::ReFastFailoverDivergence, "failover_and_back", &["W1", "B1"]),
    row(Defect::ReHwBeforeTruncate, "hw_before_truncate", &["W1", "B5"]),
    row(Defect::ReDivergingFetchUpdatesState, "fast_failover", &["W6", "W4", "B3"]),
    row(Defect::ReStaleFetchIsr, "stale_fetch", &["W6", "B3"]),
    row(Defect::ReEpochOffsetFromNonleader, "late_leader", &["B10"]),
    row(Defect::ReMergedBatchRefused, "compacted_replicas", &["L1", "W1"]),
    row(Defect::ReIsrHwRace, "in_sync_flapping", &["W6", "B3"]),
    row(Defect::ReHwNotMaximal, "leader_crash", &["W6", "B3"]),
    row(Defect::ReAckIgnoresMinIsr, "min_isr_refusal", &["W3", "B3"]),
    row(Defect::ReHwCountsIneligible, "leader_crash", &["L9", "L6"]),
    row(Defect::ReFullTruncateHwStale, "follower_left_behind", &["W5"]),
    row(Defect::ReHwFromLeaderEnd, "leader_crash", &["W6", "B3"]),
    row(Defect::ReAckBeforeReplicated, "leader_crash", &["W3", "B3"]),
    row(Defect::ReFetchAboveHw, "cut_leader", &["W5", "B5"]),
    row(Defect::ReFollowerFetchVisibleLag, "hw_before_truncate", &["W5", "B5"]),
    row(Defect::ReExpandBelowEpochStart, "lagging_watermark", &["W6", "W4", "B3"]),
    row(Defect::ReFetchBeforeFlush, "ack_before_fsync_cluster", &["W3", "B3"]),
    row(Defect::ReAppliedPastCommit, "cut_controller", &["W8", "W9"]),
    row(Defect::CtUncleanSilent, "min_isr_refusal", &["W8", "B3"]),
    row(Defect::CtLastReplicaStanding, "sole_survivor", &["W4", "W8", "B3"]),
    row(Defect::CtTwoLeadersSameEpoch, "controller_crash_loop", &["W9"]),
    row(Defect::CtVoteNotPersisted, "voters_crash", &["W9"]),
    row(Defect::CtVoteForShorterLog, "cut_controller", &["W8", "W9"]),
    row(Defect::CtStaleControllerAccepts, "cut_controller", &["W8", "W6", "L1"]),
    row(Defect::CtZombieLeader, "one_way_cut_leader", &["L1"]),
    row(Defect::CtTopicRecreateIdentity, "topic_recreated", &["W1", "B1", "B7"]),
    row(Defect::CtEpochNotBumped, "leader_crash", &["W8", "W9"]),
    row(Defect::CtFencedKeepsLeading, "leader_crash", &["L9"]),
    row(Defect::CtStalePartitionEpoch, "late_expand", &["W6", "B3"]),
    row(Defect::CtStaleBrokerEpoch, "ghost_member", &["W6", "B3"]),
    row(Defect::CtElrNotCleared, "min_isr_refusal", &["W6", "W4", "B3"]),
    row(Defect::CtSnapshotNotShown, "metadata_left_behind", &["L1", "L9"]),
    row(Defect::CtSnapshotForgetsEpochs, "metadata_left_behind", &["W8", "W9"]),
    row(Defect::GcFailoverLosesOffsets, "coordinator_crash", &["B17"]),
    row(Defect::GcLoadStopsEarly, "coordinator_crash", &["B17"]),
    row(Defect::GcLoadExpiresOffsets, "coordinator_crash", &["B17"]),
    row(Defect::GcExpireInRebalance, "member_crash", &["B17"]),
    row(Defect::GcStaleGenerationCommit, "zombie_member", &["B18g", "B11"]),
    row(Defect::GcUnloadFails, "coordinator_cut", &["B17", "B18g"]),
    row(Defect::GcStaticDupInstance, "twin_instance", &["B18g"]),
    row(Defect::GcStaticSelfFence, "lost_join", &["L4"]),
    row(Defect::GcRebalanceLivelock, "orders_pipeline", &["L7", "L4"]),
    row(Defect::GcDoubleOwnCooperative, "zombie_member", &["B19"]),
    row(Defect::GcRevokeAndAssignSameRound, "member_crash", &["B19"]),
    row(Defect::GcGivenWhileHeld, "member_crash", &["B19"]),
    row(Defect::CcCommitAfterRevoke, "independent_groups", &["B11"]),
    row(Defect::CcAutocommitUnprocessed, "member_crash", &["B9", "B11"]),
    row(Defect::CcStaleFetchAfterReassign, "zombie_member", &["B19"]),
    row(Defect::CcParallelHighestSeen, "backpressure", &["B11", "B9"]),
    row(Defect::CcHwInclusive, "lag_spike", &["L3", "L4"]),
    row(Defect::CcOffsetfetchErrorReset, "coordinator_crash", &["B17"]),
    row(Defect::ApDedupWindow, "duplicate_delivery", &["A2"]),
    row(Defect::ApDedupNonatomic, "duplicate_delivery", &["A2"]),
    row(Defect::ApDlqOvertakes, "dead_letter_order", &["A3"]),
    row(Defect::ApDlqCommitFirst, "poison_message", &["A8"]),
    row(Defect::ApThrottleBlind, "throttled_producer", &["A9"]),
    row(Defect::ApQueueDrops, "backpressure", &["A8", "L4"]),
    row(Defect::SpExtraCopy, "steady", &[COSTS]),
    row(Defect::SpExtraSync, "steady", &[COSTS]),
    row(Defect::Canary, "steady", &["B3"]),
];

const fn row(defect: Defect, scenario: &'static str, expected: &'static [&'static str]) -> Row {
    Row { defect, scenario, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_has_a_row_and_every_row_a_scenario() {
        for defect in Defect::ALL {
            assert!(ROWS.iter().any(|r| r.defect == *defect), "{} has no row", defect.id());
        }
        for row in ROWS {
            assert!(crate::find(row.scenario).is_some(), "{}: no scenario {}", row.defect.id(), row.scenario);
        }
    }
}
