//! What can be wrong with a batch, and Kafka's error code for each.

use kafka_protocol::ResponseError;

/// Why bytes are no acceptable record batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does: a torn tail in a file, a broken request from a client.
    #[error("the batch needs {need} bytes and {have} are there")]
    Truncated {
        /// Bytes of the whole batch, or of its header if not even that is there.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// The length field is smaller than a header.
    #[error("batch length {0} is impossible")]
    Length(i32),
    /// Not format version 2.
    #[error("magic {0} is not 2")]
    Magic(i8),
    /// The CRC-32C does not match the bytes.
    #[error("CRC {stored:#010x} stored, {computed:#010x} computed")]
    Crc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A compression codec that does not exist, or that this request's version may not use.
    #[error("compression codec {0} is unknown")]
    Codec(u8),
    /// Record count and last offset delta disagree, or there is no record.
    #[error("{count} records but last offset delta {last_delta}")]
    Count {
        /// `records_count`.
        count: i32,
        /// `last_offset_delta`.
        last_delta: i32,
    },
    /// The offsets are negative or overflow.
    #[error("offsets {base} + {last_delta} are impossible")]
    Offsets {
        /// `base_offset`.
        base: i64,
        /// `last_offset_delta`.
        last_delta: i32,
    },
    /// A client sent a control batch.
    #[error("clients may not write control batches")]
    Control,
    /// A producer id without a sequence number.
    #[error("producer id {0} without a sequence")]
    Sequence(i64),
    /// Larger than `max.message.bytes`.
    #[error("{size} bytes are more than the {max} allowed")]
    TooLarge {
        /// The whole batch.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The records inflate beyond the stated limit.
    #[error("the records inflate beyond {limit} bytes")]
    Inflates {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The compressed bytes cannot be inflated.
    #[error("the records cannot be decompressed")]
    Compressed,
    /// A record without a key, in a log that keeps the latest of each.
    #[error("a compacted topic takes no record without a key")]
    Keyless,
    /// A record inside is malformed.
    #[error("malformed record: {0}")]
    Record(&'static str),
}

impl BatchError {
    /// The error code a broker answers with.
    pub fn response(&self) -> ResponseError {
        match self {
            BatchError::Truncated { .. }
            | BatchError::Length(_)
            | BatchError::Crc { .. }
            | BatchError::Offsets { .. }
            | BatchError::Inflates { .. }
            | BatchError::Compressed => ResponseError::CorruptMessage,
            BatchError::Magic(_)
            | BatchError::Count { .. }
            | BatchError::Control
            | BatchError::Sequence(_)
            | BatchError::Keyless
            | BatchError::Record(_) => ResponseError::InvalidRecord,
            BatchError::Codec(_) => ResponseError::UnsupportedCompressionType,
            BatchError::TooLarge { .. } => ResponseError::MessageTooLarge,
        }
    }
}
