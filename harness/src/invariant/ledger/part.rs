//! What is known of one partition: what clients saw, what nodes state.

use broker::fact::Fact;
use broker::ids::{NodeId, Offset};

use super::current::Bounds;
use super::log::{Cut, Log};
use super::table::Table;
use crate::contract::Contract;

/// What is known of one partition.
#[derive(Debug, Default)]
pub struct Part {
    /// Which record clients saw where.
    pub table: Table,
    /// The nodes' logs, by their own statements.
    pub logs: Vec<Log>,
    /// Retention has removed everything below.
    pub trimmed: Offset,
    /// DeleteRecords has removed everything below.
    pub deleted_below: Offset,
    /// The highest offset up to which a client has asked to delete.
    pub asked: Offset,
    /// Every offset below was acknowledged or delivered at some time, unless a crash has cut it since.
    pub visible: Offset,
    /// The final read.
    pub last: FinalRead,
    /// When the topic was deleted.
    pub deleted: Option<u64>,
}

impl Part {
    pub(super) fn fact(&mut self, at: u64, node: NodeId, incarnation: u32, fact: &Fact) {
        let n = self.logs.iter().position(|log| log.node == node).unwrap_or_else(|| {
            self.logs.push(Log::new(node));
            self.logs.len() - 1
        });
        let log = &mut self.logs[n];
        log.incarnation = incarnation;
        log.fold(at, fact);
        match fact {
            Fact::Trimmed { log_start, asked: true, .. } => self.deleted_below = self.deleted_below.max(*log_start),
            Fact::Trimmed { log_start, .. } => self.trimmed = self.trimmed.max(*log_start),
            Fact::Recovered { log_end, .. } | Fact::Truncated { log_end, .. } => {
                self.visible = self.visible.min(*log_end);
            }
            Fact::Deleted { .. } => {
                self.deleted = Some(at);
                self.table.clear();
                (self.trimmed, self.deleted_below, self.asked, self.visible) = (0, 0, 0, 0);
            }
            _ => {}
        }
    }

    /// The log of a node.
    pub fn log(&self, node: NodeId) -> Option<&Log> {
        self.logs.iter().find(|log| log.node == node)
    }

    /// The crashes that have cut a log, over all nodes.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.logs.iter().flat_map(|log| &log.cuts)
    }

    /// Whether a power loss accounts for the loss of the record at `offset`, first asked for at `called`: on every node
    /// that had it.
    pub fn power_took(&self, offset: Offset, called: u64) -> bool {
        !self.logs.is_empty() && self.logs.iter().all(|log| log.power_took(offset, called))
    }

    /// Below this offset records may be gone: by retention, where the contract has it, or as far as clients have asked.
    /// Where nodes state nothing, the final read's first position stands for it.
    pub fn legal_start(&self, contract: &Contract) -> Offset {
        let asked = self.deleted_below.min(self.asked);
        match (contract.retention, self.logs.is_empty()) {
            (true, true) => self.last.start,
            (true, false) => self.trimmed.max(asked),
            (false, true) => self.asked,
            (false, false) => asked,
        }
    }

    /// What is known of its offsets now.
    pub(super) fn bounds(&self) -> Bounds {
        let start = self.logs.iter().map(|log| log.start).max().unwrap_or(0);
        Bounds { start, visible: self.visible, cuts: self.logs.iter().map(|log| log.cuts.len()).sum() }
    }

    /// What is known of its offsets now.
    pub fn now(&self) -> Bounds {
        self.bounds()
    }
}

/// How far the final read of a partition has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinalRead {
    /// Who reads.
    pub reader: Option<u32>,
    /// Where it began.
    pub start: Offset,
    /// The next offset it wants.
    pub next: Offset,
    /// The high watermark that the broker stated last; -1 if none did.
    pub high: Offset,
    /// Successful polls.
    pub polls: u64,
}

impl FinalRead {
    /// The final reader begins, or moves on: over damage, or to where retention left off.
    pub(super) fn begins(&mut self, client: u32, position: Offset) {
        if self.reader.is_none() {
            *self = Self { reader: Some(client), start: position, next: position, high: -1, polls: 0 };
        } else {
            self.next = self.next.max(position);
        }
    }

    pub(super) fn delivered(&mut self, offset: Offset) {
        self.next = self.next.max(offset.saturating_add(1));
    }

    pub(super) fn polled(&mut self, client: u32, position: Offset, high: Offset) {
        if self.reader == Some(client) {
            self.next = self.next.max(position);
            self.high = high;
            self.polls += 1;
        }
    }

    /// Whether it has come to the end of the log.
    pub fn done(&self) -> bool {
        self.polls > 0 && self.next >= self.high
    }
}
