//! The leader of one partition: log end, durable end, high watermark, and the producers who wait for them.
//!
//! A plain state machine. The shell appends to the log and syncs it, and says so; the machine answers when to sync,
//! when the high watermark moves, and who is acknowledged. The in-sync set is the leader alone until there are
//! followers: they become one more offset in the minimum that [`Leader::committed`] takes.

use std::collections::VecDeque;

use crate::config::FlushPolicy;
use crate::env::Mono;
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::planted::{Defect, planted};

/// Names one waiting producer request's part in this partition.
pub type Ticket = u64;

/// A producer that waits for its records to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whom to tell.
    pub ticket: Ticket,
    /// When to give up.
    pub deadline: Mono,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// `records` records were appended, and the log now ends at `end`. `waiting`: who waits for the acknowledgement.
    Appended {
        /// The log end offset.
        end: Offset,
        /// How many records.
        records: u64,
        /// Who waits.
        waiting: Option<Waiting>,
    },
    /// A batch came again that was appended before, up to `end`: who sent it waits as who sent it first.
    Duplicate {
        /// The offset after it.
        end: Offset,
        /// Who waits.
        waiting: Waiting,
    },
    /// An fsync has returned: everything below `upto` is durable.
    Flushed {
        /// One past the last durable offset.
        upto: Offset,
    },
    /// The log was opened again after a failed write, and now ends at `end`, all of it durable. The high watermark is no
    /// higher.
    Reopened {
        /// The log end offset.
        end: Offset,
    },
    /// An fsync has failed, or the partition is going away: nothing more can be promised.
    Lost,
    /// Time has passed.
    Tick,
    /// The flush policy is another now.
    Policy(FlushPolicy),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin an fsync; answer with [`Input::Flushed`] or [`Input::Lost`]. Never asked for twice at once.
    Flush,
    /// The log is dirty as of now: begin an fsync within so many milliseconds (`flush.ms`).
    FlushWithin(u64),
    /// The high watermark is this now.
    HighWatermark(Offset),
    /// Acknowledge.
    Ack(Ticket),
    /// Refuse: the time is up. The records may become committed all the same.
    TimedOut(Ticket),
    /// Refuse: nothing is known of the records' durability.
    Lost(Ticket),
}

/// The state of a partition at its leader.
#[derive(Clone, Debug)]
pub struct Leader {
    policy: FlushPolicy,
    epoch: LeaderEpoch,
    in_sync: Vec<NodeId>,
    end: Offset,
    flushed: Offset,
    high: Offset,
    /// By the offset they wait for: the order in which they came, but for duplicates.
    waiting: VecDeque<(Offset, Waiting)>,
    flushing: bool,
    /// Records appended since the last fsync began.
    unflushed_records: u64,
    lost: bool,
}

impl Leader {
    /// The leader `me` in `epoch` over a log that ends at `end`, all of it durable.
    pub fn new(me: NodeId, epoch: LeaderEpoch, end: Offset, policy: FlushPolicy) -> Self {
        Self {
            policy,
            epoch,
            in_sync: vec![me],
            end,
            flushed: end,
            high: end,
            waiting: VecDeque::new(),
            flushing: false,
            unflushed_records: 0,
            lost: false,
        }
    }

    /// The log end offset.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// One past the last offset known to be durable.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// The high watermark: what is below it is committed, and visible to consumers. Never falls.
    pub fn high(&self) -> Offset {
        self.high
    }

    /// Last stable offset: the high watermark, as long as there are no transactions.
    pub fn stable(&self) -> Offset {
        self.high
    }

    /// The epoch it leads in.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The in-sync replicas, this node included.
    pub fn in_sync(&self) -> &[NodeId] {
        &self.in_sync
    }

    /// Whether an acknowledgement promises that the records are on disk.
    pub fn durable(&self) -> bool {
        self.policy == FlushPolicy::Always
    }

