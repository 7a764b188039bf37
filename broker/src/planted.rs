//! Planted defects: named deliberate bugs that prove the suite finds what it claims to find.
//!
//! Each is one `if planted(Defect::X)` at the line that keeps a promise. Without the feature `planted` the question is
//! a constant `false`, and the compiler removes the site. Which one is active is a property of the thread, because a
//! simulated run owns its thread and a live node never activates any.

/// The defects, by their id in the catalogue (`st-` storage, `re-` replication, `ct-` controller and quorum, `pr-`
/// producers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    /// Acknowledges from the page cache although the flush policy promises disk first.
    StAckBeforeFsync,
    /// Recovery validates an unsynced tail and serves it without flushing it first (KAFKA-10101).
    StRecoverNoFlush,
    /// Tail recovery trusts the length header and skips the CRC.
    StTornBatchAccepted,
    /// Retention deletes segments at or above the high watermark (KAFKA-5634).
    StRetentionPastHw,
    /// The offset index entry of the last batch before a roll points at the wrong place.
    StIndexOffByOneRoll,
    /// Truncation leaves time-index entries of records that are gone (KAFKA-3163).
    StTimeindexStaleAfterTruncate,
    /// A failed fsync is tried again, although the kernel has already dropped the dirty pages.
    StFsyncErrorRetry,
    /// Compaction touches what is not committed or not durable.
    StCleanPastHw,
    /// Compaction takes the records of keys that it had no room to take note of.
    StCleanUnnotedKeys,
    /// The producer sends a retried batch after a younger one of the same partition.
    PrReorderRetry,
    /// The producer reports NOT_LEADER_OR_FOLLOWER and timeouts as "surely not written" (KAFKA-13574).
    PrNotleaderTreatedFail,
    /// Truncation and the trimming of the log's start forget the idempotent producers (KAFKA-5435).
    StProducerSnapshotLost,
    /// The broker keeps no window of batches, and the producer sends a batch that was refused as out of order anew.
    PrOosNonfatalDup,
    /// A bump of the producer's epoch renumbers batches whose fate is not known (KAFKA-14034).
    PrEpochBumpInflight,
    /// A bump of the producer's epoch begins anew in the partition that failed only (KAFKA-12152).
    PrPartialSeqReset,
    /// The broker remembers fewer batches than a producer has in flight (KAFKA-5494).
    PrWindowLtInflight,
    /// The broker forgets a producer while it still retries (KAFKA-7190).
    PrStateExpiry,
    /// The producer gives the sequence numbers of a batch it has given up to the next one.
    PrSeqReuse,
    /// The broker remembers a batch before it is written: what failed is taken for a duplicate when it comes again.
    PrDedupStagesBeforeCommit,
    /// A replica that starts again cuts its log to its own high watermark (KIP-101, KAFKA-1211).
    ReTruncateToHw,
    /// The leader does not compare the epochs of a follower's log with its own (KIP-101).
    ReHwDivergence,
    /// A follower takes over the high watermark before it has cut what its leader lacks (KAFKA-14704).
    ReHwBeforeTruncate,
    /// The leader takes a fetch from a log that parts from its own for progress (KAFKA-13141).
    ReDivergingFetchUpdatesState,
    /// The high watermark does not wait for whom the leader wants out of the in-sync set (KIP-497).
    ReIsrHwRace,
    /// The high watermark does not wait for whom the leader wants in the in-sync set (KIP-497).
    ReHwNotMaximal,
    /// Records are committed by fewer replicas than `min.insync.replicas`.
    ReAckIgnoresMinIsr,
    /// The high watermark waits for replicas that are not in sync (KAFKA-15021).
    ReHwCountsIneligible,
    /// A follower that begins anew at its leader's log start keeps its high watermark (KAFKA-9491).
    ReFullTruncateHwStale,
    /// The high watermark is the leader's own log end.
    ReHwFromLeaderEnd,
    /// Acks=all is answered when the leader has the records.
    ReAckBeforeReplicated,
    /// Consumers are served up to the log's end.
    ReFetchAboveHw,
    /// A follower serves consumers what it does not know to be committed (KIP-392).
    ReFollowerFetchVisibleLag,
    /// A follower is let in that has less than its leader began with (KAFKA-7128).
    ReExpandBelowEpochStart,
    /// A follower asks for what follows before it has made durable what it has.
    ReFetchBeforeFlush,
    /// The controller applies and answers for decisions that are not committed.
    ReAppliedPastCommit,
    /// A replica that was not in sync is elected although that is not allowed, and nobody is told.
    CtUncleanSilent,
    /// A broker back from an unclean shutdown is taken for one that has lost nothing (KIP-966).
    CtLastReplicaStanding,
    /// A leader of the quorum leads on in the same epoch after a restart (KAFKA-10527).
    CtTwoLeadersSameEpoch,
    /// A vote is given before it is written down.
    CtVoteNotPersisted,
    /// A vote is given to a candidate that lacks what the voter has.
    CtVoteForShorterLog,
    /// A change of the in-sync set is answered before it is committed (KAFKA-14154).
    CtStaleControllerAccepts,
    /// A leader does not take note of its successor.
    CtZombieLeader,
    /// The log of a deleted topic is taken for that of its namesake (KIP-516).
    CtTopicRecreateIdentity,
    /// A new leader leads in its predecessor's epoch.
    CtEpochNotBumped,
    /// A fenced broker keeps what it leads.
    CtFencedKeepsLeading,
    /// A change of the in-sync set is made that was asked for before the last one (KIP-497).
    CtStalePartitionEpoch,
    /// A follower is let in by what an earlier process of it had (KIP-903).
    CtStaleBrokerEpoch,
    /// Who has left the in-sync set stays eligible while that commits without it (KIP-966).
    CtElrNotCleared,
    /// A broker that had to take a snapshot of the metadata goes on with the image it had (KIP-630).
    CtSnapshotNotShown,
    /// A snapshot of the metadata does not say in which epoch partitions are led.
    CtSnapshotForgetsEpochs,
    /// Drops every hundredth acknowledged record: must always be found, or the suite itself is broken.
    Canary,
}

