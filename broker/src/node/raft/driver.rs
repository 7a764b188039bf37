//! The task that owns the quorum machine: one job at a time, then everything that the machine asks for, in its order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::control::Control;
use super::fetch_snapshot::{self, Wanted};
use super::fetches::Parked;
use super::log::{View, append, persist};
use super::snapshots::clear_before;
use super::{Described, FetchJob, FetchReply, Job, Jobs, rpc, voters};
use crate::controller::image::Image;
use crate::controller::record::{METADATA_TOPIC, MetadataRecord, Voter};
use crate::env::{Env, Mono};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::log::{Flush, LogError};
use crate::node::{Node, checkpoints};
use crate::planted::{Defect, planted};
use crate::quorum::{
    Answer, Body, Call, Effect, ElectionState, Fetched, Input, OffsetAndEpoch, Part, Quorum, Role, Settings, Standing,
    Tail, Ticket,
};

/// The pause after a failed request of the quorum (`controller.quorum.retry.backoff.ms`).
const RETRY_BACKOFF: Duration = Duration::from_millis(20);
/// A part of the fetch timeout: the longest sleep, so that a node that stood still while it slept notices it.
const NAP: u32 = 4;
/// A part of the fetch timeout: having looked at nothing for so long is not held against others.
const DEAF: u32 = 8;

/// Who waits for an answer of the machine.
enum Waiter {
    Peer(oneshot::Sender<Answer>),
    Replica(FetchJob, oneshot::Sender<FetchReply>),
}

/// What the task works on.
pub(in crate::node) struct Driver<E: Env> {
    node: Rc<Node<E>>,
    receiver: mpsc::Receiver<Job<E::Disk>>,
    machine: Quorum,
    control: Control,
    waiters: BTreeMap<Ticket, Waiter>,
    next_ticket: Ticket,
    parked: Parked,
    inputs: VecDeque<Input>,
    wake: Mono,
    /// The records that came with an answer the machine is looking at.
    arrived: Option<(Call, Bytes)>,
    /// Who is to vote, if the next change is made.
    candidate: Option<Voter>,
    /// A fetch that waits until the log is durable.
    fetch: Option<(NodeId, Call, LeaderEpoch)>,
    flushing: bool,
    failed: bool,
    /// When it last looked for jobs.
    looked: Mono,
}

impl<E: Env> Driver<E> {
    /// Over what was read at the start.
    pub(in crate::node) fn new(node: Rc<Node<E>>, jobs: Jobs<E::Disk>) -> Self {
        let me = node.config.node_id;
        let mut voters = node.config.voters.iter().map(|(voter, _)| *voter).collect::<BTreeSet<_>>();
        if voters.is_empty() {
            voters.insert(me);
        }
        let settings = Settings {
            me,
            voters,
            election_timeout: node.config.quorum_election_timeout,
            fetch_timeout: node.config.quorum_fetch_timeout,
            request_timeout: node.config.quorum_fetch_timeout,
            retry_backoff: RETRY_BACKOFF,
        };
        let machine = match &*node.raft.log() {
            Some(log) => {
                let view = View { log, snapshots: &node.raft.snapshots };
                Quorum::new(settings, node.env.now(), jobs.state, &view, &mut || node.env.draw())
            }
            None => unreachable!("the log is open until the node stops"),
        };
        let known = jobs.voters.iter().map(|(offset, voters)| voters::input(&node, *offset, voters));
        let inputs = known.chain([Input::Tick]).collect();
        Self {
            looked: node.env.now(),
            node,
            receiver: jobs.receiver,
            machine,
            control: Control::default(),
            waiters: BTreeMap::new(),
            next_ticket: 0,
            parked: Parked::default(),
            inputs,
            wake: Mono(u64::MAX),
            arrived: None,
            candidate: None,
            fetch: None,
            flushing: false,
            failed: false,
        }
    }

    /// Works until the node stops.
    pub(in crate::node) async fn run(mut self) {
        loop {
            self.settle().await;
            if self.failed {
                return;
            }
            let node = self.node.clone();
            let now = node.env.now();
            let due = self.wake.min(self.parked.next()).min(self.control.next());
            let due = due.min(now.after(node.config.quorum_fetch_timeout / NAP)).max(now);
            let woken = node.env.timeout(due.since(now), self.receiver.recv()).await;
            self.listen_again(now, due);
            match woken {
                Some(Some(Job::Stop(done))) => return self.stop(done).await,
                Some(Some(job)) => self.take(job),
                Some(None) => return,
                None => self.pass_time(),
            }
        }
    }

