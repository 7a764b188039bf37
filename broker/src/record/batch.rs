//! A view of one stored batch over its bytes: header, checks, and the few fields a broker sets in place.
//!
//! Layout (all big-endian): baseOffset@0 i64, batchLength@8 i32, partitionLeaderEpoch@12 i32, magic@16 i8, crc@17 u32
//! over everything from attributes@21 i16 on, lastOffsetDelta@23 i32, baseTimestamp@27 i64, maxTimestamp@35 i64,
//! producerId@43 i64, producerEpoch@51 i16, baseSequence@53 i32, recordsCount@57 i32, records@61.

use super::{BatchError, Compression};
use crate::fact::BatchMark;
use crate::ids::{LeaderEpoch, Offset, Timestamp};

/// Bytes of a batch before its records.
pub const HEADER_SIZE: usize = 61;
/// Bytes that `batchLength` does not count: base offset and the length itself.
const UNCOUNTED: usize = 12;
const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_AT: usize = 43;

const CODEC_BITS: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
pub(super) const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// The base timestamp says until when tombstones stay (KIP-534).
pub(super) const DELETE_HORIZON: i16 = 1 << 6;

/// The 61 bytes before the records, parsed. Structurally sound: the length covers a header, the magic is 2, the
/// offsets neither are negative nor overflow. Nothing is said of the CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The whole batch, header and all, in bytes.
    pub size: usize,
    /// The leader epoch under which it was appended.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C as stored.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// Timestamp of the first record; the others are relative to it.
    pub base_timestamp: Timestamp,
    /// The largest timestamp, as the producer claims it.
    pub max_timestamp: Timestamp,
    /// Idempotent producer's id, or -1.
    pub producer_id: i64,
    /// Idempotent producer's epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records, as the producer claims it.
    pub count: i32,
}

fn field<const N: usize>(bytes: &[u8; HEADER_SIZE], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl Header {
    /// Parses the header at the start of `bytes`; the records need not be there.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(h) = bytes.first_chunk::<HEADER_SIZE>() else {
            return Err(BatchError::Truncated { need: HEADER_SIZE, have: bytes.len() });
        };
        let length = i32::from_be_bytes(field(h, LENGTH_AT));
        let size = usize::try_from(length).unwrap_or(0).saturating_add(UNCOUNTED);
        if size < HEADER_SIZE {
            return Err(BatchError::Length(length));
        }
        let magic = i8::from_be_bytes(field(h, MAGIC_AT));
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let base_offset = i64::from_be_bytes(field(h, 0));
        let last_offset_delta = i32::from_be_bytes(field(h, 23));
        let last = base_offset.checked_add(last_offset_delta.into());
        if base_offset < 0 || last_offset_delta < 0 || last.is_none_or(|last| last == Offset::MAX) {
            return Err(BatchError::Offsets { base: base_offset, last_delta: last_offset_delta });
        }
        Ok(Self {
            base_offset,
            size,
            leader_epoch: i32::from_be_bytes(field(h, EPOCH_AT)),
            crc: u32::from_be_bytes(field(h, CRC_AT)),
            attributes: i16::from_be_bytes(field(h, CRC_FROM)),
            last_offset_delta,
            base_timestamp: i64::from_be_bytes(field(h, 27)),
            max_timestamp: i64::from_be_bytes(field(h, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(h, PRODUCER_AT)),
            producer_epoch: i16::from_be_bytes(field(h, 51)),
            base_sequence: i32::from_be_bytes(field(h, 53)),
            count: i32::from_be_bytes(field(h, 57)),
        })
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset + Offset::from(self.last_offset_delta)
    }

    /// Offset after the last record.
    pub fn next_offset(&self) -> Offset {
        self.last_offset() + 1
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let codec = (self.attributes & CODEC_BITS).to_le_bytes()[0];
        Compression::from_id(codec).ok_or(BatchError::Codec(codec))
    }

    /// Whether the broker stamped it: every record then has `max_timestamp`.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it is a marker written by a broker, invisible to applications.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Until when its tombstones stay, once compaction has removed all that they delete (KIP-534).
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Writes it over the start of `bytes`, which hold at least a header.
    pub fn write(&self, bytes: &mut [u8]) {
        let counted = i32::try_from(self.size - UNCOUNTED).unwrap_or(i32::MAX);
        bytes[..LENGTH_AT].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[LENGTH_AT..EPOCH_AT].copy_from_slice(&counted.to_be_bytes());
        bytes[EPOCH_AT..MAGIC_AT].copy_from_slice(&self.leader_epoch.to_be_bytes());
        bytes[MAGIC_AT] = 2;
        bytes[CRC_AT..CRC_FROM].copy_from_slice(&self.crc.to_be_bytes());
        bytes[CRC_FROM..23].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..MAX_TIMESTAMP_AT].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[MAX_TIMESTAMP_AT..PRODUCER_AT].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[PRODUCER_AT..51].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[57..HEADER_SIZE].copy_from_slice(&self.count.to_be_bytes());
    }

    /// What identifies it in facts.
    pub fn mark(&self) -> BatchMark {
        BatchMark { base: self.base_offset, last: self.last_offset(), crc: self.crc }
    }

    /// Kafka's checks of a batch that a producer sent (`LogValidator.validateBatch`), all but the CRC.
    ///
    /// Not checked, because records are not decoded: that the records are as many as stated and well-formed inside.
    pub fn check_from_client(&self, max_message_bytes: u32) -> Result<(), BatchError> {
        let max = max_message_bytes as usize;
        if self.size > max {
            return Err(BatchError::TooLarge { size: self.size, max });
        }
        self.compression()?;
        if self.is_control() {
            return Err(BatchError::Control);
        }
        if self.count <= 0 || self.last_offset_delta != self.count - 1 {
            return Err(BatchError::Count { count: self.count, last_delta: self.last_offset_delta });
        }
        if self.producer_id >= 0 && self.base_sequence < 0 {
            return Err(BatchError::Sequence(self.producer_id));
        }
        Ok(())
    }
}

