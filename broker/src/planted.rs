//! Planted defects: named deliberate bugs that prove the suite finds what it claims to find.
//!
//! Each is one `if planted(Defect::X)` at the line that keeps a promise. Without the feature `planted` the question is
//! a constant `false`, and the compiler removes the site. Which one is active is a property of the thread, because a
//! simulated run owns its thread and a live node never activates any.

/// The defects, by their id in the catalogue (`st-` storage, `pr-` producer client).
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
