//! A partition's part in its replica set: it leads, or follows, or waits for somebody to lead. What the state machines
//! ask for is carried out here.

use std::collections::VecDeque;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;

use super::Node;
use super::partition::{Ack, AckEnd, Partition, Waits};
use crate::config::FlushPolicy;
use crate::controller::partition::PartitionState;
use crate::env::Env;
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::log::{Appended, Log};
use crate::planted::{Defect, planted};
use crate::replica::follower::Follower;
use crate::replica::leader::{Beginning, Effect, Input, Leader, Ticket, Waiting};

/// This node's part in a partition.
pub(super) enum Role {
    /// It leads.
    Leader(Box<Leader>),
    /// It follows, or waits for somebody to lead.
    Follower(Follower),
}

impl Role {
    fn epoch(&self) -> LeaderEpoch {
        match self {
            Role::Leader(leader) => leader.epoch(),
            Role::Follower(follower) => follower.epoch,
        }
    }
}

/// Stands for more bytes than any fetch waits for.
const PLENTY: u64 = u64::MAX / 2;

impl<E: Env> Partition<E> {
    /// The high watermark.
    pub fn high(&self) -> Offset {
        match &*self.role.borrow() {
            Role::Leader(leader) => leader.high(),
            Role::Follower(follower) => follower.high,
        }
    }

    /// Last stable offset: the high watermark, as long as there are no transactions.
    pub fn stable(&self) -> Offset {
        self.high()
    }

    /// The newest leader epoch known.
    pub fn epoch(&self) -> LeaderEpoch {
        self.role.borrow().epoch()
    }

    /// NOT_LEADER_OR_FOLLOWER, unless this node leads it.
    pub fn check_leads(&self) -> Result<(), ResponseError> {
        match &*self.role.borrow() {
            Role::Leader(_) => Ok(()),
            Role::Follower(_) => Err(ResponseError::NotLeaderOrFollower),
        }
    }

    /// Whether it leads, and what earlier leaders committed is not all known to be yet: its high watermark may be below
    /// what consumers have been shown (KIP-207).
    pub fn lags(&self) -> bool {
        matches!(&*self.role.borrow(), Role::Leader(leader) if leader.high() < leader.start())
    }

    /// Replicas known to be in sync; none if this node does not lead.
    pub fn in_sync(&self) -> usize {
        match &*self.role.borrow() {
            Role::Leader(leader) => leader.in_sync().committed().len(),
            Role::Follower(_) => 0,
        }
    }

    /// NOT_ENOUGH_REPLICAS, unless as many are in sync as records need to be committed (`min.insync.replicas`, or all).
    pub fn check_in_sync(&self) -> Result<(), ResponseError> {
        let least = self.with_log(|log| Ok(log.config().min_insync_replicas)).map_err(|error| error.response())?;
        let all = match &*self.role.borrow() {
            Role::Leader(leader) => leader.replicas(),
            Role::Follower(_) => 1,
        };
        if self.in_sync() < (least as usize).min(all) { Err(ResponseError::NotEnoughReplicas) } else { Ok(()) }
    }

    /// The in-sync replicas that are known to have everything below `offset`, and how far each is. None if this node does
    /// not lead.
    pub fn in_sync_from(&self, offset: Offset) -> Vec<(NodeId, Offset)> {
        match &*self.role.borrow() {
            Role::Leader(leader) => {
                let all = leader.in_sync().committed().iter().map(|node| (*node, leader.position(*node)));
                all.filter(|(_, position)| *position >= offset).collect()
            }
            Role::Follower(_) => Vec::new(),
        }
    }