/// One whole batch over its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: Header,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, and what follows it.
    #[inline]
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let header = Header::parse(bytes)?;
        if bytes.len() < header.size {
            return Err(BatchError::Truncated { need: header.size, have: bytes.len() });
        }
        let (bytes, rest) = bytes.split_at(header.size);
        Ok((Self { header, bytes }, rest))
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its records, compressed as they are.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_SIZE..]
    }

    /// Compares the stored CRC-32C with the bytes.
    #[inline]
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = crc_fast::crc32_iscsi(&self.bytes[CRC_FROM..]);
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::Crc { stored: self.header.crc, computed })
    }
}

/// The batches that lie one after another in a buffer. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Batches<'a>(&'a [u8]);

impl<'a> Batches<'a> {
    /// Over `bytes`, which start with a batch.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        match Batch::split(self.0) {
            Ok((batch, rest)) => {
                self.0 = rest;
                Some(Ok(batch))
            }
            Err(error) => {
                self.0 = &[];
                Some(Err(error))
            }
        }
    }
}

/// Sets base offset and leader epoch of the batch at the start of `bytes`; both lie outside the CRC. `bytes` holds at
/// least a header.
pub fn place(bytes: &mut [u8], base: Offset, epoch: LeaderEpoch) {
    bytes[..LENGTH_AT].copy_from_slice(&base.to_be_bytes());
    bytes[EPOCH_AT..MAGIC_AT].copy_from_slice(&epoch.to_be_bytes());
}

/// Stamps the whole batch in `bytes` with the broker's time (`message.timestamp.type = LogAppendTime`) and renews the
/// CRC. `bytes` is exactly one batch.
pub fn stamp(bytes: &mut [u8], now: Timestamp) {
    bytes[CRC_FROM + 1] |= LOG_APPEND_TIME.to_be_bytes()[1];
    bytes[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&now.to_be_bytes());
    renew_crc(bytes);
}

/// Sets whose the one batch in `bytes` is: producer id, epoch, sequence number of the first record (KIP-98); and renews
/// the CRC.
pub fn number(bytes: &mut [u8], id: i64, epoch: i16, first: i32) {
    bytes[PRODUCER_AT..PRODUCER_AT + 8].copy_from_slice(&id.to_be_bytes());
    bytes[PRODUCER_AT + 8..PRODUCER_AT + 10].copy_from_slice(&epoch.to_be_bytes());
    bytes[PRODUCER_AT + 10..PRODUCER_AT + 14].copy_from_slice(&first.to_be_bytes());
    renew_crc(bytes);
}

/// Computes and stores the CRC of the one batch in `bytes`.
pub fn renew_crc(bytes: &mut [u8]) {
    let crc = crc_fast::crc32_iscsi(&bytes[CRC_FROM..]);
    bytes[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
}
