//! What the event just folded is about: looked up once by the ledger, used by every invariant.

use broker::ids::Offset;

use super::Slot;
use crate::history::Call;

/// A call that has not returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Open {
    /// When it was made, in nanoseconds of world time.
    pub called: u64,
    /// Its number.
    pub op: u64,
    /// Who made it.
    pub client: u32,
    /// In which life.
    pub incarnation: u16,
    /// What it asks.
    pub call: Call,
    /// Records delivered in it so far.
    pub delivered: u32,
    /// One past the offset delivered last; -1 if none was.
    pub next: Offset,
    /// For ListOffsets: what was known of the partition when it was asked.
    pub bounds: Bounds,
}

/// What is known of a partition's offsets at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// First offset kept, as the leader has stated it.
    pub start: Offset,
    /// Every offset below this had been acknowledged or delivered: it was visible.
    pub visible: Offset,
    /// How many crashes had cut the log.
    pub cuts: usize,
}

impl Open {
    pub(super) fn new(called: u64, op: u64, client: u32, incarnation: u16, call: Call) -> Self {
        Self { called, op, client, incarnation, call, delivered: 0, next: -1, bounds: Bounds::default() }
    }
}

/// What the event just folded is about.
#[derive(Clone, Copy, Debug)]
pub struct Current {
    /// At a return: the call that ended; `None` if no such call was open.
    pub ended: Option<Open>,
    /// At a delivery, or at the return of a send: the record's stream and sequence, if it was ever sent.
    pub record: Option<(u32, u32)>,
    /// At a delivery: what had been seen at that offset before.
    pub before: Slot,
}

impl Default for Current {
    fn default() -> Self {
        Self { ended: None, record: None, before: Slot::NONE }
    }
}