    /// Compares the epoch a client believes in with the one in force; -1 believes nothing (KIP-320).
    pub fn check_epoch(&self, believed: LeaderEpoch) -> Result<(), ResponseError> {
        let epoch = self.epoch();
        match believed {
            -1 => Ok(()),
            b if b < epoch => Err(ResponseError::FencedLeaderEpoch),
            b if b > epoch => Err(ResponseError::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Takes in records that were appended. `waits`: the request's part that waits until they are committed (`all`), or
    /// stored here.
    pub fn appended(self: &Rc<Self>, node: &Rc<Node<E>>, appended: &Appended, all: bool, waits: Option<Waits<'_>>) {
        self.hidden.borrow_mut().push_back((appended.last + 1, appended.bytes as u64));
        self.tail.more(appended.bytes as u64);
        let waiting = waits.map(|waits| self.waiting(all, waits));
        let records = u64::try_from(appended.last - appended.base + 1).unwrap_or(0);
        self.flow.comes(records, appended.bytes as u64);
        self.step(node, Input::Appended { end: appended.last + 1, records, waiting });
    }

    /// A batch came again that ends at `last`: the request's part waits until the first one is as safe.
    pub fn repeated(self: &Rc<Self>, node: &Rc<Node<E>>, last: Offset, all: bool, waits: Option<Waits<'_>>) {
        if let Some(waits) = waits {
            let waiting = self.waiting(all, waits);
            self.step(node, Input::Duplicate { end: last + 1, waiting });
        }
    }

    fn waiting(&self, all: bool, (parts, at, deadline): Waits<'_>) -> Waiting {
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket + 1);
        self.acks.borrow_mut().insert(ticket, Ack { parts: parts.clone(), at });
        Waiting { ticket, all: all && !planted(Defect::ReAckBeforeReplicated), deadline }
    }

    /// The high watermark that a follower was last told; -1: none since this node leads.
    pub fn told(&self, follower: NodeId) -> Offset {
        self.told.borrow().get(&follower).copied().unwrap_or(-1)
    }

    /// A follower is being told this high watermark.
    pub fn tell(&self, follower: NodeId, high: Offset) {
        self.told.borrow_mut().insert(follower, high);
    }

    /// Where a follower's log begins; -1 as long as it has not said so to this leader.
    pub fn begins(&self, follower: NodeId) -> Offset {
        self.begins.borrow().get(&follower).copied().unwrap_or(-1)
    }

    /// A follower says where its log begins.
    pub fn note_begin(&self, follower: NodeId, start: Offset) {
        self.begins.borrow_mut().insert(follower, start);
    }

    /// A follower has more to show.
    pub(super) fn shown_more(&self) {
        self.watchers.more(PLENTY);
    }

    /// Gives the leader an input and does what it asks for. Whoever does not lead has nothing to do.
    pub fn step(self: &Rc<Self>, node: &Rc<Node<E>>, input: Input) {
        let mut effects = node.effects.take();
        if let Role::Leader(leader) = &mut *self.role.borrow_mut() {
            leader.step(node.env.now(), input, &mut effects);
        }
        self.carry_out(node, effects);
    }

    /// Looks who has fallen behind, and whose time is up. While the log is off line nobody can fetch, and falls behind by
    /// no fault of its own.
    pub(super) fn inspect(self: &Rc<Self>, node: &Rc<Node<E>>) {
        if self.is_online() {
            self.step(node, Input::Inspect);
        }
        if !self.acks.borrow().is_empty() {
            self.step(node, Input::Tick);
        }
    }

    /// Begins an fsync if there is something to sync and none is under way.
    pub fn flush_now(self: &Rc<Self>, node: &Rc<Node<E>>) {
        let mut effects = node.effects.take();
        if let Role::Leader(leader) = &mut *self.role.borrow_mut() {
            leader.flush_now(&mut effects);
        }
        self.carry_out(node, effects);
    }

    /// Takes up the part that the cluster gives it. News older than what it knows changes nothing.
    pub fn assume(self: &Rc<Self>, node: &Rc<Node<E>>, state: &PartitionState) {
        let leads = state.leader == Some(node.config.node_id);
        let (same, newer) = match &*self.role.borrow() {
            Role::Leader(leader) => {
                (leads && leader.epoch() == state.leader_epoch, state.leader_epoch > leader.epoch())
            }
            Role::Follower(follower) => {
                let same = !leads && follower.epoch == state.leader_epoch && follower.leader == state.leader;
                (same, state.leader_epoch >= follower.epoch)
            }
        };
        if same {
            let (replicas, in_sync) = (state.replicas.clone(), state.in_sync.clone());
            let ((flush, least), partition_epoch) = (self.policy.get(), state.partition_epoch);
            self.step(node, Input::Decided { partition_epoch, replicas, in_sync, flush, least });
        } else if newer && leads {
            self.lead(node, state);
        } else if newer && !(self.check_leads().is_ok() && planted(Defect::CtZombieLeader)) {
            self.follow(node, state);
        }
    }

    fn lead(self: &Rc<Self>, node: &Rc<Node<E>>, state: &PartitionState) {
        node.fetchers.forget(&self.tp);
        self.told.borrow_mut().clear();
        self.begins.borrow_mut().clear();
        let open = self.log.borrow().as_ref().map(|log| (log.log_end(), log.flushed()));
        // One that is off line ends for now where it ended; how much of it is durable is seen when it is opened again.
        let (end, flushed) = open.unwrap_or_else(|| (self.ended().max(self.high()), 0));
        let mut effects = node.effects.take();
        self.begin_to_lead(node, state, (end, flushed), &mut effects);
        node.tell(|| Fact::Leads {
            tp: self.tp.clone(),
            epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            end,
            in_sync: state.in_sync.clone(),
        });
        self.carry_out(node, effects);
        self.fire_all();
        super::groups::lead(node, self);
    }

    fn begin_to_lead(
        &self,
        node: &Node<E>,
        state: &PartitionState,
        (end, flushed): (Offset, Offset),
        effects: &mut Vec<Effect>,
    ) {
        let mut role = self.role.borrow_mut();
        let (policy, least) = self.policy.get();
        let high = match &mut *role {
            // What was appended is still there, and still waited for.
            Role::Leader(leader) => return leader.renew(node.env.now(), state, (policy, least), effects),
            Role::Follower(follower) => follower.high,
        };
        let lag = node.config.replica_lag_time_max;
        let begin = Beginning { me: node.config.node_id, now: node.env.now(), end, flushed, high, policy, least, lag };
        *self.hidden.borrow_mut() = VecDeque::from([(end, PLENTY)]);
        *role = Role::Leader(Box::new(Leader::new(&begin, state, effects)));
    }

    fn follow(self: &Rc<Self>, node: &Rc<Node<E>>, state: &PartitionState) {
        let follower = Follower { leader: state.leader, epoch: state.leader_epoch, high: self.high() };
        *self.role.borrow_mut() = Role::Follower(follower);
        super::groups::end(node, self);
        self.hidden.borrow_mut().clear();
        node.tell(|| Fact::Follows { tp: self.tp.clone(), epoch: state.leader_epoch, leader: state.leader });
        // Whoever leads now may have other records in their place.
        for ack in std::mem::take(&mut *self.acks.borrow_mut()).into_values() {
            ack.parts.end(ack.at, Err(ResponseError::NotLeaderOrFollower));
        }
        self.fire_all();
        self.state_marks(node);
        node.fetchers.forget(&self.tp);
        if let Some(leader) = state.leader {
            super::fetcher::follow(node, leader, self);
        }
    }

    pub(super) fn carry_out(self: &Rc<Self>, node: &Rc<Node<E>>, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Flush => self.begin_flush(node),
                Effect::FlushWithin(ms) => node.flush_within(self, ms),
                Effect::HighWatermark(high) => {
                    self.show_below(high);
                    super::groups::committed(node, self);
                }
                Effect::Ack { ticket, replicas } => self.ack(ticket, Ok(u32::try_from(replicas).unwrap_or(u32::MAX))),
                Effect::TimedOut(ticket) => self.ack(ticket, Err(ResponseError::RequestTimedOut)),
                Effect::Lost(ticket) => self.ack(ticket, Err(ResponseError::KafkaStorageError)),
                Effect::TooFew(ticket) => self.ack(ticket, Err(ResponseError::NotEnoughReplicasAfterAppend)),
                Effect::Propose(proposal) => super::propose::send(node, self, proposal),
                Effect::InSync => self.state_in_sync(node),
            }
        }
        *node.effects.borrow_mut() = effects;
        self.state_marks(node);
    }

