//! The async shell: sockets and files around the state machines. Bytes in, decide, carry out, bytes out.
//!
//! One thread. A task for each connection, one for the quorum and the controller, one that makes committed metadata so,
//! one that keeps the registration alive, one for each peer whose partitions are followed, one for all that is periodic,
//! one that compacts, and one for each fsync under way; none for a partition at rest.

mod accept;
mod apply;
mod ask;
pub mod changes;
pub(crate) mod checkpoints;
mod cleaner;
mod connection;
mod fetcher;
mod groups;
mod identity;
mod lifecycle;
pub mod live;
mod load;
pub mod meter;
pub mod partition;
pub mod peer;
mod producer_ids;
mod propose;
pub mod raft;
mod revive;
mod role;
mod start;
mod stop;
mod ticker;
pub mod wait;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Notify, Semaphore};

use crate::config::BrokerConfig;
use crate::controller::image::Image;
use crate::controller::record::TopicId;
use crate::env::Env;
use crate::fact::Fact;
use crate::ids::{BrokerEpoch, NodeId, Offset, TopicPartition};
use crate::log::FilePool;
use crate::replica::fetch_session::Answering;
use crate::replica::leader::Effect;

use accept::Connections;
use checkpoints::Turns;
use fetcher::Fetchers;
use groups::Groups;
use lifecycle::Life;
use load::Known;
use meter::Meter;
use partition::Partition;
use peer::Peers;
use producer_ids::ProducerIds;
use raft::Raft;
use ticker::Schedule;
use wait::Once;

pub(crate) use raft::code_of;

/// How long a client's question about the cluster is held until this node has joined it; it may ask another after that.
const JOINING: Duration = Duration::from_secs(1);

/// Partitions' fsyncs under way at once. Each has up to three files open: segment, leader epochs, directory.
const MOST_FLUSHES: usize = 64;

/// The partitions that have a replica here, by topic and number.
type Partitions<E> = BTreeMap<Arc<str>, BTreeMap<i32, Rc<Partition<E>>>>;

/// A running broker.
pub struct Node<E: Env> {
    /// Its doors.
    pub env: E,
    /// Its settings.
    pub config: BrokerConfig,
    /// The port it listens on.
    pub port: u16,
    /// The metadata quorum, and the active controller if that is here.
    pub raft: Raft<E::Disk>,
    /// Connections to other nodes.
    pub peers: Peers<E>,
    fetchers: Fetchers<E>,
    /// Of the followers that fetch from here, one each.
    pub(crate) fetch_sessions: RefCell<BTreeMap<NodeId, Answering<FetchPartition>>>,
    life: Life,
    /// The cluster has let this broker lead: it knows its brokers and topics.
    ready: Once,
    /// The cluster has let every voter lead.
    whole: Once,
    pool: FilePool<E::Disk>,
    image: RefCell<Image>,
    /// Told when the image is another.
    shown: Notify,
    /// Up to where committed metadata is in the image.
    applied: Cell<Offset>,
    /// What was written down of partitions that are not open yet.
    known: RefCell<Known>,
    /// Whether the partitions that the disk holds are open.
    loaded: Cell<bool>,
    partitions: RefCell<Partitions<E>>,
    connections: Connections,
    schedule: Schedule<E>,
    checkpoints: Turns,
    producer_ids: ProducerIds,
    groups: Groups,
    meter: Meter,
    /// Bounds fsyncs under way: each keeps a file open, whatever the pool of files closes.
    flushes: Semaphore,
    stopping: Cell<bool>,
    /// Reused by every step of a leader.
    effects: RefCell<Vec<Effect>>,
    /// Batches acknowledged, for the planted canary.
    acknowledged: Cell<u64>,
    /// Told when the last connection is gone after a stop.
    drained: Notify,
}

