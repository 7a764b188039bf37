//! What a log can refuse or fail with, and Kafka's error code for each.

use std::io;

use kafka_protocol::ResponseError;

use crate::ids::Offset;
use crate::record::BatchError;

/// Why a log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The bytes are no acceptable batch. Nothing was written.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Not an offset of this log.
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// Asked for.
        offset: Offset,
        /// First offset kept.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// A follower's batch does not continue its log.
    #[error("the batch begins at {got}, the log ends at {end}")]
    NotNext {
        /// Its base offset.
        got: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// The device failed, or is full. An append that fails so leaves no trace.
    #[error("storage: {0}")]
    Io(#[from] io::Error),
    /// Stored bytes that were promised durable are missing or damaged: never repaired by dropping them.
    #[error("segment {segment} is damaged at offset {offset}: {what}")]
    Corrupt {
        /// The segment's base offset.
        segment: Offset,
        /// The first offset that cannot be read.
        offset: Offset,
        /// What is wrong.
        what: String,
    },
    /// An earlier failure took the log off line; only a restart of the node brings it back.
    #[error("the log is off line after a failed write or fsync")]
    Offline,
}

impl LogError {
    /// The error code a broker answers with.
    pub fn response(&self) -> ResponseError {
        match self {
            LogError::Batch(error) => error.response(),
            LogError::OutOfRange { .. } | LogError::NotNext { .. } => ResponseError::OffsetOutOfRange,
            LogError::Io(_) | LogError::Corrupt { .. } | LogError::Offline => ResponseError::KafkaStorageError,
        }
    }
}