    /// It has slept from `asleep`, at most until `due` as it meant to. All else since it last looked for jobs it was deaf: a
    /// write or an fsync took its time, or the whole process stood still. With one thread for everything, a disk that is
    /// busy must not look like peers that are gone.
    fn listen_again(&mut self, asleep: Mono, due: Mono) {
        let now = self.node.env.now();
        let deaf = asleep.since(self.looked) + now.since(due);
        self.looked = now;
        if deaf >= self.node.config.quorum_fetch_timeout / DEAF {
            self.inputs.push_back(Input::Deaf(deaf));
            self.control.excuse(deaf, now);
        }
    }

    fn pass_time(&mut self) {
        let now = self.node.env.now();
        if self.wake <= now {
            self.wake = Mono(u64::MAX);
            self.inputs.push_back(Input::Tick);
        }
        self.parked.expire(now, &self.node);
        let records = self.control.tick(now);
        self.append(&records);
    }

    fn take(&mut self, job: Job<E::Disk>) {
        match job {
            Job::Asked { from, request, done } => {
                let ticket = self.ticket(Waiter::Peer(done));
                self.inputs.push_back(Input::Asked { from, ticket, request });
            }
            Job::ChangeVoters { request, candidate, done } => {
                self.candidate = candidate;
                let ticket = self.ticket(Waiter::Peer(done));
                self.inputs.push_back(Input::Asked { from: self.node.config.node_id, ticket, request });
            }
            Job::Fetch { job, done } => {
                let (from, epoch, position) = (job.from, job.epoch, job.position);
                let ticket = self.ticket(Waiter::Replica(job, done));
                let request = crate::quorum::Request::Fetch { epoch, position };
                self.inputs.push_back(Input::Asked { from, ticket, request });
            }
            Job::Answered { call, answer: Some((answer, records)) } => {
                self.arrived = Some((call, records));
                self.inputs.push_back(Input::Answered { call, answer });
            }
            Job::Answered { call, answer: None } => self.inputs.push_back(Input::Failed { call }),
            Job::SnapshotFetched { call } => self.inputs.push_back(Input::SnapshotFetched { call }),
            Job::Flushed { flush, synced } => self.flushed(flush, synced),
            Job::Decide { request, done } => {
                let (now, end) = (self.node.env.now(), self.end());
                let records = self.control.decide(now, end, &request, &mut || self.node.env.draw(), done);
                self.append(&records);
            }
            Job::Describe(done) => self.describe(done),
            Job::Applied(upto) => self.control.applied(upto),
            // Looked at by the loop.
            Job::Stop(_) => {}
        }
    }

    fn describe(&self, done: oneshot::Sender<Described>) {
        let (log, snapshots) = (self.node.raft.log(), &self.node.raft.snapshots);
        let replicas = log.as_ref().map_or_else(Vec::new, |log| self.machine.describe(&View { log, snapshots }));
        let (epoch, high_watermark) = (self.node.raft.epoch(), self.machine.high_watermark());
        // Whoever asked may be gone.
        let _ = done.send(Described { epoch, high_watermark, replicas });
    }

    fn ticket(&mut self, waiter: Waiter) -> Ticket {
        self.next_ticket += 1;
        self.waiters.insert(self.next_ticket, waiter);
        self.next_ticket
    }

