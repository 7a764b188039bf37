//! Planted defects: named deliberate bugs that prove the suite finds what it claims to find.
//!
//! Each is one `if planted(Defect::X)` at the line that keeps a promise. Without the feature `planted` the question is
//! a constant `false`, and the compiler removes the site. Which one is active is a property of the thread, because a
//! simulated run owns its thread and a live node never activates any.

macro_rules! defects {
    ($($name:ident = $about:literal;)*) => {
        /// The defects, by their id in the catalogue (`st-` storage, `re-` replication, `ct-` controller and quorum, `pr-`
        /// producers, `gc-` groups, `cc-` consumers, `ap-` applications, `sp-` speed).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Defect {
            $(#[doc = $about] $name,)*
        }

        impl Defect {
            /// Every defect.
            pub const ALL: &[Defect] = &[$(Defect::$name),*];

            /// What it does, in one line.
            pub fn about(self) -> &'static str {
                match self {
                    $(Defect::$name => $about,)*
                }
            }
        }
    };
}

defects! {
    StAckBeforeFsync = "acknowledges from the page cache although the flush policy promises disk first";
    StRecoverNoFlush = "recovery validates an unsynced tail and serves it without flushing it first (KAFKA-10101)";
    StTornBatchAccepted = "tail recovery trusts the length header and skips the CRC";
    StRetentionPastHw = "retention deletes segments at or above the high watermark (KAFKA-5634)";
    StIndexOffByOneRoll = "the offset index entry of the last batch before a roll points at the wrong place";
    StTimeindexStaleAfterTruncate = "truncation leaves time-index entries of records that are gone (KAFKA-3163)";
    StFsyncErrorRetry = "a failed fsync is tried again, although the kernel has already dropped the dirty pages";
    StRecycledRemains = "recovery takes what a segment file held before it was written again for batches that follow";
    StCleanPastHw = "compaction touches what is not committed or not durable";
    StCleanUnnotedKeys = "compaction takes the records of keys that it had no room to take note of";
    PrReorderRetry = "the producer sends a retried batch after a younger one of the same partition";
    PrNotleaderTreatedFail = "the producer reports NOT_LEADER_OR_FOLLOWER and timeouts as surely not written (KAFKA-13574)";
    StProducerSnapshotLost = "truncation and the trimming of the log's start forget the idempotent producers (KAFKA-5435)";
    PrOosNonfatalDup = "the broker keeps no window of batches; the producer sends what is refused as out of order anew";
    PrEpochBumpInflight = "a bump of the producer's epoch renumbers batches whose fate is not known (KAFKA-14034)";
    PrPartialSeqReset = "a bump of the producer's epoch begins anew in the partition that failed only (KAFKA-12152)";
    PrWindowLtInflight = "the broker remembers fewer batches than a producer has in flight (KAFKA-5494)";
    PrStateExpiry = "the broker forgets a producer while it still retries (KAFKA-7190)";
    PrSeqReuse = "the producer gives the sequence numbers of a batch it has given up to the next one";
    PrEpochExhaustion = "a producer's epochs come round again instead of ending with a new id (KAFKA-9666; after two, not 32,767)";
    PrDedupStagesBeforeCommit = "the broker remembers a batch before it is written, so that one that failed is taken for a duplicate";
    ReTruncateToHw = "a replica that starts again cuts its log to its own high watermark (KIP-101, KAFKA-1211)";
    ReHwDivergence = "the leader does not compare the epochs of a follower's log with its own (KIP-101)";
    ReFastFailoverDivergence = "the leader tells where an epoch ended, but not which one it looked up (KIP-279)";
    ReHwBeforeTruncate = "a follower takes over the high watermark before it has cut what its leader lacks (KAFKA-14704)";
    ReDivergingFetchUpdatesState = "the leader takes a fetch from a log that parts from its own for progress (KAFKA-13141)";
    ReStaleFetchIsr = "a fetch from before a restart counts for the process that runs now (KAFKA-15221, KIP-903)";
    ReEpochOffsetFromNonleader = "a broker that does not lead answers where an epoch ended: nowhere (KIP-320)";
    ReMergedBatchRefused = "a follower refuses what compaction has merged over the end of its log";
    ReIsrHwRace = "the high watermark does not wait for whom the leader wants out of the in-sync set (KIP-497)";
    ReHwNotMaximal = "the high watermark does not wait for whom the leader wants in the in-sync set (KIP-497)";
    ReAckIgnoresMinIsr = "records are committed by fewer replicas than `min.insync.replicas`";
    ReHwCountsIneligible = "the high watermark waits for replicas that are not in sync (KAFKA-15021)";
    ReFullTruncateHwStale = "a follower that begins anew at its leader's log start keeps its high watermark (KAFKA-9491)";
    ReHwFromLeaderEnd = "the high watermark is the leader's own log end";
    ReAckBeforeReplicated = "acks=all is answered when the leader has the records";
    ReFetchAboveHw = "consumers are served up to the log's end";
    ReFollowerFetchVisibleLag = "a follower serves consumers what it does not know to be committed (KIP-392)";
    ReExpandBelowEpochStart = "a follower is let in that has less than its leader began with (KAFKA-7128)";
    ReFetchBeforeFlush = "a follower asks for what follows before it has made durable what it has";
    ReAppliedPastCommit = "the controller applies and answers for decisions that are not committed";
    CtUncleanSilent = "a replica that was not in sync is elected although that is not allowed, and nobody is told";
    CtLastReplicaStanding = "a broker back from an unclean shutdown is taken for one that has lost nothing (KIP-966)";
    CtTwoLeadersSameEpoch = "a leader of the quorum leads on in the same epoch after a restart (KAFKA-10527)";
    CtVoteNotPersisted = "a vote is given before it is written down";
    CtVoteForShorterLog = "a vote is given to a candidate that lacks what the voter has";
    CtStaleControllerAccepts = "a change of the in-sync set is answered before it is committed (KAFKA-14154)";
    CtZombieLeader = "a leader does not take note of its successor";
    CtTopicRecreateIdentity = "the log of a deleted topic is taken for that of its namesake (KIP-516)";
    CtEpochNotBumped = "a new leader leads in its predecessor's epoch";
    CtFencedKeepsLeading = "a fenced broker keeps what it leads";
    CtStalePartitionEpoch = "a change of the in-sync set is made that was asked for before the last one (KIP-497)";
    CtStaleBrokerEpoch = "a follower is let in by what an earlier process of it had (KIP-903)";
    CtElrNotCleared = "who has left the in-sync set stays eligible while that commits without it (KIP-966)";
    CtSnapshotNotShown = "a broker that had to take a snapshot of the metadata goes on with the image it had (KIP-630)";
    CtSnapshotForgetsEpochs = "a snapshot of the metadata does not say in which epoch partitions are led";
    GcFailoverLosesOffsets = "a commit is answered, and shown, when the coordinator has it, not when it is committed (KAFKA-16030)";
    GcLoadStopsEarly = "a new coordinator does not wait until all is known to it that earlier ones committed";
    GcLoadExpiresOffsets = "offsets that a new coordinator reads in its log are taken for expired (KAFKA-8069)";
    GcExpireInRebalance = "offsets of a group expire while its members rejoin (KAFKA-13636)";
    GcStaleGenerationCommit = "whoever was once a member commits, in whichever generation";
    GcUnloadFails = "a coordinator whose partition is led elsewhere serves on (KAFKA-20115)";
    GcStaticDupInstance = "whoever had a group.instance.id stays a member when another process takes it (KIP-345)";
    GcStaticSelfFence = "a static member that asks again to be let in is taken for a second holder of its name (KIP-848)";
    GcRebalanceLivelock = "the end of a rebalance begins the next one";
    GcDoubleOwnCooperative = "the assignor honours what a member says it owned in an old generation, and members say it (KAFKA-12984)";
    GcRevokeAndAssignSameRound = "a partition is given to its next owner in the round in which the last one gives it up (KAFKA-14639)";
    GcGivenWhileHeld = "the broker gives a partition to its next owner before the last one has given it up (KIP-848)";
    CcCommitAfterRevoke = "commits go on for partitions that were given up, and overwrite what their next owner commits";
    CcAutocommitUnprocessed = "what was handed out is committed before it was processed (KAFKA-2942)";
    CcStaleFetchAfterReassign = "records of partitions that are lost are handed out all the same";
    CcParallelHighestSeen = "records are done in any order, and what is committed is one past the highest that is done";
    CcHwInclusive = "a consumer takes the high watermark for the offset of a record that is not there yet, and stops before";
    CcOffsetfetchErrorReset = "an error of OffsetFetch is taken for no offset";
    ApDedupWindow = "an application remembers fewer events than may come again";
    ApDedupNonatomic = "an application notes what it has done, and that it knows the event, in two transactions";
    ApDlqOvertakes = "an application handles an event while an earlier one of its key waits to be tried again";
    ApDlqCommitFirst = "an application takes an event for given up before its letter is acknowledged";
    ApThrottleBlind = "a producer that is to wait for a group that falls behind does not";
    ApQueueDrops = "a bounded queue that is full loses what is put in, instead of having that wait";
    SpExtraCopy = "every batch is copied once more before it is written";
    SpExtraSync = "every file that is made durable is synced twice";
    Canary = "drops every hundredth acknowledged record: must always be found, or the suite itself is broken";
}

impl Defect {
    /// Its id in the catalogue, as written on the command line: `st-ack-before-fsync`.
    pub fn id(self) -> String {
        let mut id = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !id.is_empty() {
                id.push('-');
            }
            id.push(c.to_ascii_lowercase());
        }
        id
    }
}

#[cfg(feature = "planted")]
mod active {
    use super::Defect;
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    /// Activates `defect` on this thread, or none. Returns what was active before.
    pub fn activate(defect: Option<Defect>) -> Option<Defect> {
        ACTIVE.replace(defect)
    }

    /// Whether `defect` is active on this thread.
    #[inline]
    pub fn planted(defect: Defect) -> bool {
        ACTIVE.get() == Some(defect)
    }
}

#[cfg(feature = "planted")]
pub use active::{activate, planted};

/// Whether `defect` is active on this thread: never, in a build without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_defect: Defect) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::Defect;

    #[test]
    fn ids_are_those_of_the_catalogue() {
        assert_eq!(Defect::StAckBeforeFsync.id(), "st-ack-before-fsync");
        for d in Defect::ALL {
            assert_eq!(serde_json::to_string(d).unwrap(), format!("{:?}", d.id()));
        }
    }
}