impl Defect {
    /// Every defect.
    pub const ALL: &[Defect] = &[
        Defect::StAckBeforeFsync,
        Defect::StRecoverNoFlush,
        Defect::StTornBatchAccepted,
        Defect::StRetentionPastHw,
        Defect::StIndexOffByOneRoll,
        Defect::StTimeindexStaleAfterTruncate,
        Defect::StFsyncErrorRetry,
        Defect::StCleanPastHw,
        Defect::StCleanUnnotedKeys,
        Defect::PrReorderRetry,
        Defect::PrNotleaderTreatedFail,
        Defect::StProducerSnapshotLost,
        Defect::PrOosNonfatalDup,
        Defect::PrEpochBumpInflight,
        Defect::PrPartialSeqReset,
        Defect::PrWindowLtInflight,
        Defect::PrStateExpiry,
        Defect::PrSeqReuse,
        Defect::PrDedupStagesBeforeCommit,
        Defect::ReTruncateToHw,
        Defect::ReHwDivergence,
        Defect::ReHwBeforeTruncate,
        Defect::ReDivergingFetchUpdatesState,
        Defect::ReIsrHwRace,
        Defect::ReHwNotMaximal,
        Defect::ReAckIgnoresMinIsr,
        Defect::ReHwCountsIneligible,
        Defect::ReFullTruncateHwStale,
        Defect::ReHwFromLeaderEnd,
        Defect::ReAckBeforeReplicated,
        Defect::ReFetchAboveHw,
        Defect::ReFollowerFetchVisibleLag,
        Defect::ReExpandBelowEpochStart,
        Defect::ReFetchBeforeFlush,
        Defect::ReAppliedPastCommit,
        Defect::CtUncleanSilent,
        Defect::CtLastReplicaStanding,
        Defect::CtTwoLeadersSameEpoch,
        Defect::CtVoteNotPersisted,
        Defect::CtVoteForShorterLog,
        Defect::CtStaleControllerAccepts,
        Defect::CtZombieLeader,
        Defect::CtTopicRecreateIdentity,
        Defect::CtEpochNotBumped,
        Defect::CtFencedKeepsLeading,
        Defect::CtStalePartitionEpoch,
        Defect::CtStaleBrokerEpoch,
        Defect::CtElrNotCleared,
        Defect::CtSnapshotNotShown,
        Defect::CtSnapshotForgetsEpochs,
        Defect::Canary,
    ];

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