    /// Steps the machine until nothing is left to tell it.
    async fn settle(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            let mut effects = Vec::new();
            {
                let log = self.node.raft.log();
                let Some(log) = &*log else { return };
                let node = &self.node;
                let view = View { log, snapshots: &node.raft.snapshots };
                self.machine.step(node.env.now(), input, &view, &mut || node.env.draw(), &mut effects);
            }
            for effect in effects {
                self.carry_out(effect).await;
                if self.failed {
                    return;
                }
            }
            self.arrived = None;
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(state) => self.persist(&state).await,
            Effect::Role(role) => self.role(role),
            Effect::Send { to, call, request } => rpc::send(&self.node, to, call, request),
            Effect::Answer { ticket, answer } => self.answer(ticket, answer),
            Effect::Fetch { to, call, epoch } => {
                self.fetch = Some((to, call, epoch));
                self.fetch_if_durable();
            }
            Effect::Accept { call } => self.accept(call),
            Effect::Truncate { to } => self.truncate(to).await,
            Effect::HighWatermark(high) => self.high(high),
            Effect::WakeAt(at) => self.wake = at,
            Effect::Broken(why) => self.fail(&why),
            Effect::FetchSnapshot { to, call, epoch, id } => {
                fetch_snapshot::run(&self.node, Wanted { to, call, epoch, id });
            }
            Effect::LoadSnapshot { call, id } => self.load(call, id).await,
            Effect::AppendVoters { epoch, voters } => self.append_voters(epoch, &voters),
        }
    }

    async fn persist(&mut self, state: &ElectionState) {
        if let Err(error) = persist(self.node.env.disk(), state).await {
            self.fail(&format!("quorum-state: {error}"));
        }
    }

    fn role(&mut self, role: Role) {
        let raft = &self.node.raft;
        raft.epoch.set(role.epoch);
        raft.leader.set(match role.part {
            Part::Leader => Some(self.node.config.node_id),
            Part::Follower(leader) => Some(leader),
            _ => None,
        });
        raft.active.set(false);
        self.control.resign();
        self.parked.refuse(role.epoch, raft.leader.get());
        if role.part == Part::Leader {
            self.lead(role.epoch);
        }
        self.node.raft.moved.notify_one();
    }

    fn lead(&mut self, epoch: LeaderEpoch) {
        let end = self.end();
        self.node.tell(|| Fact::QuorumLeads { epoch, end });
        // Whoever led before may have left decisions that are not committed yet: they will be, before any new one.
        match self.control.lead(&self.node) {
            Ok(()) => self.node.raft.active.set(true),
            Err(error) => return self.fail(&error.to_string()),
        }
        self.append(&[MetadataRecord::Leader { node: self.node.config.node_id, epoch }]);
    }

    /// Appends what the controller has decided. A log that cannot take it leaves nothing to lead with.
    fn append(&mut self, records: &[MetadataRecord]) {
        if records.is_empty() || self.failed {
            return;
        }
        let (wall, epoch) = (self.node.env.wall(), self.node.raft.epoch());
        if let Err(error) = self.node.raft.with_log(|log| append(log, records, epoch, wall)) {
            return self.fail(&error.to_string());
        }
        self.control.appended(self.end());
        if planted(Defect::ReAppliedPastCommit) {
            self.high(self.end());
        }
        self.parked.serve(&self.node);
        self.flush();
    }

    fn append_voters(&mut self, epoch: LeaderEpoch, voters: &BTreeSet<NodeId>) {
        if self.machine.leads() != Some(epoch) {
            return;
        }
        let (offset, candidate) = (self.end(), self.candidate.take());
        let record = voters::record(&self.node, voters, candidate);
        self.append(std::slice::from_ref(&record));
        if let MetadataRecord::Voters { voters } = &record {
            self.inputs.push_back(voters::input(&self.node, offset, voters));
        }
    }

    fn end(&self) -> Offset {
        self.node.raft.log().as_ref().map_or(0, |log| log.log_end())
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        match self.waiters.remove(&ticket) {
            // Whoever asked may be gone.
            Some(Waiter::Peer(done)) => drop(done.send(answer)),
            Some(Waiter::Replica(job, done)) => self.parked.add(&self.node, job, answer, done),
            None => {}
        }
    }

    fn accept(&mut self, call: Call) {
        let Some((_, records)) = self.arrived.take().filter(|(of, _)| *of == call) else {
            return self.inputs.push_back(Input::Failed { call });
        };
        let wall = self.node.env.wall();
        let appended = match records.is_empty() {
            true => Ok(voters::Records::new()),
            false => self.node.raft.with_log(|log| {
                log.append_follower(&records, wall)?;
                voters::within(records)
            }),
        };
        match appended {
            Ok(found) => {
                let known = found.iter().map(|(offset, voters)| voters::input(&self.node, *offset, voters));
                self.inputs.extend(known);
                self.inputs.push_back(Input::Accepted { call });
            }
            Err(_) if self.node.raft.log().as_ref().is_some_and(|log| log.is_offline()) => {
                self.fail("off line after a failed write");
            }
            // Garbled on the way, or a device that is full for now.
            Err(_) => self.inputs.push_back(Input::Failed { call }),
        }
        self.flush();
    }

    /// That the log may end there is written down first: a crash at any moment leaves it no shorter than it says.
    async fn truncate(&mut self, to: Offset) {
        if to < self.node.applied() {
            return self.fail(&format!("told to forget what was committed, from {to} on"));
        }
        self.node.raft.cut_point.set(Some(to));
        let written = checkpoints::write_all(&self.node).await;
        let cut = self.node.raft.with_log(|log| log.truncate_to(to));
        self.node.raft.cut_point.set(None);
        match written.and(cut) {
            Ok(_) => self.flush(),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Puts the snapshot that was fetched in the log's place. That nothing is believed of the log is written down first,
    /// and all others are gone before anything is appended: a crash at any moment leaves what can be told apart.
    async fn load(&mut self, call: Call, id: OffsetAndEpoch) {
        let raft = &self.node.raft;
        let fetched = raft.snapshots.fetched.borrow_mut().take();
        let Some((_, image)) = fetched.filter(|(fetched, _)| *fetched == id) else {
            return self.inputs.push_back(Input::Failed { call });
        };
        if id.offset < self.node.applied() {
            return self.fail(&format!("told to forget what was committed, from {} on", id.offset));
        }
        raft.cut_point.set(Some(raft.log_start()));
        let voters = image.voters().to_vec();
        let loaded = self.replace_log(id, image).await;
        self.node.raft.cut_point.set(None);
        match loaded {
            Ok(()) => {
                self.node.tell(|| Fact::Snapshot { end: id.offset, fetched: true });
                if !voters.is_empty() {
                    self.inputs.push_back(voters::input(&self.node, id.offset - 1, &voters));
                }
                self.inputs.push_back(Input::SnapshotLoaded { call });
            }
            Err(error) => return self.fail(&error.to_string()),
        }
        self.flush();
    }

    async fn replace_log(&self, id: OffsetAndEpoch, image: Image) -> io::Result<()> {
        let (node, wall) = (&self.node, self.node.env.wall());
        checkpoints::write_all(node).await?;
        node.raft.with_log(|log| log.restart_at(id.offset, wall))?;
        node.raft.snapshots.replaced_by(id, image);
        clear_before(node.env.disk(), id).await
    }

    fn high(&mut self, high: Offset) {
        self.node.raft.high.set(high);
        self.node.raft.moved.notify_one();
        self.control.committed(high);
        self.parked.serve(&self.node);
    }

    /// Begins a flush if anything is not durable and none is under way.
    fn flush(&mut self) {
        if self.flushing || self.failed {
            return;
        }
        let begun = self.node.raft.with_log(|log| log.begin_flush());
        match begun {
            Ok(flush) if flush.is_idle() => self.fetch_if_durable(),
            Ok(flush) => {
                self.flushing = true;
                let jobs = self.node.raft.jobs.clone();
                self.node.env.spawn("flush", async move {
                    let synced = flush.sync().await;
                    // An error means that the node stops.
                    let _ = jobs.send(Job::Flushed { flush, synced }).await;
                });
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn flushed(&mut self, flush: Flush<E::Disk>, synced: Result<(), LogError>) {
        self.flushing = false;
        let ended = self.node.raft.with_log(|log| {
            synced?;
            log.end_flush(flush)
        });
        match ended {
            Ok(_) => {
                self.inputs.push_back(Input::Flushed);
                self.flush();
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// A position that a leader hears of is a promise.
    fn fetch_if_durable(&mut self) {
        let durable = self.node.raft.log().as_ref().is_some_and(|log| log.flushed() >= log.log_end());
        if !durable {
            return self.flush();
        }
        if let Some((to, call, epoch)) = self.fetch.take()
            && self.machine.wants(call)
        {
            let snapshots = &self.node.raft.snapshots;
            let position = match &*self.node.raft.log() {
                Some(log) => View { log, snapshots }.end(),
                None => return,
            };
            rpc::fetch(&self.node, to, call, epoch, position);
        }
    }

    fn fail(&mut self, why: &str) {
        self.failed = true;
        self.node.env.halt(&format!("{METADATA_TOPIC}: {why}"));
    }

    /// Gives up leading, so that the others need not wait for a timeout, and waits for the last flush.
    async fn stop(mut self, done: oneshot::Sender<()>) {
        self.inputs.push_back(Input::Resign);
        self.settle().await;
        while self.flushing
            && let Some(job) = self.receiver.recv().await
        {
            if let Job::Flushed { flush, synced } = job {
                self.flushed(flush, synced);
            }
        }
        self.control.resign();
        let _ = done.send(());
    }
}

/// What a replica is told when the quorum has no leader here.
pub(super) fn refused(epoch: LeaderEpoch, leader: Option<NodeId>) -> Answer {
    Answer { epoch, leader, body: Body::Fetch(Fetched::Refused(Standing::NotLeader)) }
}
