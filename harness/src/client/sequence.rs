//! Sequence numbers of an idempotent producer: which batch gets which, and when a new epoch begins.
//!
//! A batch is numbered when it first goes out, and keeps its number, id and epoch for as long as it may be in the log:
//! only one that a broker surely refused is numbered anew. Whoever renumbers a batch of unknown fate stores it twice
//! (KAFKA-14034), so such a batch ends in doubt instead.
//!
//! A batch that is given up may leave a gap that nothing fills. The producer's epoch is then counted up, once, and every
//! partition begins again at 0 in it (KAFKA-12152) as soon as nothing numbered in the old one is open there: earlier, a
//! batch of the new epoch could be stored before one of the old, and shut it out.
//!
//! Until the first batch of an epoch is acknowledged in a partition, no second one goes out there: a broker takes any
//! first number of a producer it does not know, so that the second could be stored before a retry of the first, and then
//! shut that out.

use std::collections::BTreeSet;

use broker::log::producers::sequence_after;
use broker::planted::{Defect, planted};

/// A producer's id and epoch.
pub type Identity = (i64, i16);

/// What a batch carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its producer's id and epoch.
    pub identity: Identity,
    /// Sequence number of its first record.
    pub first: i32,
    /// The number after its last record.
    pub next: i32,
}

/// The numbers of all partitions, by queue.
#[derive(Debug)]
pub struct Sequences {
    identity: Option<Identity>,
    window: usize,
    parts: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    /// In which its numbers count.
    identity: Option<Identity>,
    next: i32,
    /// A batch of this identity was acknowledged.
    proven: bool,
    /// The gap that ended its last identity was here.
    failed: bool,
    /// Batches numbered and neither done nor given up, by id, which is their order.
    live: BTreeSet<u64>,
}

impl Sequences {
    /// No identity yet; at most `window` batches numbered and open in each partition.
    pub fn new(window: usize) -> Self {
        Self { identity: None, window, parts: Vec::new() }
    }

    /// Adds a queue.
    pub fn add_queue(&mut self) {
        self.parts.push(Part::default());
    }

    /// Whether an identity must be asked for.
    pub fn wants_identity(&self) -> bool {
        self.identity.is_none()
    }

    /// Takes an identity that nobody has had.
    pub fn identify(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    /// Whether a batch without a number may go out.
    pub fn may_begin(&self, queue: usize) -> bool {
        let part = &self.parts[queue];
        let goes_on = part.identity == self.identity && part.proven && part.live.len() < self.window;
        self.identity.is_some() && (part.live.is_empty() || goes_on)
    }

    /// The oldest batch that has a number and is open: the only one that may go out again.
    pub fn oldest(&self, queue: usize) -> Option<u64> {
        self.parts[queue].live.first().copied()
    }

    /// Numbers batch `id` of `records` records. Only after [`Sequences::may_begin`].
    pub fn stamp(&mut self, queue: usize, id: u64, records: i32) -> Option<Stamp> {
        let identity = self.identity?;
        let part = &mut self.parts[queue];
        if part.identity != Some(identity) {
            let goes_on = planted(Defect::PrPartialSeqReset) && part.identity.is_some() && !part.failed;
            let next = if goes_on { part.next } else { 0 };
            let live = std::mem::take(&mut part.live);
            *part = Part { identity: Some(identity), next, proven: false, failed: false, live };
        }
        let (first, next) = (part.next, sequence_after(part.next, records));
        part.next = next;
        part.live.insert(id);
        Some(Stamp { identity, first, next })
    }

    /// Batch `id` is stored.
    pub fn stored(&mut self, queue: usize, id: u64, stamp: Stamp) {
        let part = &mut self.parts[queue];
        part.live.remove(&id);
        part.proven |= part.identity == Some(stamp.identity);
    }

    /// Batch `id` is given up, and may leave a gap.
    pub fn given_up(&mut self, queue: usize, id: u64, stamp: Stamp) {
        let part = &mut self.parts[queue];
        part.live.remove(&id);
        // The second defect holds a number that was refused all along for one that was never used.
        let unused = !part.proven && stamp.first != 0 && part.identity == Some(stamp.identity);
        if planted(Defect::PrSeqReuse) && part.next == stamp.next || planted(Defect::PrPartialSeqReset) && unused {
            part.next = stamp.first;
            return;
        }
        self.gap(queue, stamp);
    }

    /// Batch `id` was surely refused, and will be numbered anew. Nothing before it is open: there is a gap.
    pub fn refused(&mut self, queue: usize, id: u64, stamp: Stamp) {
        self.parts[queue].live.remove(&id);
        self.gap(queue, stamp);
    }

    /// Nothing follows what is numbered in the identity of `stamp`.
    fn gap(&mut self, queue: usize, stamp: Stamp) {
        self.parts[queue].failed = true;
        if self.identity == Some(stamp.identity) {
            let (id, epoch) = stamp.identity;
            // The defect has them come round early enough for a run to see it.
            let last = if planted(Defect::PrEpochExhaustion) { 2 } else { i16::MAX };
            self.identity = match epoch.checked_add(1).filter(|next| *next <= last) {
                None if planted(Defect::PrEpochExhaustion) => Some((id, 0)),
                next => next.map(|epoch| (id, epoch)),
            };
        }
    }

    /// Whether what is numbered in the identity of `stamp` goes on.
    pub fn is_current(&self, stamp: Stamp) -> bool {
        self.identity == Some(stamp.identity)
    }

    /// Forgets that batch `id` has a number (a planted defect's doing).
    pub fn forget(&mut self, queue: usize, id: u64) {
        self.parts[queue].live.remove(&id);
    }
}
