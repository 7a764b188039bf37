//! A partition's log as it should be: what the synthetic histories are told from.

use broker::fact::BatchMark;
use broker::ids::{Offset, Timestamp, TopicPartition};

use super::timestamp;
use crate::history::RecordId;

/// A stored record, packed: a long history has ten million.
#[derive(Clone, Copy)]
pub struct Stored {
    producer: u16,
    incarnation: u16,
    seq: u32,
}

impl Stored {
    /// Which record it is.
    pub fn id(self) -> RecordId {
        RecordId { producer: self.producer.into(), incarnation: self.incarnation, seq: self.seq.into() }
    }
}

/// The log of one partition, from offset 0.
pub struct Model {
    /// The partition's name.
    pub name: TopicPartition,
    /// How far the final read has come; -1 before it begins.
    pub read: Offset,
    records: Vec<Stored>,
    /// Records of each batch.
    batches: Vec<u32>,
}

impl Model {
    /// An empty log of the run's partition `number`.
    pub fn new(number: u32) -> Self {
        let partition = i32::try_from(number).unwrap_or(0);
        Self { name: TopicPartition::new("t", partition), read: -1, records: Vec::new(), batches: Vec::new() }
    }

    /// Records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// One past the last offset.
    pub fn end(&self) -> Offset {
        i64::try_from(self.records.len()).unwrap_or(i64::MAX)
    }

    /// The record at an offset.
    pub fn record(&self, offset: Offset) -> Option<Stored> {
        self.records.get(usize::try_from(offset).ok()?).copied()
    }

    /// Appends `count` records of a producer, from sequence `first` on.
    pub fn append(&mut self, (producer, incarnation): (u32, u16), first: u32, count: u32) -> BatchMark {
        let (base, producer) = (self.end(), u16::try_from(producer).unwrap_or(u16::MAX));
        self.records.extend((first..first + count).map(|seq| Stored { producer, incarnation, seq }));
        self.batches.push(count);
        Self::mark(base, count)
    }

    /// Drops the last batch.
    pub fn lose_last(&mut self) {
        let count = self.batches.pop().unwrap_or(0) as usize;
        self.records.truncate(self.records.len().saturating_sub(count));
    }

    /// The last `most` batches, in order.
    pub fn tail(&self, most: usize) -> Vec<BatchMark> {
        let mut end = self.end();
        let back = self.batches.iter().rev().take(most).map(|count| {
            end -= i64::from(*count);
            Self::mark(end, *count)
        });
        let mut tail: Vec<_> = back.collect();
        tail.reverse();
        tail
    }

    fn mark(base: Offset, count: u32) -> BatchMark {
        let crc = u32::try_from(base & 0xFFFF_FFFF).unwrap_or(0).wrapping_mul(0x9E37_79B1);
        BatchMark { base, last: base + i64::from(count) - 1, crc }
    }

    /// The right answer to ListOffsets, by scanning.
    pub fn look_up(&self, query: i64) -> (Offset, Timestamp) {
        let mut times = (0..).zip(self.records.iter().map(|r| timestamp(r.id())));
        match query {
            -1 => (self.end(), -1),
            -2 => (0, -1),
            -3 => times.max_by_key(|(offset, time)| (*time, std::cmp::Reverse(*offset))).unwrap_or((-1, -1)),
            wanted => times.find(|(_, time)| *time >= wanted).unwrap_or((-1, -1)),
        }
    }
}
