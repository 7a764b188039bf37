//! A Kafka client of our own: what the simulator's workloads and the benches speak to brokers with.
//!
//! Generic over [`Env`], on one reactor, without locks. It states of every call whether it happened, surely did not, or
//! may have: [`outcome`] is the one table of that. A [`Client`] holds connections and metadata; producers, consumers
//! and the administrative calls share it.

pub mod accumulator;
pub mod admin;
pub mod backoff;
mod batcher;
mod codec;
mod connection;
pub mod consumer;
mod fetched;
pub mod group;
mod link;
pub mod metadata;
pub mod outcome;
pub mod partitioner;
mod pool;
pub mod producer;
mod reassign;
pub mod record;
mod sender;
pub mod sequence;
mod signal;
#[cfg(test)]
mod tests;
pub mod throttle;
mod voters;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use broker::env::{Env, Mono};
use broker::ids::{LeaderEpoch, NodeId};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::history::event::Outcome;
use backoff::Backoff;
use connection::Connection;
use link::Link;
use metadata::Metadata;
use outcome::{Failure, Judged, Kind};
use pool::Pool;
use signal::Signal;

/// How a client connects and how long it waits. The comments name Kafka's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `client.id`.
    pub client_id: String,
    /// `bootstrap.servers`, each `host:port`.
    pub bootstrap: Vec<String>,
    /// `socket.connection.setup.timeout.ms`; also the time for the broker to state its versions.
    pub connect_timeout: Duration,
    /// `request.timeout.ms`: a request without an answer for so long ends its connection.
    pub request_timeout: Duration,
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`.
    pub reconnect: Backoff,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`: between attempts of one call, and between metadata requests.
    pub retry: Backoff,
    /// `metadata.max.age.ms`: older metadata is asked for anew when it is next used.
    pub metadata_max_age: Duration,
    /// Requests that may wait for answers on one connection.
    pub max_open_requests: usize,
    /// The longest answer accepted, in bytes (librdkafka's `receive.message.max.bytes`).
    pub max_answer_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_id: "logquake".into(),
            bootstrap: Vec::new(),
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            reconnect: Backoff { first: Duration::from_millis(50), most: Duration::from_secs(1) },
            retry: Backoff { first: Duration::from_millis(50), most: Duration::from_secs(1) },
            metadata_max_age: Duration::from_secs(300),
            max_open_requests: 256,
            max_answer_bytes: 128 << 20,
        }
    }
}

/// Why a call did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({code}): {}", outcome::name(*code), doubt(*outcome))]
pub struct CallError {
    /// `Fail` if it surely did not happen, else `Info`.
    pub outcome: Outcome,
    /// Kafka's error code, or a negative one of [`outcome`].
    pub code: i16,
}

fn doubt(outcome: Outcome) -> &'static str {
    if outcome == Outcome::Fail { "it did not happen" } else { "it may have happened" }
}

impl From<Judged> for CallError {
    fn from(judged: Judged) -> Self {
        Self { outcome: judged.outcome, code: judged.code }
    }
}

/// Connections to one cluster and what is known of it. Cheap to clone; when the last clone is dropped the connections
/// end.
pub struct Client<E: Env> {
    shared: Rc<Shared<E>>,
}

impl<E: Env> Clone for Client<E> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<E: Env> {
    env: E,
    settings: Rc<Settings>,
    pool: Pool<E>,
    metadata: RefCell<Metadata>,
    /// The topics that metadata is asked for.
    topics: RefCell<BTreeSet<Arc<str>>>,
    /// Whether it is asked for all there are.
    all_topics: Cell<bool>,
    /// Raised when a link or the metadata changed.
    changed: Rc<Signal>,
    stale: Cell<bool>,
    refreshing: Cell<bool>,
    refresh_failures: Cell<u32>,
    next_refresh: Cell<Mono>,
}

