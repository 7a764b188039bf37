//! The async shell: sockets and files around the state machines. Bytes in, decide, carry out, bytes out.
//!
//! One thread. A task for each connection, one for the metadata log, one for all that is periodic, and one for each
//! fsync under way; none for a partition at rest.

mod accept;
pub(crate) mod checkpoints;
mod connection;
pub mod metadata;
pub mod partition;
mod producer_ids;
mod revive;
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

use tokio::sync::Notify;

use crate::config::BrokerConfig;
use crate::controller::image::Image;
use crate::controller::plan::Settings;
use crate::controller::record::TopicId;
use crate::env::Env;
use crate::fact::Fact;
use crate::ids::Offset;
use crate::log::{FilePool, Log};
use crate::replica::leader::Effect;

use accept::Connections;
use checkpoints::Turns;
use metadata::Controller;
use partition::Partition;
use producer_ids::ProducerIds;
use ticker::Schedule;

/// Every partition, by topic and number.
type Partitions<E> = BTreeMap<Arc<str>, Vec<Rc<Partition<E>>>>;

/// A running broker.
pub struct Node<E: Env> {
    /// Its doors.
    pub env: E,
    /// Its settings.
    pub config: BrokerConfig,
    /// What the planner needs of them.
    pub settings: Settings,
    /// The port it listens on.
    pub port: u16,
    /// Decides on topics.
    pub controller: Controller,
    pool: FilePool<E::Disk>,
    image: RefCell<Image>,
    /// Up to where the metadata log is durable.
    metadata_point: Cell<Offset>,
    /// The metadata log, once the controller has stopped.
    metadata: RefCell<Option<Log<E::Disk>>>,
    partitions: RefCell<Partitions<E>>,
    connections: Connections,
    schedule: Schedule<E>,
    checkpoints: Turns,
    producer_ids: ProducerIds,
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

    /// A partition led by this node.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<Rc<Partition<E>>> {
        let all = self.partitions.borrow();
        all.get(topic)?.get(usize::try_from(partition).ok()?).cloned()
    }

    /// The name of the topic with that identity.
    pub fn topic_name(&self, id: TopicId) -> Option<Arc<str>> {
        self.image.borrow().topic_by_id(id).map(|topic| topic.name.clone())
    }

    /// Every partition, by topic and number.
    pub fn all_partitions(&self) -> Vec<Rc<Partition<E>>> {
        self.partitions.borrow().values().flatten().cloned().collect()
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

/// As [`serve`]; `ready` is told the port as soon as clients may connect.
pub async fn serve_ready<E: Env>(
    env: E,
    config: BrokerConfig,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(u16),
) -> io::Result<()> {
    let (node, listener) = start::start(env, config).await?;
    ready(node.port);
    accept::until(&node, listener, stop).await;
    stop::stop(&node).await
}
