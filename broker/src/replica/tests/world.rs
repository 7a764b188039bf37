//! A controller and three replicas of one partition, driven by hand: every message may be late, lost or overtaken, every
//! replica may lose power at any moment. The machines are the real ones; logs, network and controller are naive.

use std::time::Duration;

use super::log::{Log, Record, at, offset};
use crate::config::FlushPolicy;
use crate::controller::partition::PartitionState;
use crate::env::Mono;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch};
use crate::replica::follower::{Answered, Asked, Follower, Standing, Step};
use crate::replica::in_sync::Proposal;
use crate::replica::leader::{Beginning, Effect, Input, Leader, Undecided, Waiting};

/// `replica.lag.time.max.ms` of this world, in its own time.
pub const LAG: Duration = Duration::from_nanos(20);
/// Records in one answer at most.
const CHUNK: usize = 3;

#[derive(Debug)]
pub enum Role {
    Down,
    Leader(Box<Leader>),
    Follower(Follower),
}

#[derive(Debug)]
pub struct Node {
    pub log: Log,
    pub role: Role,
    /// Counts its starts, and is its broker epoch.
    pub incarnation: BrokerEpoch,
    /// How many of the controller's decisions it has heard of.
    heard: usize,
    /// The high watermark written down.
    checkpoint: Offset,
    /// What the fsync under way covers.
    syncing: Option<Offset>,
    /// A fetch of its is on its way: followers ask one thing at a time.
    asking: bool,
}

/// A fetch and what goes with it.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    pub from: NodeId,
    incarnation: BrokerEpoch,
    to: NodeId,
    asked: Asked,
}

/// Something on its way.
#[derive(Clone, Debug)]
pub enum Message {
    Fetch(Fetch),
    Fetched(Fetch, Option<(Answered, Vec<Record>)>),
    /// With the incarnation of the leader that proposes.
    Propose(NodeId, BrokerEpoch, Proposal),
    /// To a proposal of the leader of that epoch; `why` not, if not.
    Answer {
        to: NodeId,
        incarnation: BrokerEpoch,
        epoch: LeaderEpoch,
        asked: PartitionEpoch,
        why: Option<Undecided>,
    },
}

/// The world.
pub struct World {
    pub now: u64,
    pub nodes: Vec<Node>,
    pub decisions: Vec<PartitionState>,
    pub fenced: Vec<bool>,
    pub wire: Vec<Message>,
    /// Everything that any leader ever had below its high watermark.
    pub committed: Vec<Record>,
    pub acknowledged: usize,
    least: usize,
    next: u64,
}

fn id(node: usize) -> NodeId {
    NodeId(i32::try_from(node).expect("three nodes"))
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0).expect("ids are positive")
}

impl World {
    /// Everyone is in sync, with an empty log; the first leads.
    pub fn new(least: usize) -> Self {
        let replicas: Vec<NodeId> = (0..3).map(id).collect();
        let first = PartitionState::new(replicas, |_| true).expect("all are active");
        let node = || Node {
            log: Log::default(),
            role: Role::Follower(Follower { leader: None, epoch: -1, high: 0 }),
            incarnation: 1,
            heard: 0,
            checkpoint: 0,
            syncing: None,
            asking: false,
        };
        let nodes = (0..3).map(|_| node()).collect();
        let (decisions, fenced) = (vec![first], vec![false; 3]);
        let (wire, committed) = (Vec::new(), Vec::new());
        Self { now: 100, nodes, decisions, fenced, wire, committed, acknowledged: 0, least, next: 0 }
    }

    pub fn state(&self) -> &PartitionState {
        self.decisions.last().expect("there is a first")
    }

    fn step(&mut self, node: usize, input: Input) {
        let mut effects = Vec::new();
        if let Role::Leader(leader) = &mut self.nodes[node].role {
            leader.step(Mono(self.now), input, &mut effects);
        }
        self.carry_out(node, effects);
    }

