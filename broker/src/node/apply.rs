//! Makes committed metadata so on this node: folds the records, lets everyone see the new image, and has partitions
//! begin to lead, follow, change their settings or go.

use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use super::checkpoints::Written;
use super::load;
use super::partition::{Partition, directory, remove_directory};
use super::raft::records;
use super::ticker::tolerate;
use super::{Node, checkpoints, identity};
use crate::config::LogConfig;
use crate::controller::configs;
use crate::controller::image::{Image, Topic};
use crate::controller::record::{MetadataRecord, TopicId};
use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{Offset, TopicPartition};
use crate::log::{Log, LogError, OpenHow};
use crate::planted::{Defect, planted};

/// Bytes of the metadata log folded at a time.
const CHUNK: usize = 1 << 20;

/// What a run of records touches.
#[derive(Default)]
struct Touched {
    topics: BTreeSet<TopicId>,
    gone: BTreeSet<TopicId>,
    brokers: bool,
}

impl Touched {
    /// Everything that may differ.
    fn all(before: &Image, after: &Image) -> Self {
        let topics: BTreeSet<TopicId> = after.topics().map(|topic| topic.id).collect();
        let gone = before.topics().map(|topic| topic.id).filter(|id| !topics.contains(id)).collect();
        Self { topics, gone, brokers: true }
    }

    fn note(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Topic { id: topic, .. }
            | MetadataRecord::Partition { topic, .. }
            | MetadataRecord::PartitionChange { topic, .. }
            | MetadataRecord::Config { topic, .. } => {
                self.topics.insert(*topic);
            }
            MetadataRecord::Removed { topic } => {
                self.gone.insert(*topic);
            }
            MetadataRecord::RegisterBroker { .. }
            | MetadataRecord::BrokerChange { .. }
            | MetadataRecord::UnregisterBroker { .. } => self.brokers = true,
            MetadataRecord::Leader { .. } | MetadataRecord::Voters { .. } | MetadataRecord::ProducerIds { .. } => {}
        }
    }
}

/// Follows the committed end of the metadata log until the node stops.
pub(super) async fn run<E: Env>(node: Rc<Node<E>>) {
    // Once the node stops, its log may be closed at any moment.
    if let Err(error) = follow(&node).await
        && !node.is_stopping()
    {
        node.env.halt(&format!("metadata: {error}"));
    }
}

async fn follow<E: Env>(node: &Rc<Node<E>>) -> io::Result<()> {
    // What was decided before this process joined the cluster is not for it: it may have been elected in an earlier life,
    // with what that had on its disk. And only now can it tell what is its own and what is a stray.
    while !node.has_joined() {
        while node.raft.high() <= node.applied() {
            node.raft.moved().await;
        }
        let folded = fold(node)?;
        node.show(folded.image, folded.upto);
    }
    let image = node.image().clone();
    load::all(node, &image).await?;
    node.known.take();
    checkpoints::write_all(node).await?;
    checkpoints::write_highs(node).await?;
    let all = Touched::all(&Image::default(), &image);
    realise(node, &Image::default(), all).await?;
    node.loaded.set(true);
    node.raft.applied(node.applied()).await;
    let (every, mut since) = (node.config.metadata_snapshot_bytes, 0);
    loop {
        node.announce();
        while node.raft.high() <= node.applied() {
            node.raft.moved().await;
        }
        let before = node.image().clone();
        let Folded { image, touched, upto, bytes } = fold(node)?;
        node.show(image, upto);
        realise(node, &before, touched).await?;
        node.raft.applied(upto).await;
        since += bytes;
        if since >= every && snapshot(node).await {
            since = 0;
        }
    }
}

/// Whether a snapshot was taken, or could not be: the next is due only after as much again.
async fn snapshot<E: Env>(node: &Rc<Node<E>>) -> bool {
    let taken = node.take_snapshot().await;
    taken.unwrap_or_else(|error| {
        // Once the node stops, its log may be closed at any moment.
        if !node.is_stopping() {
            tolerate(node, "metadata snapshot", &error);
        }
        true
    })
}

/// More of the committed metadata.
struct Folded {
    image: Image,
    touched: Touched,
    upto: Offset,
    /// What it took in the log.
    bytes: u64,
}