    /// What it does, in one line.
    #[expect(clippy::too_many_lines, reason = "a table of one line for each")]
    pub fn about(self) -> &'static str {
        match self {
            Defect::StAckBeforeFsync => {
                "acknowledges from the page cache although the flush policy promises disk first"
            }
            Defect::StRecoverNoFlush => {
                "recovery validates an unsynced tail and serves it without flushing it first (KAFKA-10101)"
            }
            Defect::StTornBatchAccepted => "tail recovery trusts the length header and skips the CRC",
            Defect::StRetentionPastHw => "retention deletes segments at or above the high watermark (KAFKA-5634)",
            Defect::StIndexOffByOneRoll => {
                "the offset index entry of the last batch before a roll points at the wrong place"
            }
            Defect::StTimeindexStaleAfterTruncate => {
                "truncation leaves time-index entries of records that are gone (KAFKA-3163)"
            }
            Defect::StFsyncErrorRetry => {
                "a failed fsync is tried again, although the kernel has already dropped the dirty pages"
            }
            Defect::StCleanPastHw => "compaction touches what is not committed or not durable",
            Defect::StCleanUnnotedKeys => "compaction takes the records of keys that it had no room to take note of",
            Defect::PrReorderRetry => "the producer sends a retried batch after a younger one of the same partition",
            Defect::PrNotleaderTreatedFail => {
                "the producer reports NOT_LEADER_OR_FOLLOWER and timeouts as surely not written (KAFKA-13574)"
            }
            Defect::StProducerSnapshotLost => {
                "truncation and the trimming of the log's start forget the idempotent producers (KAFKA-5435)"
            }
            Defect::PrOosNonfatalDup => {
                "the broker keeps no window of batches; the producer sends what is refused as out of order anew"
            }
            Defect::PrEpochBumpInflight => {
                "a bump of the producer's epoch renumbers batches whose fate is not known (KAFKA-14034)"
            }
            Defect::PrPartialSeqReset => {
                "a bump of the producer's epoch begins anew in the partition that failed only (KAFKA-12152)"
            }
            Defect::PrWindowLtInflight => {
                "the broker remembers fewer batches than a producer has in flight (KAFKA-5494)"
            }
            Defect::PrStateExpiry => "the broker forgets a producer while it still retries (KAFKA-7190)",
            Defect::PrSeqReuse => "the producer gives the sequence numbers of a batch it has given up to the next one",
            Defect::PrDedupStagesBeforeCommit => {
                "the broker remembers a batch before it is written, so that one that failed is taken for a duplicate"
            }
            Defect::ReTruncateToHw => {
                "a replica that starts again cuts its log to its own high watermark (KIP-101, KAFKA-1211)"
            }
            Defect::ReHwDivergence => {
                "the leader does not compare the epochs of a follower's log with its own (KIP-101)"
            }
            Defect::ReHwBeforeTruncate => {
                "a follower takes over the high watermark before it has cut what its leader lacks (KAFKA-14704)"
            }
            Defect::ReDivergingFetchUpdatesState => {
                "the leader takes a fetch from a log that parts from its own for progress (KAFKA-13141)"
            }
            Defect::ReIsrHwRace => {
                "the high watermark does not wait for whom the leader wants out of the in-sync set (KIP-497)"
            }
            Defect::ReHwNotMaximal => {
                "the high watermark does not wait for whom the leader wants in the in-sync set (KIP-497)"
            }
            Defect::ReAckIgnoresMinIsr => "records are committed by fewer replicas than `min.insync.replicas`",
            Defect::ReHwCountsIneligible => "the high watermark waits for replicas that are not in sync (KAFKA-15021)",
            Defect::ReFullTruncateHwStale => {
                "a follower that begins anew at its leader's log start keeps its high watermark (KAFKA-9491)"
            }
            Defect::ReHwFromLeaderEnd => "the high watermark is the leader's own log end",
            Defect::ReAckBeforeReplicated => "acks=all is answered when the leader has the records",
            Defect::ReFetchAboveHw => "consumers are served up to the log's end",
            Defect::ReFollowerFetchVisibleLag => {
                "a follower serves consumers what it does not know to be committed (KIP-392)"
            }
            Defect::ReExpandBelowEpochStart => {
                "a follower is let in that has less than its leader began with (KAFKA-7128)"
            }
            Defect::ReFetchBeforeFlush => "a follower asks for what follows before it has made durable what it has",
            Defect::ReAppliedPastCommit => "the controller applies and answers for decisions that are not committed",
            Defect::CtUncleanSilent => {
                "a replica that was not in sync is elected although that is not allowed, and nobody is told"
            }
            Defect::CtLastReplicaStanding => {
                "a broker back from an unclean shutdown is taken for one that has lost nothing (KIP-966)"
            }
            Defect::CtTwoLeadersSameEpoch => {
                "a leader of the quorum leads on in the same epoch after a restart (KAFKA-10527)"
            }
            Defect::CtVoteNotPersisted => "a vote is given before it is written down",
            Defect::CtVoteForShorterLog => "a vote is given to a candidate that lacks what the voter has",
            Defect::CtStaleControllerAccepts => {
                "a change of the in-sync set is answered before it is committed (KAFKA-14154)"
            }
            Defect::CtZombieLeader => "a leader does not take note of its successor",
            Defect::CtTopicRecreateIdentity => "the log of a deleted topic is taken for that of its namesake (KIP-516)",
            Defect::CtEpochNotBumped => "a new leader leads in its predecessor's epoch",
            Defect::CtFencedKeepsLeading => "a fenced broker keeps what it leads",
            Defect::CtStalePartitionEpoch => {
                "a change of the in-sync set is made that was asked for before the last one (KIP-497)"
            }
            Defect::CtStaleBrokerEpoch => "a follower is let in by what an earlier process of it had (KIP-903)",
            Defect::CtElrNotCleared => {
                "who has left the in-sync set stays eligible while that commits without it (KIP-966)"
            }
            Defect::CtSnapshotNotShown => {
                "a broker that had to take a snapshot of the metadata goes on with the image it had (KIP-630)"
            }
            Defect::CtSnapshotForgetsEpochs => {
                "a snapshot of the metadata does not say in which epoch partitions are led"
            }
            Defect::Canary => {
                "drops every hundredth acknowledged record: must always be found, or the suite itself is broken"
            }
        }
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
