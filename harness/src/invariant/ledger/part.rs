//! What is known of one partition: what clients saw, what nodes state.

use broker::fact::{BatchMark, Fact};
use broker::ids::{LeaderEpoch, NodeId, Offset};

use super::chunks::Chunks;
use super::current::Bounds;
use super::log::{Appended, Cut, Log, Lows};
use super::table::Table;
use crate::contract::Contract;
use crate::history::Delivery;

/// What is known of one partition.
#[derive(Debug, Default)]
pub struct Part {
    /// Which record clients saw where.
    pub table: Table,
    /// The nodes' logs, by their own statements.
    pub logs: Vec<Log>,
    /// Every batch that some node has stated to be below its high watermark, in order: committed for good.
    pub committed: Chunks<Appended>,
    /// Who came to lead, in order.
    pub elections: Vec<Election>,
    /// From where on each of them need not have had what was there before.
    replaced: Lows,
    /// From where on a leader had what a successor lacked, when that one took over and when it heard of it: it may have
    /// acknowledged to acks=1 until then.
    alone: Lows,
    /// From where on the power had taken from one of them what it had, when it was said to lead uncleanly (KIP-966).
    reborn: Lows,
    /// The newest leader epoch with a leader, by the controller's word, and whether that was elected uncleanly.
    said: Option<(LeaderEpoch, bool)>,
    /// Somebody was elected uncleanly in this epoch, and nobody has led in it yet, nor since.
    unsettled: Option<LeaderEpoch>,
    /// Retention has removed everything below.
    pub trimmed: Offset,
    /// DeleteRecords has removed everything below.
    pub deleted_below: Offset,
    /// Below it some copy was compacted: each copy is on its own, and batches are not those of other copies any more.
    pub compacted: Offset,
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
            Fact::Cleaned { next, .. } => self.compacted = self.compacted.max(*next),
            Fact::Recovered { .. } | Fact::Truncated { .. } => {
                // What one copy has lost, another may still have.
                let end = self.logs.iter().map(|log| log.end).max().unwrap_or(0);
                self.visible = self.visible.min(end);
            }
            // One who hears so late of its election that there is another leader by now changes nothing.
            Fact::Leads { end, epoch, .. } if self.elections.last().is_none_or(|last| last.epoch <= *epoch) => {
                self.elect(at, n, *epoch, *end);
                self.visible = self.visible.min(*end);
            }
            Fact::Watermarks { high, epoch, .. } => {
                // What a deposed leader still commits, its successor must have had.
                // And a follower that begins with an old high watermark may not have cut yet what its leader lacks.
                match self.elections.last() {
                    Some(last) if last.epoch > *epoch => self.commits(n, last.end.min(*high)),
                    Some(last) if last.node != node => {}
                    _ => self.commits(n, *high),
                }
            }
            Fact::Decided { leader: Some(_), leader_epoch, unclean, .. } => self.decides(at, *leader_epoch, *unclean),
            Fact::Follows { epoch, .. } => self.depose(at, node, *epoch),
            Fact::Dropped { .. } => {
                self.logs.remove(n);
            }
            Fact::Deleted { .. } => {
                self.unsee(at);
                (self.trimmed, self.deleted_below, self.asked, self.compacted) = (0, 0, 0, 0);
                (self.committed, self.elections) = (Chunks::default(), Vec::new());
                (self.replaced, self.alone, self.reborn) = (Lows::default(), Lows::default(), Lows::default());
                (self.said, self.unsettled) = (None, None);
            }
            _ => {}
        }
    }

    /// The topic is deleted: what clients saw is of no more account.
    pub(super) fn unsee(&mut self, at: u64) {
        self.deleted = Some(at);
        self.table.clear();
        self.visible = 0;
    }

    /// The log of a node.
    pub fn log(&self, node: NodeId) -> Option<&Log> {
        self.logs.iter().find(|log| log.node == node)
    }

    /// The crashes that have cut a log, over all nodes.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.logs.iter().flat_map(|log| &log.cuts)
    }

    /// Whether a power loss accounts for the loss of the record at `offset`, first asked for at `called`: of every node
    /// that had it, and of one at least.
    pub fn power_took(&self, offset: Offset, called: u64) -> bool {
        let blameless = self.logs.iter().all(|log| log.is_blameless(offset, called));
        blameless && self.logs.iter().any(|log| log.power_took(offset, called))
    }

    /// Whether something that the contract permits accounts for the loss of the acknowledged record at `offset`, first
    /// asked for at `called`: the power, a new leader that need not have had it, or one that did not know yet that it led
    /// no more.
    pub fn took(&self, contract: &Contract, offset: Offset, called: u64) -> bool {
        let by_leader_alone = contract.acks != -1 && contract.replication > 1;
        self.gone(offset, called)
            || ((contract.unclean || by_leader_alone) && self.election_took(offset, called))
            || (by_leader_alone && self.alone.took(offset, called))
    }

    /// As [`Part::took`], for one that was committed: only an unclean leader need not have had it.
    pub fn took_committed(&self, contract: &Contract, offset: Offset, called: u64) -> bool {
        self.gone(offset, called) || (contract.unclean && self.election_took(offset, called))
    }

    /// By the power: everywhere, or in the log of a leader for want of a better, whoever else has it still. They follow.
    fn gone(&self, offset: Offset, called: u64) -> bool {
        self.power_took(offset, called) || self.reborn.took(offset, called)
    }

    /// By a leader whose log ended before it, or branched off before it, however long it was.
    fn election_took(&self, offset: Offset, called: u64) -> bool {
        self.replaced.took(offset, called)
    }

    /// Whether somebody was elected uncleanly and has not led yet: what is committed, in that one's eyes, is not known.
    pub fn is_unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    /// Whether the one that leads has lost something to the power, and the controller has not told yet how it was elected.
    pub fn awaits_word(&self) -> bool {
        let told = |epoch| self.said.is_some_and(|(of, _)| of >= epoch);
        self.elections.last().is_some_and(|last| last.by_power.is_some() && !told(last.epoch))
    }

    /// Somebody is to lead in that epoch, elected so. Controllers tell all that was decided again when they start.
    fn decides(&mut self, at: u64, epoch: LeaderEpoch, unclean: bool) {
        if self.said.is_some_and(|(last, _)| epoch < last) {
            return;
        }
        self.said = Some((epoch, unclean));
        let last = self.elections.last();
        if unclean && last.is_none_or(|last| last.epoch < epoch) {
            self.unsettled = Some(epoch);
        }
        // One that leads before the controller's word is out.
        if let Some(low) = last.filter(|last| unclean && last.epoch == epoch).and_then(|last| last.by_power) {
            self.reborn.push(at, low);
        }
    }

    /// Node number `n` comes to lead. What was committed and its log lacks, is committed no longer.
    fn elect(&mut self, at: u64, n: usize, epoch: LeaderEpoch, end: Offset) {
        let log = &self.logs[n];
        let start = log.start.max(self.trimmed).max(self.deleted_below).max(self.compacted);
        let first = self.committed.partition_point(|b| b.base < start);
        let held = |b: &Appended| log.batch_at(b.base) == Some(b);
        let owed = (first..self.committed.len()).filter_map(|at| self.committed.get(at));
        let (mut owed, mut checked) = (owed, 0);
        let lacks = owed.find(|b| {
            checked += 1;
            !held(b)
        });
        let (lacks, committed) = (lacks.map(Appended::mark), self.committed_end());
        while lacks.is_some_and(|lost| self.committed.last().is_some_and(|b| b.base >= lost.base)) {
            self.committed.pop();
        }
        let low = lacks.map_or(end, |first| first.base.min(end));
        let by_power = (log.peak > low && log.power_took(low, 0)).then_some(low);
        let said = self.said.filter(|(of, _)| *of == epoch).map(|(_, unclean)| unclean);
        let doubted = self.unsettled.is_some_and(|of| of < epoch);
        self.unsettled = self.unsettled.filter(|of| *of > epoch);
        self.replaced.push(at, low);
        if let Some(low) = by_power.filter(|_| said == Some(true)) {
            self.reborn.push(at, low);
        }
        let node = log.node;
        let predecessor = self.elections.last().map(|last| last.node);
        if let Some(low) = predecessor.and_then(|last| self.branch(last, node)) {
            self.alone.push(at, low);
        }
        self.elections.push(Election { at, node, epoch, end, committed, lacks, checked, by_power, said, doubted });
    }

    /// `node` follows in `epoch`. What it has and its successors lack goes, if it led before.
    fn depose(&mut self, at: u64, node: NodeId, epoch: LeaderEpoch) {
        let Some(last) = self.elections.iter().rposition(|election| election.node == node) else { return };
        let successors = self.elections[last + 1..].iter().filter(|election| election.epoch <= epoch);
        if let Some(low) = successors.filter_map(|election| self.branch(node, election.node)).min() {
            self.alone.push(at, low);
        }
    }

    /// The first offset from which on a node has what another one lacks: logs agree up to where they part.
    fn branch(&self, node: NodeId, other: NodeId) -> Option<Offset> {
        let (log, other) = (self.log(node)?, self.log(other)?);
        let start = other.start.max(self.compacted);
        let common = |batch: &Appended| batch.base < start || other.batch_at(batch.base) == Some(batch);
        log.batches.get(log.batches.partition_point(common)).map(|batch| batch.base)
    }

    /// Node number `n` states its high watermark: what its log holds below it, and nobody has stated before, is committed.
    fn commits(&mut self, n: usize, high: Offset) {
        let from = self.committed_end();
        let log = &self.logs[n];
        let first = log.batches.partition_point(|b| b.base < from);
        let new = (first..log.batches.len()).filter_map(|at| log.batches.get(at)).take_while(|b| b.mark().last < high);
        for batch in new {
            self.committed.push(*batch);
        }
    }

    /// One past the last offset known to be committed.
    pub fn committed_end(&self) -> Offset {
        self.committed.last().map_or(0, |batch| batch.mark().last.saturating_add(1))
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

/// A node that came to lead a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Election {
    /// When, in nanoseconds of world time.
    pub at: u64,
    /// Which.
    pub node: NodeId,
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// Where its log ended.
    pub end: Offset,
    /// One past the last offset that was committed then.
    pub committed: Offset,
    /// The first committed batch that its log lacked, or held another in place of.
    pub lacks: Option<BatchMark>,
    /// Committed batches looked for in its log.
    pub checked: u64,
    /// From where on it lacks what it had had, and what a power loss has taken from it.
    pub by_power: Option<Offset>,
    /// Whether it was said to be elected uncleanly, if the controller had told of it by then.
    pub said: Option<bool>,
    /// Whether another was elected uncleanly before it, and has never led: that one was trusted since.
    pub doubted: bool,
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

    /// Takes note of a delivery, if it is of the final read.
    pub(super) fn overtakes(&mut self, delivery: &Delivery) {
        if delivery.last {
            self.next = self.next.max(delivery.offset.saturating_add(1));
        }
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