/// The image with the next committed records folded in, what they touch, and up to where they go. If a snapshot has taken
/// the place of those records: what it says.
fn fold<E: Env>(node: &Node<E>) -> io::Result<Folded> {
    let (from, upto) = (node.applied(), node.raft.high());
    if let Some(loaded) = node.raft.snapshots.loaded_after(from) {
        let (id, image) = &*loaded;
        let image = if planted(Defect::CtSnapshotNotShown) { node.image().clone() } else { image.clone() };
        let touched = Touched::all(&node.image(), &image);
        return Ok(Folded { image, touched, upto: id.offset, bytes: 0 });
    }
    node.raft.snapshots.forget_loaded(from);
    let mut image = node.image().clone();
    let mut touched = Touched::default();
    let (upto, bytes) = node.raft.with_log(|log| {
        records(log, from, upto, CHUNK, |_, record| {
            touched.note(&record);
            image.apply(&record);
            state_decision(node, &image, &record);
        })
    })?;
    Ok(Folded { image, touched, upto, bytes: bytes as u64 })
}

/// The active controller states what it has decided, once it is committed.
fn state_decision<E: Env>(node: &Node<E>, image: &Image, record: &MetadataRecord) {
    let (MetadataRecord::Partition { topic, partition, .. } | MetadataRecord::PartitionChange { topic, partition, .. }) =
        record
    else {
        return;
    };
    if !node.env.hears() || !node.raft.is_active() {
        return;
    }
    let Some(topic) = image.topic_by_id(*topic) else { return };
    let tp = TopicPartition::new(topic.name.clone(), *partition);
    if let Some(state) = image.partition(&tp) {
        node.env.tell(Fact::Decided {
            tp,
            topic: topic.id,
            partition_epoch: state.partition_epoch,
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            in_sync: state.in_sync.clone(),
            elr: state.elr.clone(),
            unclean: state.leader.is_some() && state.elected.is_unclean(),
        });
    }
}

async fn realise<E: Env>(node: &Rc<Node<E>>, before: &Image, touched: Touched) -> io::Result<()> {
    if touched.brokers {
        node.know_brokers();
    }
    let mut moved = false;
    for topic in touched.gone.iter().filter_map(|id| before.topic_by_id(*id)) {
        moved = true;
        for number in (0..).take(topic.partitions.len()) {
            drop_partition(node, &TopicPartition::new(topic.name.clone(), number), topic.id, true).await;
        }
        super::groups::topic_gone(node, &topic.name);
    }
    if moved {
        // What is written down of a deleted one would be believed of the next of the same name, which may be made, led and
        // written to below.
        settle(node).await?;
        checkpoints::write_highs(node).await?;
        moved = false;
    }
    for id in &touched.topics {
        let Some(topic) = node.image().topic_by_id(*id).cloned() else { continue };
        moved |= realise_topic(node, before.topic_by_id(*id), &topic).await?;
    }
    if !(touched.gone.is_empty() && touched.topics.is_empty()) {
        super::groups::topics_changed(node);
    }
    // A metadata record that is written down as durable cannot look like a torn tail at the next start, were a bit of it to
    // flip, and a topic be forgotten.
    if moved || !touched.topics.is_empty() {
        settle(node).await?;
    }
    if moved {
        checkpoints::write_highs(node).await?;
    }
    Ok(())
}

/// Makes durable which partitions there are, and what is written down of them: a partition's directory that is not durable
/// would take acknowledged records with it.
async fn settle<E: Env>(node: &Rc<Node<E>>) -> io::Result<()> {
    node.env.disk().sync_dir("").await?;
    checkpoints::write_all(node).await
}

/// Whether a directory was made or removed.
async fn realise_topic<E: Env>(node: &Rc<Node<E>>, before: Option<&Topic>, topic: &Topic) -> io::Result<bool> {
    let config = node.log_config(topic);
    let mut moved = false;
    for (number, state) in (0..).zip(&topic.partitions) {
        let tp = TopicPartition::new(topic.name.clone(), number);
        if !state.replicas.contains(&node.config.node_id) {
            moved |= drop_partition(node, &tp, topic.id, false).await;
            continue;
        }
        let partition = match node.partition(&tp.topic, number) {
            Some(partition) => partition,
            None => {
                moved = true;
                make(node, &tp, topic.id, &config).await?
            }
        };
        let old = before.and_then(|topic| topic.partitions.get(usize::try_from(number).unwrap_or(usize::MAX)));
        let configured = before.is_none_or(|before| before.configs != topic.configs);
        if configured {
            partition.configure(&config);
        }
        if configured || old != Some(state) {
            partition.assume(node, state);
        }
    }
    Ok(moved)
}

/// A partition that is new on this node.
async fn make<E: Env>(
    node: &Rc<Node<E>>,
    tp: &TopicPartition,
    topic: TopicId,
    config: &LogConfig,
) -> io::Result<Rc<Partition<E>>> {
    let (name, disk) = (directory(tp), node.env.disk());
    let how = OpenHow { clean: true, now: node.env.wall(), ..OpenHow::default() };
    // One that cannot be opened is there and off line: others go on.
    let log = match Log::open(&node.pool, &name, tp.clone(), config.clone(), how) {
        Ok((log, _)) => identity::write(disk, &name, topic).await.is_ok().then_some(log),
        Err(LogError::Io(_)) => None,
        Err(error) => return Err(io::Error::other(error)),
    };
    node.tell(|| Fact::Holds { tp: tp.clone(), topic });
    let partition = Partition::new(tp.clone(), topic, log, config, Written::default(), 0);
    node.insert(partition.clone());
    Ok(partition)
}

