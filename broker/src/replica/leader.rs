//! The leader of one partition: log end, durable end, followers, the in-sync set, the high watermark, and the producers
//! who wait for it.
//!
//! A plain state machine. The shell appends to the log and syncs it, and says so, and tells what followers fetch and what
//! the controller decides; the machine answers when to sync, when the high watermark moves, who is acknowledged, and
//! which in-sync set to propose.

use std::collections::VecDeque;
use std::time::Duration;

use super::in_sync::{Followers, InSync};
pub use super::leader_io::{Effect, Input, Ticket, Undecided, Waiting};
use crate::config::FlushPolicy;
use crate::controller::partition::PartitionState;
use crate::env::Mono;
use crate::ids::{LeaderEpoch, NodeId, Offset, PartitionEpoch};
use crate::planted::{Defect, planted};

/// The state of a partition at its leader.
#[derive(Clone, Debug)]
pub struct Leader {
    me: NodeId,
    policy: FlushPolicy,
    least: usize,
    epoch: LeaderEpoch,
    /// Where its log ended when it began to lead.
    start: Offset,
    in_sync: InSync,
    followers: Followers,
    end: Offset,
    flushed: Offset,
    high: Offset,
    /// Those who wait for all, by the offset they wait for: the order in which they came, but for duplicates.
    waiting: VecDeque<(Offset, Waiting)>,
    /// Those who wait for this node only.
    local: VecDeque<(Offset, Waiting)>,
    flushing: bool,
    /// Records appended since the last fsync began.
    unflushed_records: u64,
    lost: bool,
}

/// What a leader begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// This node.
    pub me: NodeId,
    /// When.
    pub now: Mono,
    /// Where its log ends, all of it durable up to `flushed`.
    pub end: Offset,
    /// One past the last durable offset.
    pub flushed: Offset,
    /// The high watermark it knows of, as a follower or from its last life.
    pub high: Offset,
    /// The flush policy.
    pub policy: FlushPolicy,
    /// `min.insync.replicas`.
    pub least: usize,
    /// `replica.lag.time.max.ms`.
    pub lag: Duration,
}

impl Leader {
    /// Leads the partition in this state. What it leads alone is committed at once.
    pub fn new(begin: &Beginning, state: &PartitionState, effects: &mut Vec<Effect>) -> Self {
        let mut leader = Self {
            me: begin.me,
            policy: begin.policy,
            least: begin.least,
            epoch: state.leader_epoch,
            start: begin.end,
            in_sync: InSync::new(state.partition_epoch, state.in_sync.clone(), begin.lag),
            followers: Followers::new(begin.me, &state.replicas, begin.lag, begin.now),
            end: begin.end,
            flushed: begin.flushed,
            high: begin.high.min(begin.end),
            waiting: VecDeque::new(),
            local: VecDeque::new(),
            flushing: false,
            unflushed_records: 0,
            lost: false,
        };
        effects.push(Effect::InSync);
        leader.advance(effects);
        leader.flush_again(effects);
        leader
    }

