//! What a partition knows of the idempotent producers that write to it: the last batches of each, by which a retry is
//! told from a new batch (KIP-98).
//!
//! The rules are those of Kafka's `ProducerAppendInfo.checkSequence`, `ProducerStateEntry` and `ProducerStateManager`
//! (trunk, October 2024), and two things follow from them that are easily got wrong. A producer that is not known, or no
//! longer, may begin with any sequence number: since KIP-360 a broker does not answer UNKNOWN_PRODUCER_ID, because
//! retention may have taken all that the producer had written. And a known one that comes with a higher epoch must begin
//! with 0.
//!
//! A fold over the batches of the log, in order: leader and follower come to the same state, and a truncated log's is
//! made anew from what is left of it. A producer whose batches retention has taken is still known, until it has been
//! idle for `producer.id.expiration.ms`. It is idle since the broker's clock at the append, where Kafka takes the batch's
//! own timestamp: one in the past would have its producer forgotten at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ids::{Offset, Timestamp};
use crate::planted::{Defect, planted};
use crate::record::Header;

/// Batches remembered of each producer: as many as it may have in flight (`NUM_BATCHES_TO_RETAIN`).
pub const WINDOW: usize = 5;
/// Producers remembered of one partition; beyond, an eighth of them, the longest idle, is forgotten (about 15 MB).
const MOST: usize = 1 << 16;
/// The planted expiry.
const HASTY: i64 = 100;

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Sequence number of its first record.
    pub first: i32,
    /// Sequence number of its last record.
    pub last: i32,
    /// Offset of its first record.
    pub base: Offset,
    /// Offset of its last record.
    pub end: Offset,
    /// The broker's time, if it stamped the batch; else -1.
    pub stamped: Timestamp,
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its epoch: what comes with a lower one is a zombie's.
    pub epoch: i16,
    /// The broker's wall clock when it last wrote, in milliseconds.
    pub active: i64,
    /// Its last batches in this epoch, oldest first, at most [`WINDOW`].
    pub batches: VecDeque<Stored>,
}

/// What is to become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be appended.
    New,
    /// It was appended before: acknowledge that, when that may be acknowledged.
    Duplicate(Stored),
    /// One before it is missing, or it is older than what is remembered: OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrder,
    /// Its producer has a newer epoch: INVALID_PRODUCER_EPOCH.
    OldEpoch,
}

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: BTreeMap<i64, Producer>,
    /// One past the last batch seen.
    end: Offset,
}

/// The sequence number `delta` after `first`: they wrap from the largest to 0 (`DefaultRecordBatch.incrementSequence`).
pub fn sequence_after(first: i32, delta: i32) -> i32 {
    first.wrapping_add(delta) & i32::MAX
}

impl Producers {
    /// None known, up to offset `end`.
    pub fn at(end: Offset) -> Self {
        Self { by_id: BTreeMap::new(), end }
    }

    /// One past the last batch seen.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Says that there is nothing more to see before `end`.
    pub fn reach(&mut self, end: Offset) {
        self.end = end;
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Every producer known, by id.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// Adds one as it was written down.
    pub(super) fn restore(&mut self, id: i64, producer: Producer) {
        self.by_id.insert(id, producer);
    }

    /// Whether it is one of those batches that retries are told from.
    pub fn remembers(&self, header: &Header) -> bool {
        let producer = self.by_id.get(&header.producer_id);
        producer.is_some_and(|producer| producer.batches.iter().any(|batch| batch.base == header.base_offset))
    }

    /// What is to become of a client's batch that arrives at wall time `now`. One without a producer id is always new.
    pub fn check(&self, header: &Header, now: i64) -> Verdict {
        if header.producer_id < 0 {
            return Verdict::New;
        }
        if header.producer_epoch < 0 {
            return Verdict::OldEpoch;
        }
        let forgotten = |p: &&Producer| planted(Defect::PrStateExpiry) && now.saturating_sub(p.active) > HASTY;
        let Some(producer) = self.by_id.get(&header.producer_id).filter(|p| !forgotten(p)) else {
            return Verdict::New;
        };
        match header.producer_epoch {
            epoch if epoch < producer.epoch => Verdict::OldEpoch,
            epoch if epoch == producer.epoch => producer.check(header),
            _ if header.base_sequence == 0 => Verdict::New,
            _ => Verdict::OutOfOrder,
        }
    }

    /// Takes in a batch of the log, written at wall time `now`. A transaction's marker has no sequence number and
    /// counts for its epoch only.
    pub fn note(&mut self, header: &Header, now: i64) {
        self.end = header.next_offset();
        if header.producer_id < 0 {
            return;
        }
        if self.by_id.len() >= MOST && !self.by_id.contains_key(&header.producer_id) {
            self.make_room();
        }
        let epoch = header.producer_epoch;
        let fresh = || Producer { epoch, active: now, batches: VecDeque::new() };
        let producer = self.by_id.entry(header.producer_id).or_insert_with(fresh);
        producer.active = producer.active.max(now);
        if producer.epoch != epoch {
            (producer.epoch, producer.active) = (epoch, now);
            producer.batches.clear();
        }
        if !header.is_control() && header.base_sequence >= 0 {
            let most = if planted(Defect::PrWindowLtInflight) { 1 } else { WINDOW };
            while producer.batches.len() >= most {
                producer.batches.pop_front();
            }
            producer.batches.push_back(Stored::of(header));
        }
    }

    /// Believes `before` about when those were active whom both know.
    pub(super) fn active_as(&mut self, before: &Self) {
        for (id, producer) in &mut self.by_id {
            producer.active = before.by_id.get(id).map_or(producer.active, |known| known.active);
        }
    }

    /// The planted loss: forgets everyone.
    pub(super) fn lose_all(&mut self) {
        self.by_id.clear();
    }

    /// Forgets who has been idle for `after` at wall time `now`. Returns how many.
    pub fn expire(&mut self, now: i64, after: Duration) -> usize {
        let before = self.by_id.len();
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        self.by_id.retain(|_, producer| now.saturating_sub(producer.active) < after);
        before - self.by_id.len()
    }

    fn make_room(&mut self) {
        let mut idle: Vec<(i64, i64)> = self.by_id.iter().map(|(id, producer)| (producer.active, *id)).collect();
        let (longest, ..) = idle.select_nth_unstable(MOST / 8);
        longest.iter().for_each(|(_, id)| drop(self.by_id.remove(id)));
    }
}

impl Producer {
    fn check(&self, header: &Header) -> Verdict {
        let (first, last) = (header.base_sequence, sequence_after(header.base_sequence, header.last_offset_delta));
        let known = self.batches.iter().find(|batch| (batch.first, batch.last) == (first, last));
        let behind = self.batches.back().is_some_and(|newest| first < newest.last);
        match (known, self.batches.back()) {
            (Some(batch), _) if !planted(Defect::PrOosNonfatalDup) => Verdict::Duplicate(*batch),
            (_, None) => Verdict::New,
            (_, Some(newest)) if first == sequence_after(newest.last, 1) => Verdict::New,
            _ if behind && planted(Defect::PrWindowLtInflight) => Verdict::New,
            _ => Verdict::OutOfOrder,
        }
    }
}

impl Stored {
    fn of(header: &Header) -> Self {
        Self {
            first: header.base_sequence,
            last: sequence_after(header.base_sequence, header.last_offset_delta),
            base: header.base_offset,
            end: header.last_offset(),
            stamped: if header.is_log_append_time() { header.max_timestamp } else { -1 },
        }
    }
}

#[cfg(test)]
#[path = "producers_tests.rs"]
mod tests;