/// Removes a partition of that very topic from this node: the topic is gone, or others have its replicas. Whether there
/// was one.
async fn drop_partition<E: Env>(node: &Rc<Node<E>>, tp: &TopicPartition, topic: TopicId, gone: bool) -> bool {
    let Some(partition) = node.partition(&tp.topic, tp.partition).filter(|partition| partition.topic == topic) else {
        return false;
    };
    node.remove(tp);
    let removed = match partition.retire(node).await {
        Some(log) => log.delete().map_err(io::Error::other),
        // It could not be opened: what is there must go as well.
        None => remove_if_there(node.env.disk(), &directory(tp)),
    };
    node.tell(|| if gone { Fact::Deleted { tp: tp.clone() } } else { Fact::Dropped { tp: tp.clone() } });
    if let Err(error) = removed {
        // Left behind, its records would reappear in a topic of the same name.
        node.env.halt(&format!("{tp}: {error}"));
    }
    true
}

fn remove_if_there<D: Disk>(disk: &D, directory: &str) -> io::Result<()> {
    if disk.exists(directory) { remove_directory(disk, directory) } else { Ok(()) }
}

impl<E: Env> Node<E> {
    /// The log settings of a topic, which were checked when they were set; the broker's own if its defaults have since
    /// been changed to some that contradict them.
    pub fn log_config(&self, topic: &Topic) -> LogConfig {
        configs::log_config(&self.config.log, &topic.configs).unwrap_or_else(|_| self.config.log.clone())
    }

    /// Up to where committed metadata is folded into the image.
    pub fn applied(&self) -> Offset {
        self.applied.get()
    }

    fn show(&self, image: Image, upto: Offset) {
        *self.image.borrow_mut() = image;
        self.applied.set(upto);
        self.shown.notify_waiters();
    }

    /// Whether this process's registration is in the image, and so all that was committed before it. One that is a controller
    /// alone does not register, and has nothing that could be too old for what it knows.
    pub fn has_joined(&self) -> bool {
        if !self.config.process_roles.serves() {
            return self.applied() > 0;
        }
        self.image().broker(self.config.node_id).is_some_and(|me| me.incarnation == self.life.incarnation())
    }

    /// Waits until the image satisfies `shown`.
    pub(super) async fn until_shown(&self, shown: impl Fn() -> bool) {
        loop {
            let next = self.shown.notified();
            if shown() {
                return;
            }
            next.await;
        }
    }

    /// Tells the peers' addresses to whoever connects to them.
    fn know_brokers(&self) {
        for broker in self.image().brokers().filter(|broker| broker.node != self.config.node_id) {
            self.peers.set_address(broker.node, format!("{}:{}", broker.host, broker.port));
        }
    }

    /// Says that clients may come, once the cluster lets this broker lead, and once it lets all of them. A controller alone
    /// may act as soon as it knows what was decided.
    fn announce(&self) {
        if !self.config.process_roles.serves() {
            return self.ready.come();
        }
        let leads = |node| self.image().broker(node).is_some_and(|broker| !broker.fenced);
        if leads(self.config.node_id) {
            self.ready.come();
            if self.config.voters.iter().all(|(node, _)| leads(*node)) {
                self.whole.come();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::snapshot;
    use crate::config::FlushPolicy;
    use crate::env::Env;
    use crate::env::real::block_on;
    use crate::node::testing::{TestEnv, settings};
    use crate::node::{accept, start};

    /// A stop that ended so was not clean: the broker was no longer eligible to lead what it had.
    #[test]
    fn a_snapshot_that_comes_too_late_for_a_stop_does_not_end_it_as_a_halt() {
        let root = tempfile::tempdir().unwrap();
        block_on(async {
            let env = TestEnv::new(root.path());
            let (node, listener) = start::start(env.clone(), settings(FlushPolicy::Never)).await.unwrap();
            let serving = node.clone();
            env.spawn("broker", async move { accept::until(&serving, listener, pending(), pending()).await });
            node.until_ready().await;
            let stop = async {
                node.stopping.set(true);
                node.raft.stop().await
            };
            // It is being written when the log is closed.
            let (taken, closed) = tokio::join!(snapshot(&node), stop);
            assert!(taken && closed.is_some());
        })
        .unwrap();
    }
}