    /// Takes in what happened at `now`, and adds what to do to `effects`.
    pub fn step(&mut self, now: Mono, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Appended { end, records, waiting } => self.appended(end, records, waiting, effects),
            Input::Duplicate { end, waiting } => {
                self.wait(end, waiting, effects);
                self.advance(effects);
                self.flush_again(effects);
            }
            Input::Flushed { upto } => {
                self.flushing = false;
                self.flushed = self.flushed.max(upto.min(self.end));
                self.advance(effects);
                self.flush_again(effects);
            }
            Input::Reopened { end } => self.reopened(end, effects),
            Input::Lost => {
                self.lost = true;
                self.flushing = false;
                effects.extend(self.waiting.drain(..).map(|(_, w)| Effect::Lost(w.ticket)));
            }
            Input::Tick => self.waiting.retain(|(_, w)| {
                let keep = w.deadline > now;
                if !keep {
                    effects.push(Effect::TimedOut(w.ticket));
                }
                keep
            }),
            Input::Policy(policy) => {
                self.policy = policy;
                self.advance(effects);
                self.flush_again(effects);
            }
        }
    }

    fn appended(&mut self, end: Offset, records: u64, waiting: Option<Waiting>, effects: &mut Vec<Effect>) {
        let was_clean = self.unflushed_records == 0;
        self.end = self.end.max(end);
        self.unflushed_records += records;
        if let Some(waiting) = waiting {
            self.wait(end, waiting, effects);
        }
        self.advance(effects);
        match self.policy {
            FlushPolicy::Millis(within) if was_clean && !self.lost => effects.push(Effect::FlushWithin(within)),
            _ => self.flush_again(effects),
        }
    }

    fn wait(&mut self, end: Offset, waiting: Waiting, effects: &mut Vec<Effect>) {
        if self.lost {
            effects.push(Effect::Lost(waiting.ticket));
        } else {
            let at = self.waiting.partition_point(|(other, _)| *other <= end);
            self.waiting.insert(at, (end, waiting));
        }
    }

    fn reopened(&mut self, end: Offset, effects: &mut Vec<Effect>) {
        while let Some((_, waiting)) = self.waiting.pop_back_if(|(upto, _)| *upto > end) {
            effects.push(Effect::Lost(waiting.ticket));
        }
        (self.end, self.flushed, self.unflushed_records) = (end, end, 0);
        self.advance(effects);
    }

    /// Begins an fsync if the policy wants one now and none is under way: what is appended meanwhile shares the next.
    fn flush_again(&mut self, effects: &mut Vec<Effect>) {
        let due = match self.policy {
            FlushPolicy::Always => self.flushed < self.end,
            FlushPolicy::Records(n) => self.unflushed_records >= n,
            FlushPolicy::Never | FlushPolicy::Millis(_) => false,
        };
        if due {
            self.flush_now(effects);
        }
    }

    /// Begins an fsync, unless one is under way or there is nothing to sync.
    pub fn flush_now(&mut self, effects: &mut Vec<Effect>) {
        if !self.flushing && !self.lost && self.flushed < self.end {
            self.flushing = true;
            self.unflushed_records = 0;
            effects.push(Effect::Flush);
        }
    }

    /// How far every in-sync replica has the log, as the flush policy counts having it.
    fn committed(&self) -> Offset {
        if self.durable() && !planted(Defect::StAckBeforeFsync) { self.flushed.min(self.end) } else { self.end }
    }

    fn advance(&mut self, effects: &mut Vec<Effect>) {
        let committed = self.committed();
        if self.lost || committed < self.high {
            return;
        }
        if committed > self.high {
            self.high = committed;
            effects.push(Effect::HighWatermark(committed));
        }
        while let Some((_, waiting)) = self.waiting.pop_front_if(|(end, _)| *end <= committed) {
            effects.push(Effect::Ack(waiting.ticket));
        }
    }
}