impl<E: Env> Drop for Shared<E> {
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl<E: Env> Client<E> {
    /// A client of the cluster behind `settings.bootstrap`. Connects when first needed.
    pub fn new(env: E, settings: Settings) -> Self {
        let (settings, changed) = (Rc::new(settings), Rc::new(Signal::default()));
        let pool = Pool::new(env.clone(), settings.clone(), changed.clone());
        let shared = Shared {
            env,
            settings,
            pool,
            metadata: RefCell::default(),
            topics: RefCell::default(),
            all_topics: Cell::new(false),
            changed,
            stale: Cell::new(false),
            refreshing: Cell::new(false),
            refresh_failures: Cell::new(0),
            next_refresh: Cell::new(Mono(0)),
        };
        Self { shared: Rc::new(shared) }
    }

    /// The world it lives in.
    pub fn env(&self) -> &E {
        &self.shared.env
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Raised whenever a link or the metadata changed.
    pub(crate) fn changed(&self) -> &Rc<Signal> {
        &self.shared.changed
    }

    /// Asks for fresh metadata, soon: at most one request is open, and failing ones back off.
    pub fn refresh(&self) {
        self.shared.stale.set(true);
        if !self.shared.refreshing.replace(true) {
            let shared = Rc::downgrade(&self.shared);
            self.shared.env.spawn("client metadata", refresh(shared));
        }
    }

    /// How many partitions `topic` has, if it is known to have at least `least`; asks for metadata if not: it may have
    /// been given more.
    pub fn partitions(&self, topic: &Arc<str>, least: u32) -> Option<u32> {
        let known = self.shared.metadata.borrow().partitions(topic).filter(|known| *known >= least);
        self.follow(topic, known.is_some());
        known
    }

    /// Who leads a partition, if known; asks for metadata if not.
    pub fn leader(&self, topic: &Arc<str>, partition: i32) -> Option<(NodeId, LeaderEpoch)> {
        let known = self.shared.metadata.borrow().leader(topic, partition);
        self.follow(topic, known.is_some());
        known
    }

    /// Who takes administrative requests, if known; asks for metadata if not.
    pub fn controller(&self) -> Option<NodeId> {
        let known = self.shared.metadata.borrow().controller;
        if known.is_none() {
            self.refresh();
        }
        known
    }

    /// The topics there are, but for internal ones, as last heard; from now on metadata is asked for all of them.
    pub fn topic_names(&self) -> BTreeSet<Arc<str>> {
        if !self.shared.all_topics.replace(true) || self.is_aged() {
            self.refresh();
        }
        self.shared.metadata.borrow().names()
    }

    /// The name of the topic of that id, if it is one that metadata is followed for.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Arc<str>> {
        self.shared.metadata.borrow().named(id)
    }

    /// What metadata said of `topic` last: Kafka's error code, 0 for none, `None` if never asked.
    pub fn topic_code(&self, topic: &str) -> Option<i16> {
        self.shared.metadata.borrow().topic(topic).map(|t| t.code)
    }

    fn follow(&self, topic: &Arc<str>, known: bool) {
        if !known || self.is_aged() {
            if !self.shared.topics.borrow().contains(topic) {
                self.shared.topics.borrow_mut().insert(topic.clone());
            }
            self.refresh();
        }
    }

    /// Whether what is known is older than it may be.
    fn is_aged(&self) -> bool {
        let aged = |heard| self.shared.env.now().since(heard) > self.shared.settings.metadata_max_age;
        self.shared.metadata.borrow().heard().is_some_and(aged)
    }

    /// Waits until `topic` has at least `partitions` partitions and each has a leader.
    pub async fn wait_topic(&self, topic: &Arc<str>, partitions: u32, deadline: Mono) -> Result<(), CallError> {
        let complete = || self.shared.metadata.borrow().is_complete(topic, partitions).then_some(());
        self.until(deadline, || {
            let complete = complete();
            self.follow(topic, complete.is_some());
            complete
        })
        .await
        .ok_or(CallError { outcome: Outcome::Fail, code: self.topic_code(topic).filter(|c| *c != 0).unwrap_or(3) })
    }

    /// What `look` finds, looking again at every change of links and metadata; `None` at `deadline`.
    pub(crate) async fn until<T>(&self, deadline: Mono, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            let seen = self.shared.changed.count();
            if let Some(found) = look() {
                return Some(found);
            }
            let left = deadline.since(self.shared.env.now());
            if left.is_zero() {
                return None;
            }
            self.shared.env.timeout(left, self.shared.changed.past(seen)).await;
        }
    }

    /// The connection to `node`, if it can be used right now. If not, one is on its way, and if one has failed already the
    /// metadata is asked for anew: the node may be gone, and what it led be led by another.
    pub(crate) fn connection(&self, node: NodeId) -> Option<Rc<Connection>> {
        let Some(link) = self.shared.pool.node(node) else {
            self.refresh();
            return None;
        };
        link.connection().or_else(|| {
            link.want();
            if link.failures() > 0 {
                self.refresh();
            }
            None
        })
    }