    fn state_in_sync(&self, node: &Node<E>) {
        if let Role::Leader(leader) = &*self.role.borrow() {
            let (epoch, in_sync) = (leader.epoch(), leader.in_sync());
            node.tell(|| Fact::InSync {
                tp: self.tp.clone(),
                epoch,
                partition_epoch: in_sync.partition_epoch(),
                in_sync: in_sync.committed().to_vec(),
                maximal: in_sync.maximal().to_vec(),
            });
        }
    }

    fn ack(&self, ticket: Ticket, end: AckEnd) {
        let ack = self.acks.borrow_mut().remove(&ticket);
        if let Some(ack) = ack {
            ack.parts.end(ack.at, end);
        }
    }

    fn show_below(&self, high: Offset) {
        let mut shown = 0;
        let mut hidden = self.hidden.borrow_mut();
        while let Some((_, bytes)) = hidden.pop_front_if(|(end, _)| *end <= high) {
            shown += bytes;
        }
        drop(hidden);
        self.watchers.more(shown);
    }

    /// States the offsets if any of them moved.
    pub fn state_marks(&self, node: &Node<E>) {
        // A log that was taken away has none.
        if !node.env.hears() || self.log.borrow().is_none() {
            return;
        }
        let end = match &*self.role.borrow() {
            Role::Leader(leader) => leader.end(),
            Role::Follower(_) => self.log.borrow().as_ref().map_or(0, Log::log_end),
        };
        let now = (self.log_start(), self.high(), end);
        if self.stated.replace(now) != now {
            node.env.tell(Fact::Watermarks {
                tp: self.tp.clone(),
                log_start: now.0,
                stable: self.stable(),
                high: now.1,
                end: now.2,
                epoch: self.epoch(),
            });
        }
    }

    /// Whether an acknowledgement promises that the records are on disk.
    pub fn durable(&self) -> bool {
        self.policy.get().0 == FlushPolicy::Always
    }
}
