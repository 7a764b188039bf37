//! The shell around the metadata quorum and the controller: one task that owns both machines, carries out what they ask
//! for, and is told what happens by jobs. What the others need of it is in [`Raft`].

mod control;
mod driver;
mod fetch_snapshot;
mod fetches;
mod log;
mod rpc;
mod snapshots;
mod voters;

use std::cell::{Cell, Ref, RefCell};
use std::io;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::{Notify, mpsc, oneshot};

pub(super) use driver::Driver;
pub(super) use log::{metadata_partition, open, records, sync};
pub(crate) use rpc::code_of;
use snapshots::Snapshots;

use crate::controller::image::Image;
use crate::controller::record::Voter;
use crate::controller::request::{Answer, Request};
use crate::env::{Disk, Mono};
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::log::{Flush, Log, LogError};
use crate::quorum::{self, ElectionState, OffsetAndEpoch, Replica};

/// Jobs that may wait; one more waits for room.
const QUEUE: usize = 256;

/// What was read at the start.
pub(super) struct Opened<D: Disk> {
    log: Log<D>,
    state: Option<ElectionState>,
    snapshots: Snapshots,
    /// What the newest snapshot says, and up to where.
    pub(super) image: Image,
    pub(super) applied: Offset,
    /// Who votes, as snapshot and log say.
    voters: voters::Records,
}

/// A replica's fetch of the metadata log.
#[derive(Debug)]
pub struct FetchJob {
    /// Who fetches.
    pub from: NodeId,
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// Where its log ends.
    pub position: OffsetAndEpoch,
    /// Until when it may wait for news.
    pub deadline: Mono,
    /// Bytes of records at most, beside a first batch.
    pub max_bytes: usize,
}

/// What a replica's fetch is answered.
#[derive(Debug)]
pub struct FetchReply {
    /// What the quorum says.
    pub answer: quorum::Answer,
    /// What follows the position.
    pub records: Bytes,
    /// Where the log begins.
    pub log_start: Offset,
}

/// The quorum as its leader sees it.
#[derive(Clone, Debug)]
pub struct Described {
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
    /// One past the last offset committed.
    pub high_watermark: Offset,
    /// Voters and observers by id; empty unless this node leads.
    pub replicas: Vec<Replica>,
}

/// What the driver is told.
enum Job<D: Disk> {
    /// A peer asks.
    Asked { from: NodeId, request: quorum::Request, done: oneshot::Sender<quorum::Answer> },
    /// An operator would change who votes; with the one who is new.
    ChangeVoters { request: quorum::Request, candidate: Option<Voter>, done: oneshot::Sender<quorum::Answer> },
    /// A replica fetches.
    Fetch { job: FetchJob, done: oneshot::Sender<FetchReply> },
    /// One of our requests was answered, perhaps with records; `None`: it failed.
    Answered { call: quorum::Call, answer: Option<(quorum::Answer, Bytes)> },
    /// A snapshot is here, durable and good.
    SnapshotFetched { call: quorum::Call },
    /// A flush has ended.
    Flushed { flush: Flush<D>, synced: Result<(), LogError> },
    /// The active controller is asked.
    Decide { request: Request, done: oneshot::Sender<Result<Answer, ResponseError>> },
    /// What is there to be told of the quorum?
    Describe(oneshot::Sender<Described>),
    /// The image has all below this offset.
    Applied(Offset),
    /// Give up leading, and close.
    Stop(oneshot::Sender<()>),
}

/// What the node knows of its quorum, and where it asks it.
pub struct Raft<D: Disk> {
    jobs: mpsc::Sender<Job<D>>,
    log: RefCell<Option<Log<D>>>,
    pub(in crate::node) snapshots: Snapshots,
    high: Cell<Offset>,
    leader: Cell<Option<NodeId>>,
    epoch: Cell<LeaderEpoch>,
    active: Cell<bool>,
    moved: Notify,
    /// The log is about to be cut to there: no higher recovery point may be written down.
    cut_point: Cell<Option<Offset>>,
}