    fn carry_out(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Flush => self.nodes[node].syncing = Some(self.nodes[node].log.end()),
                Effect::HighWatermark(high) => self.commit(node, high),
                Effect::Ack { ticket, replicas } => {
                    let upto = offset(usize::try_from(ticket).expect("short"));
                    assert!(upto <= offset(self.committed.len()), "acknowledged, but not committed");
                    assert!(replicas >= self.least, "acknowledged with {replicas} replicas");
                    self.acknowledged += 1;
                }
                Effect::Propose(proposal) => {
                    self.wire.push(Message::Propose(id(node), self.nodes[node].incarnation, proposal));
                }
                Effect::FlushWithin(_) | Effect::TimedOut(_) | Effect::Lost(_) | Effect::TooFew(_) | Effect::InSync => {
                }
            }
        }
    }

    /// What a leader believes to be committed is so for ever.
    fn commit(&mut self, node: usize, high: Offset) {
        let log = &self.nodes[node].log;
        for offset in log.start..high {
            let record = log.get(offset).expect("the high watermark is within the log");
            match self.committed.get(at(offset)) {
                Some(known) => assert_eq!(*known, record, "committed twice at {offset}"),
                None => self.committed.push(record),
            }
        }
        // Whoever may be elected next has it, on disk.
        for member in &self.state().in_sync {
            let log = &self.nodes[index(*member)].log;
            assert!(log.flushed >= high, "{member} is in sync, and lacks what is committed below {high}");
        }
    }

    /// A producer sends a record to a node that believes to lead.
    pub fn append(&mut self, node: usize) {
        let Role::Leader(leader) = &self.nodes[node].role else { return };
        let record = (leader.epoch(), self.next);
        self.next += 1;
        self.nodes[node].log.records.push(record);
        let end = self.nodes[node].log.end();
        let ticket = u64::try_from(end).expect("positive");
        let waiting = Some(Waiting { ticket, all: true, deadline: Mono(u64::MAX) });
        self.step(node, Input::Appended { end, records: 1, waiting });
    }

    /// The fsync under way at a leader ends.
    pub fn flushed(&mut self, node: usize) {
        let Some(upto) = self.nodes[node].syncing.take() else { return };
        let log = &mut self.nodes[node].log;
        log.flushed = log.flushed.max(upto.min(log.end()));
        self.step(node, Input::Flushed { upto: self.nodes[node].log.flushed });
    }

    /// A follower makes durable what it has, and asks for what follows.
    pub fn fetch(&mut self, node: usize) {
        let from = &mut self.nodes[node];
        let Role::Follower(Follower { leader: Some(to), epoch, .. }) = from.role else { return };
        if std::mem::replace(&mut from.asking, true) {
            return;
        }
        from.log.flushed = from.log.end();
        let asked = Asked { epoch, offset: from.log.end(), last: from.log.last() };
        self.wire.push(Message::Fetch(Fetch { from: id(node), incarnation: from.incarnation, to, asked }));
    }

    /// A message arrives.
    pub fn deliver(&mut self, message: Message) {
        match message {
            Message::Fetch(fetch) => self.serve(fetch),
            Message::Fetched(fetch, answer) => self.fetched(fetch, answer),
            Message::Propose(from, incarnation, proposal) => self.alter(from, incarnation, &proposal),
            // What was carried out, or overtaken, is heard of otherwise.
            Message::Answer { why: None, .. } => {}
            Message::Answer { to, incarnation, epoch, asked, why: Some(why) } => {
                let node = &self.nodes[index(to)];
                let leads = matches!(&node.role, Role::Leader(leader) if leader.epoch() == epoch);
                if leads && node.incarnation == incarnation {
                    self.step(index(to), Input::NotAltered { asked, why });
                }
            }
        }
    }

    /// A message is lost: whoever waits for an answer is told that there is none.
    pub fn lose(&mut self, message: Message) {
        match message {
            Message::Fetch(fetch) | Message::Fetched(fetch, _) => self.fetched(fetch, None),
            Message::Propose(to, incarnation, proposal) => {
                let (epoch, asked) = (proposal.leader_epoch, proposal.partition_epoch);
                let why = Some(Undecided::Lost);
                self.deliver(Message::Answer { to, incarnation, epoch, asked, why });
            }
            Message::Answer { to, incarnation, epoch, asked, .. } => {
                let why = Some(Undecided::Lost);
                self.deliver(Message::Answer { to, incarnation, epoch, asked, why });
            }
        }
    }

    /// A follower believes a fetch lost that may yet arrive.
    pub fn give_up(&mut self, message: &Message) {
        match message {
            Message::Propose(..) | Message::Answer { .. } => self.lose(message.clone()),
            Message::Fetch(fetch) | Message::Fetched(fetch, _) => {
                let node = &mut self.nodes[index(fetch.from)];
                node.asking &= node.incarnation != fetch.incarnation;
            }
        }
    }

    fn serve(&mut self, fetch: Fetch) {
        let answer = self.answer(&fetch);
        self.wire.push(Message::Fetched(fetch, Some(answer)));
    }

    fn answer(&mut self, fetch: &Fetch) -> (Answered, Vec<Record>) {
        let refused = (Answered::Refused, Vec::new());
        let to = index(fetch.to);
        let node = &self.nodes[to];
        let Role::Leader(leader) = &node.role else { return refused };
        // Nobody tells this leader that a process was replaced: it has to be safe without.
        if leader.epoch() != fetch.asked.epoch {
            return refused;
        }
        let (start, end) = (node.log.start, node.log.end());
        if fetch.asked.last >= 0 {
            let (epoch, ends) = node.log.end_at_most(fetch.asked.last);
            if epoch < fetch.asked.last || ends < fetch.asked.offset {
                return (Answered::Diverging { epoch, end: ends }, Vec::new());
            }
        }
        let offset = fetch.asked.offset;
        if !(start..=end).contains(&offset) {
            return (Answered::OutOfRange { start }, Vec::new());
        }
        let eligible = !self.fenced[index(fetch.from)];
        self.step(to, Input::Fetched { follower: fetch.from, epoch: fetch.incarnation, offset, eligible });
        let (node, log) = (&self.nodes[to].role, &self.nodes[to].log);
        let Role::Leader(leader) = node else { return refused };
        let records = log.records[at(offset - start)..].iter().take(CHUNK).copied().collect();
        (Answered::Records { high: leader.high(), start }, records)
    }

    fn fetched(&mut self, fetch: Fetch, answer: Option<(Answered, Vec<Record>)>) {
        let node = &mut self.nodes[index(fetch.from)];
        if node.incarnation != fetch.incarnation {
            return;
        }
        node.asking = false;
        let (Role::Follower(follower), Some((answered, records))) = (&mut node.role, answer) else { return };
        if follower.leader != Some(fetch.to) {
            return;
        }
        let log = &mut node.log;
        let standing = Standing { start: log.start, end: log.end(), last: log.last() };
        match follower.answered(fetch.asked, answered, standing, |epoch| log.end_at_most(epoch)) {
            Step::Append { high, start } => {
                log.records.extend(records);
                follower.learn(high, log.end());
                if start > log.start {
                    log.trim(start.min(log.end()));
                }
            }
            Step::Truncate(to) => {
                log.cut(to);
                follower.cut(to);
            }
            Step::Restart(start) => {
                *log = Log { start, records: Vec::new(), flushed: start };
                follower.restarted(start);
            }
            Step::Wait | Step::Ignore => {}
        }
    }

    /// The leader deletes the first half of what is committed.
    pub fn trim(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        if let Role::Leader(leader) = &node.role {
            let start = node.log.start + (leader.high() - node.log.start).max(0) / 2;
            node.log.trim(start);
        }
    }

    /// A node hears of the next decision.
    pub fn hear(&mut self, node: usize) {
        if matches!(self.nodes[node].role, Role::Down) || self.nodes[node].heard == self.decisions.len() {
            return;
        }
        let state = self.decisions[self.nodes[node].heard].clone();
        self.nodes[node].heard += 1;
        self.assume(node, &state);
    }

    fn assume(&mut self, node: usize, state: &PartitionState) {
        let leads = state.leader == Some(id(node));
        let mut effects = Vec::new();
        let it = &mut self.nodes[node];
        match &mut it.role {
            Role::Leader(leader) if leads && leader.epoch() == state.leader_epoch => {
                let (partition_epoch, replicas) = (state.partition_epoch, state.replicas.clone());
                let (in_sync, flush, least) = (state.in_sync.clone(), FlushPolicy::Always, self.least);
                return self.step(node, Input::Decided { partition_epoch, replicas, in_sync, flush, least });
            }
            Role::Leader(leader) if leads => {
                leader.renew(Mono(self.now), state, (FlushPolicy::Always, self.least), &mut effects);
            }
            Role::Leader(leader) => {
                let high = leader.high();
                it.role = Role::Follower(Follower { leader: state.leader, epoch: state.leader_epoch, high });
                it.syncing = None;
            }
            Role::Follower(follower) if leads => {
                let begin = Beginning {
                    me: id(node),
                    now: Mono(self.now),
                    end: it.log.end(),
                    flushed: it.log.flushed,
                    high: follower.high,
                    policy: FlushPolicy::Always,
                    least: self.least,
                    lag: LAG,
                };
                it.role = Role::Leader(Box::new(Leader::new(&begin, state, &mut effects)));
            }
            Role::Follower(follower) => (follower.leader, follower.epoch) = (state.leader, state.leader_epoch),
            Role::Down => return,
        }
        if leads {
            self.check_leader(node, state);
        }
        self.carry_out(node, effects);
    }

    /// Leader completeness: an elected leader has all that was ever committed, unless it is deposed already.
    fn check_leader(&self, node: usize, state: &PartitionState) {
        let log = &self.nodes[node].log;
        for (offset, record) in (0..).zip(&self.committed).filter(|(offset, _)| *offset >= log.start) {
            if state.leader_epoch == self.state().leader_epoch {
                assert_eq!(log.get(offset), Some(*record), "the leader of epoch {} lacks {offset}", state.leader_epoch);
            }
        }
    }

    /// Power is lost: what was not synced is gone.
    pub fn crash(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.log.cut(node.log.flushed);
        (node.role, node.syncing, node.asking) = (Role::Down, None, false);
    }

    /// High watermarks are written down.
    pub fn checkpoint(&mut self, node: usize) {
        self.nodes[node].checkpoint = match &self.nodes[node].role {
            Role::Down => return,
            Role::Leader(leader) => leader.high(),
            Role::Follower(follower) => follower.high,
        };
    }

    /// The controller hears nothing of a node any more, and takes it out where that is possible.
    pub fn fence(&mut self, node: usize) {
        self.fenced[node] = true;
        let mut state = self.state().clone();
        let rest: Vec<NodeId> = state.in_sync.iter().copied().filter(|member| *member != id(node)).collect();
        if rest.len() < state.in_sync.len() && !rest.is_empty() {
            state.in_sync = rest;
        }
        self.elect(&mut state);
        self.decide(state);
    }

    /// The one that leads must be in sync and alive.
    fn elect(&self, state: &mut PartitionState) {
        let able = |member: &NodeId| !self.fenced[index(*member)];
        if state.leader.is_some_and(|leader| able(&leader) && state.in_sync.contains(&leader)) {
            return;
        }
        let leader = state.in_sync.iter().copied().find(able);
        if leader != state.leader {
            state.leader_epoch += 1;
            state.leader = leader;
        }
    }

    fn decide(&mut self, mut state: PartitionState) {
        if state != *self.state() {
            state.partition_epoch += 1;
            self.decisions.push(state);
        }
    }

    /// A node starts, if it is down; the controller lets it in.
    pub fn restart(&mut self, node: usize) {
        let down = matches!(self.nodes[node].role, Role::Down);
        if down {
            // Its registration is another: it is fenced first, and lets go of what it led.
            self.fence(node);
            let it = &mut self.nodes[node];
            let high = it.checkpoint.clamp(it.log.start, it.log.end());
            it.role = Role::Follower(Follower { leader: None, epoch: -1, high });
            it.incarnation += 1;
        }
        self.fenced[node] = false;
        let mut state = self.state().clone();
        self.elect(&mut state);
        self.decide(state);
        if down {
            // It learns of the cluster as it is before it does anything.
            self.nodes[node].heard = self.decisions.len();
            let state = self.state().clone();
            self.assume(node, &state);
        }
    }

    /// Only what the controller knows counts: KIP-497, KIP-841, KIP-903.
    fn alter(&mut self, from: NodeId, incarnation: BrokerEpoch, proposal: &Proposal) {
        let state = self.state().clone();
        let asked = proposal.partition_epoch;
        let member_fits = |(member, epoch): &(NodeId, BrokerEpoch)| {
            let known = self.nodes[index(*member)].incarnation;
            !self.fenced[index(*member)] && (*epoch == -1 || *epoch == known)
        };
        let stale = self.nodes[index(from)].incarnation != incarnation || state.leader != Some(from);
        let why = if stale || proposal.leader_epoch != state.leader_epoch || asked != state.partition_epoch {
            None
        } else if !proposal.members.iter().all(member_fits) {
            Some(Undecided::Refused)
        } else {
            let in_sync: Vec<NodeId> = proposal.members.iter().map(|(member, _)| *member).collect();
            self.decide(PartitionState { in_sync, ..state });
            None
        };
        let (to, epoch) = (from, proposal.leader_epoch);
        self.wire.push(Message::Answer { to, incarnation, epoch, asked, why });
    }

    /// A leader looks for followers that have fallen behind.
    pub fn inspect(&mut self, node: usize) {
        self.step(node, Input::Inspect);
    }
}