    /// Leads on in a later epoch: it was elected again. Who waits goes on waiting, but of the followers nothing is known
    /// before they have fetched in the new epoch. With the flush policy and `min.insync.replicas` of that decision.
    pub fn renew(
        &mut self,
        now: Mono,
        state: &PartitionState,
        (flush, least): (FlushPolicy, usize),
        effects: &mut Vec<Effect>,
    ) {
        (self.policy, self.least) = (flush, least);
        self.epoch = state.leader_epoch;
        self.start = self.end;
        self.in_sync.renew(state.partition_epoch, state.in_sync.clone());
        self.followers.reset(self.me, &state.replicas, now);
        effects.push(Effect::InSync);
        self.advance(effects);
        self.flush_again(effects);
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

    /// Where its log ended when it began to lead: what it appended itself begins there.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The in-sync set, as the controller has committed it and as it may become.
    pub fn in_sync(&self) -> &InSync {
        &self.in_sync
    }

    /// How many replicas that are or may be in sync have everything below `upto`, this node included.
    fn having(&self, upto: Offset) -> usize {
        let has = |node: &&NodeId| self.position(**node) >= upto;
        self.in_sync.maximal().iter().filter(has).count()
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
                let waiting = self.waiting.drain(..).chain(self.local.drain(..));
                effects.extend(waiting.map(|(_, w)| Effect::Lost(w.ticket)));
            }
            Input::Tick => self.pass_time(now, effects),
            Input::Fetched { follower, epoch, offset, eligible } => {
                self.followers.fetched(now, follower, epoch, offset, eligible, self.end);
                self.consider(now, effects);
                self.advance(effects);
            }
            Input::Inspect => self.consider(now, effects),
            Input::Decided { partition_epoch, replicas, in_sync, flush, least } => {
                (self.policy, self.least) = (flush, least);
                if self.in_sync.decided(partition_epoch, in_sync) {
                    self.followers.keep(self.me, &replicas, now);
                    effects.push(Effect::InSync);
                    self.advance(effects);
                    self.consider(now, effects);
                } else {
                    self.advance(effects);
                }
                self.flush_again(effects);
            }
            Input::NotAltered { asked, why } => self.not_altered(now, asked, why, effects),
        }
    }

    fn not_altered(&mut self, now: Mono, asked: PartitionEpoch, why: Undecided, effects: &mut Vec<Effect>) {
        match why {
            Undecided::Lost => effects.extend(self.in_sync.again(asked).map(Effect::Propose)),
            Undecided::Refused => {
                if let Some(refused) = self.in_sync.refused(asked, now) {
                    // One of them is gone, and does not fetch again. The others do, and are proposed without it.
                    self.followers.disqualify(&refused);
                    effects.push(Effect::InSync);
                    self.advance(effects);
                }
            }
        }
    }

    fn pass_time(&mut self, now: Mono, effects: &mut Vec<Effect>) {
        for waiting in [&mut self.waiting, &mut self.local] {
            waiting.retain(|(_, w)| {
                let keep = w.deadline > now;
                if !keep {
                    effects.push(Effect::TimedOut(w.ticket));
                }
                keep
            });
        }
    }

    /// Proposes another in-sync set if there is reason to, and no proposal is under way.
    fn consider(&mut self, now: Mono, effects: &mut Vec<Effect>) {
        if self.in_sync.expire(now) {
            effects.push(Effect::InSync);
            self.advance(effects);
        }
        if self.lost || self.in_sync.is_proposed() {
            return;
        }
        // A follower joins once it has all that is committed, and all that this leader may yet count as such.
        let needed = if planted(Defect::ReExpandBelowEpochStart) { self.high } else { self.high.max(self.start) };
        let members = self.followers.wanted(self.me, self.in_sync.committed(), now, self.end, needed);
        if members.iter().map(|(member, _)| *member).eq(self.in_sync.committed().iter().copied()) {
            return;
        }
        let proposal = self.in_sync.propose(self.epoch, members);
        effects.push(Effect::InSync);
        effects.push(Effect::Propose(proposal));
    }

    /// How far a member is known to have the log, as the flush policy counts having it; -1: not known.
    pub fn position(&self, node: NodeId) -> Offset {
        if node == self.me { self.local_end() } else { self.followers.position(node) }
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
            return effects.push(Effect::Lost(waiting.ticket));
        }
        let queue = if waiting.all { &mut self.waiting } else { &mut self.local };
        let at = queue.partition_point(|(other, _)| *other <= end);
        queue.insert(at, (end, waiting));
    }

    fn reopened(&mut self, end: Offset, effects: &mut Vec<Effect>) {
        for queue in [&mut self.waiting, &mut self.local] {
            while let Some((_, waiting)) = queue.pop_back_if(|(upto, _)| *upto > end) {
                effects.push(Effect::Lost(waiting.ticket));
            }
        }
        (self.end, self.flushed, self.unflushed_records) = (end, end, 0);
        // Whoever leads without having seen its log did not know where its own records begin.
        self.start = self.start.max(end);
        // An fsync that found the log off line has no end of its own.
        self.flushing = false;
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

    /// How far this node has the log, as the flush policy counts having it.
    fn local_end(&self) -> Offset {
        if self.durable() && !planted(Defect::StAckBeforeFsync) { self.flushed.min(self.end) } else { self.end }
    }

    /// How many have a replica.
    pub fn replicas(&self) -> usize {
        self.followers.count() + 1
    }

    /// `min.insync.replicas`, as far as there are replicas: who asks for more than all gets all, as in Kafka
    /// (`Partition.effectiveMinIsr`).
    fn least(&self) -> usize {
        if planted(Defect::ReAckIgnoresMinIsr) { 1 } else { self.least.min(self.replicas()) }
    }

    /// With fewer in sync than `min.insync.replicas` nothing more is committed: then all that is committed is also with those
    /// who were the last to leave the set (KIP-966).
    fn may_commit(&self) -> bool {
        self.in_sync.committed().len() >= self.least()
    }

    /// How far every replica has the log that is in sync or may be: whoever is elected next is one of them (KIP-497).
    fn committed(&self) -> Offset {
        let waits_for = |node: &&NodeId| {
            let other = **node != self.me && planted(Defect::ReHwFromLeaderEnd);
            let uncommitted = !self.in_sync.committed().contains(node) && planted(Defect::ReHwNotMaximal);
            let unwanted = self.in_sync.is_unwanted(**node) && planted(Defect::ReIsrHwRace);
            !(other || uncommitted || unwanted)
        };
        let members = self.in_sync.maximal().iter().filter(waits_for);
        let slowest = members.map(|node| self.position(*node)).min().unwrap_or(self.high);
        if planted(Defect::ReHwCountsIneligible) { slowest.min(self.followers.slowest()) } else { slowest }
    }

    fn advance(&mut self, effects: &mut Vec<Effect>) {
        if self.lost {
            return;
        }
        let local = self.local_end();
        while let Some((end, waiting)) = self.local.pop_front_if(|(end, _)| *end <= local) {
            effects.push(Effect::Ack { ticket: waiting.ticket, replicas: self.having(end) });
        }
        let (committed, before) = (self.committed(), self.high);
        if committed > self.high && self.may_commit() {
            self.high = committed;
            effects.push(Effect::HighWatermark(committed));
        }
        // The set may have shrunk since it was asked whether it is large enough.
        let enough = self.in_sync.maximal().len() >= self.least();
        while let Some((end, waiting)) = self.waiting.pop_front_if(|(end, _)| *end <= self.high) {
            // What was committed already, all had, whatever they have fetched since.
            let replicas = if end <= before { self.in_sync.maximal().len() } else { self.having(end) };
            effects.push(match enough {
                true => Effect::Ack { ticket: waiting.ticket, replicas },
                false => Effect::TooFew(waiting.ticket),
            });
        }
    }
}