impl<D: Disk> Raft<D> {
    /// Over an open log.
    pub(super) fn new(opened: Opened<D>) -> (Self, Jobs<D>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let raft = Self {
            jobs: sender,
            log: RefCell::new(Some(opened.log)),
            snapshots: opened.snapshots,
            high: Cell::new(0),
            leader: Cell::new(None),
            epoch: Cell::new(opened.state.map_or(0, |state| state.epoch)),
            active: Cell::new(false),
            moved: Notify::new(),
            cut_point: Cell::new(None),
        };
        (raft, Jobs { receiver, state: opened.state, voters: opened.voters })
    }

    /// Whether this node is the active controller.
    pub fn is_active(&self) -> bool {
        self.active.get()
    }

    /// Who leads the quorum, as far as is known here.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader.get()
    }

    /// The newest epoch known here.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch.get()
    }

    /// One past the last offset known to be committed.
    pub fn high(&self) -> Offset {
        self.high.get()
    }

    /// Returns when more is committed, or the leader is another.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// What `f` makes of the metadata log.
    pub(super) fn with_log<T>(&self, f: impl FnOnce(&mut Log<D>) -> Result<T, LogError>) -> io::Result<T> {
        match &mut *self.log.borrow_mut() {
            Some(log) => f(log).map_err(io::Error::other),
            None => Err(io::Error::other("the metadata log is closed")),
        }
    }

    /// The metadata log, to look at.
    pub(super) fn log(&self) -> Ref<'_, Option<Log<D>>> {
        self.log.borrow()
    }

    /// Where the metadata log begins.
    pub(super) fn log_start(&self) -> Offset {
        self.log.borrow().as_ref().map_or(0, Log::log_start)
    }

    /// From where recovery would scan the metadata log: below, all is durable, and a record found damaged must not be
    /// forgotten.
    pub(super) fn recovery_point(&self) -> Offset {
        let point = self.log.borrow().as_ref().map_or(0, Log::recovery_point);
        self.cut_point.get().map_or(point, |cut| cut.min(point))
    }

    /// What the quorum answers to a peer. `None`: the node is stopping.
    pub async fn ask(&self, from: NodeId, request: quorum::Request) -> Option<quorum::Answer> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::Asked { from, request, done }).await.ok()?;
        answer.await.ok()
    }

    /// What becomes of a change of the voters. `None`: the node is stopping.
    pub async fn change_voters(&self, request: quorum::Request, candidate: Option<Voter>) -> Option<quorum::Answer> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::ChangeVoters { request, candidate, done }).await.ok()?;
        answer.await.ok()
    }

    /// What a replica's fetch is answered. `None`: the node is stopping.
    pub async fn fetch(&self, job: FetchJob) -> Option<FetchReply> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::Fetch { job, done }).await.ok()?;
        answer.await.ok()
    }

    /// The quorum as this node sees it. `None`: the node is stopping.
    pub async fn describe(&self) -> Option<Described> {
        let (done, described) = oneshot::channel();
        self.jobs.send(Job::Describe(done)).await.ok()?;
        described.await.ok()
    }

    /// What the controller in this node answers, once it is committed; NOT_CONTROLLER if it is not the active one.
    pub async fn decide(&self, request: Request) -> Result<Answer, ResponseError> {
        let (done, answer) = oneshot::channel();
        let asked = self.jobs.send(Job::Decide { request, done }).await;
        asked.map_err(|_| ResponseError::NotController)?;
        answer.await.unwrap_or(Err(ResponseError::NotController))
    }

    /// The image has all below `upto`: who waits to see a change may be answered.
    pub(super) async fn applied(&self, upto: Offset) {
        // An error means that the node stops.
        let _ = self.jobs.send(Job::Applied(upto)).await;
    }

    /// Gives up leading, and leaves the log to be closed.
    pub(super) async fn stop(&self) -> Option<Log<D>> {
        let (done, stopped) = oneshot::channel();
        if self.jobs.send(Job::Stop(done)).await.is_ok() {
            // An error means that it had ended already.
            let _ = stopped.await;
        }
        self.log.borrow_mut().take()
    }
}

/// Where the jobs come out.
pub(super) struct Jobs<D: Disk> {
    receiver: mpsc::Receiver<Job<D>>,
    state: Option<ElectionState>,
    voters: voters::Records,
}