    /// Sends `request` to `node` and waits for the answer, at most until `deadline`.
    pub async fn call<R: Request + 'static>(
        &self,
        node: NodeId,
        request: &R,
        deadline: Mono,
    ) -> Result<R::Response, Failure> {
        let link = self.shared.pool.node(node).ok_or(Failure::NotSent)?;
        call(&link, request, deadline).await
    }

    /// Sends `request` to any node and waits for the answer, at most until `deadline`.
    pub async fn call_any<R: Request + 'static>(&self, request: &R, deadline: Mono) -> Result<R::Response, Failure> {
        let link = self.shared.pool.any().ok_or(Failure::NotSent)?;
        call(&link, request, deadline).await
    }

    /// Sends `request` to the controller and waits for the answer, at most until `deadline`. Attempts that were never
    /// sent are repeated.
    pub async fn call_controller<R: Request + 'static>(
        &self,
        request: &R,
        deadline: Mono,
    ) -> Result<R::Response, CallError> {
        let mut failures = 0;
        loop {
            let found = self.until(deadline, || self.controller()).await;
            let node = found.ok_or(CallError { outcome: Outcome::Fail, code: outcome::NOT_SENT })?;
            let failure = match self.call(node, request, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if failure != Failure::NotSent || self.shared.env.now() >= deadline {
                return Err(outcome::judge_failure(Kind::Write, failure).into());
            }
            self.refresh();
            failures += 1;
            self.pause(failures, deadline).await;
        }
    }

    /// Waits as the retry rule says after so many failures, but not past `deadline`.
    pub(crate) async fn pause(&self, failures: u32, deadline: Mono) {
        let env = &self.shared.env;
        let wait = self.shared.settings.retry.wait(failures, env.draw());
        env.sleep(wait.min(deadline.since(env.now()))).await;
    }
}

/// Sends `request` on `link` and waits for the answer, at most until `deadline`.
async fn call<E: Env, R: Request + 'static>(
    link: &Rc<Link<E>>,
    request: &R,
    deadline: Mono,
) -> Result<R::Response, Failure> {
    let connection = link.ready(deadline).await?;
    let (answer, answered) = oneshot::channel();
    connection.submit(request, deadline, move |result| {
        // The caller may have stopped waiting; then nobody wants the answer.
        let _ = answer.send(result);
    })?;
    answered.await.unwrap_or(Err(Failure::Reset))
}

/// Asks for metadata until an answer came, then ends.
async fn refresh<E: Env>(client: Weak<Shared<E>>) {
    while let Some(shared) = client.upgrade().filter(|shared| shared.stale.get()) {
        let wait = shared.next_refresh.get().since(shared.env.now());
        if !wait.is_zero() {
            let env = shared.env.clone();
            drop(shared);
            env.sleep(wait).await;
            continue;
        }
        let asked = shared.refresh_failures.get();
        let deadline = shared.env.now().after(shared.settings.request_timeout);
        let all = shared.all_topics.get();
        let topics = (!all).then(|| shared.topics.borrow().iter().map(topic).collect());
        let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
        shared.stale.set(false);
        let link = shared.pool.any();
        // Asking must not keep the client alive: its last handle may be dropped meanwhile.
        drop(shared);
        let answer = match link {
            Some(link) => call(&link, &request, deadline).await,
            None => Err(Failure::NotSent),
        };
        let Some(shared) = client.upgrade() else { return };
        let failures = if answer.is_ok() { 0 } else { asked + 1 };
        shared.refresh_failures.set(failures);
        let wait = shared.settings.retry.wait(failures.max(1), shared.env.draw());
        shared.next_refresh.set(shared.env.now().after(wait));
        match answer {
            Ok(answer) => {
                let mut metadata = shared.metadata.borrow_mut();
                if all {
                    metadata.drop_others(&answer);
                }
                metadata.merge(&answer, shared.env.now());
                shared.pool.learn(&metadata.nodes);
                drop(metadata);
                shared.changed.raise();
            }
            Err(_) => shared.stale.set(true),
        }
    }
    if let Some(shared) = client.upgrade() {
        shared.refreshing.set(false);
    }
}

fn topic(name: &Arc<str>) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_string()))))
}