impl<E: Env> Node<E> {
    /// The cluster as it is durably decided.
    pub fn image(&self) -> std::cell::Ref<'_, Image> {
        self.image.borrow()
    }

    /// Whether a request names another cluster than this one. Those that name none are let pass (KIP-595).
    pub fn is_other_cluster(&self, id: Option<&StrBytes>) -> bool {
        id.is_some_and(|id| **id != *self.config.cluster_id)
    }

    /// A partition that has a replica here.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<Rc<Partition<E>>> {
        self.partitions.borrow().get(topic)?.get(&partition).cloned()
    }

    /// Why a partition is not here: another node has it, or nobody. A node that has not joined yet cannot tell.
    pub fn not_here(&self, topic: &str, partition: i32) -> ResponseError {
        let there = self.image.borrow().partition(&TopicPartition::new(topic, partition)).is_some();
        if there || !self.has_joined() {
            ResponseError::NotLeaderOrFollower
        } else {
            ResponseError::UnknownTopicOrPartition
        }
    }

    fn insert(&self, partition: Rc<Partition<E>>) {
        let mut all = self.partitions.borrow_mut();
        all.entry(partition.tp.topic.clone()).or_default().insert(partition.tp.partition, partition);
    }

    fn remove(&self, tp: &TopicPartition) {
        let mut all = self.partitions.borrow_mut();
        if let Some(of_topic) = all.get_mut(&tp.topic) {
            of_topic.remove(&tp.partition);
            if of_topic.is_empty() {
                all.remove(&tp.topic);
            }
        }
    }

    /// The epoch of this broker's registration; -1 before it has one.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.life.epoch()
    }

    /// The name of the topic with that identity.
    pub fn topic_name(&self, id: TopicId) -> Option<Arc<str>> {
        self.image.borrow().topic_by_id(id).map(|topic| topic.name.clone())
    }

    /// Every partition, by topic and number.
    pub fn all_partitions(&self) -> Vec<Rc<Partition<E>>> {
        self.partitions.borrow().values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The host clients are told to use.
    pub fn host(&self) -> &str {
        let listening = self.config.listen.rsplit_once(':').map_or(self.config.listen.as_str(), |(host, _)| host);
        self.config.advertised_host.as_deref().unwrap_or(listening)
    }

    /// Whether it is shutting down: nothing is appended any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Returns once the cluster has let this broker lead.
    pub async fn until_ready(&self) {
        self.ready.wait().await;
    }

    /// Returns once the cluster has let every broker lead that votes, as far as this one knows.
    pub async fn until_whole(&self) {
        self.whole.wait().await;
    }

    /// Whether the cluster has let this broker lead.
    pub fn is_ready(&self) -> bool {
        self.ready.is_come()
    }

    /// Waits a while until it is ready; whether it is. Before that it cannot say which brokers there are, and a client that
    /// is told of none may not ask again for minutes; Kafka, too, processes no request so early.
    pub async fn ready_soon(&self) -> bool {
        self.env.timeout(JOINING, self.until_ready()).await.is_some()
    }

    /// States a fact, if anyone listens.
    pub fn tell(&self, fact: impl FnOnce() -> Fact) {
        if self.env.hears() {
            self.env.tell(fact());
        }
    }

    /// Counts an acknowledged batch of `records` records. True if it holds a hundredth one.
    pub fn counts_a_hundredth(&self, records: u64) -> bool {
        let before = self.acknowledged.get();
        self.acknowledged.set(before + records);
        (before + records) / 100 > before / 100
    }

    fn flush_within(&self, partition: &Rc<Partition<E>>, ms: u64) {
        self.schedule.flush_at(self.env.now().after(Duration::from_millis(ms)), partition);
    }
}

/// Runs a broker until `stop`, then shuts it down cleanly. Returns early with an error when it cannot start.
pub async fn serve<E: Env>(env: E, config: BrokerConfig, stop: impl Future<Output = ()>) -> io::Result<()> {
    serve_ready(env, config, stop, |_| ()).await
}

/// As [`serve`]; `ready` is told the port as soon as the cluster lets this broker lead. It listens before that.
pub async fn serve_ready<E: Env>(
    env: E,
    config: BrokerConfig,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(u16),
) -> io::Result<()> {
    let beside = |node: Rc<Node<E>>| async move {
        node.until_ready().await;
        ready(node.port);
    };
    serve_beside(env, config, stop, beside).await
}

/// As [`serve`]; runs what `beside` makes of the node while it serves.
pub async fn serve_beside<E: Env, F: Future<Output = ()>>(
    env: E,
    config: BrokerConfig,
    stop: impl Future<Output = ()>,
    beside: impl FnOnce(Rc<Node<E>>) -> F,
) -> io::Result<()> {
    let (node, listener) = start::start(env, config).await?;
    accept::until(&node, listener, beside(node.clone()), stop).await;
    stop::stop(&node).await
}
