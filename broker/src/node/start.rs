//! Starting: recover what the disk holds, make it durable, and only then listen.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;

use tokio::sync::Notify;

use super::accept::Connections;
use super::checkpoints::{Turns, Written};
use super::metadata::{self, Controller, MetadataLog, metadata_partition};
use super::partition::{Partition, Trouble, directory, of_directory, remove_directory};
use super::producer_ids::ProducerIds;
use super::ticker::{self, Schedule};
use super::wait::Parts;
use super::{Node, Partitions, checkpoints};
use crate::config::{BrokerConfig, LogConfig};
use crate::controller::configs;
use crate::controller::image::{Image, Topic};
use crate::controller::plan::Settings;
use crate::controller::record::MetadataRecord;
use crate::env::{Disk, Env, Listener, Net};
use crate::fact::Fact;
use crate::ids::TopicPartition;
use crate::log::checkpoint::{self, LOG_STARTS, Offsets, RECOVERY_POINTS};
use crate::log::{FilePool, Log, OpenHow, Recovery};
use crate::replica::leader::Leader;

/// Logs recovered at once: their fsyncs overlap, their memory does not pile up.
const AT_ONCE: usize = 16;

type ListenerOf<E> = <<E as Env>::Net as Net>::Listener;

/// What was written down about the logs before the node stopped.
struct Known {
    clean: bool,
    points: Offsets,
    starts: Offsets,
}

impl Known {
    async fn read<D: Disk>(disk: &D) -> io::Result<Self> {
        let clean = checkpoint::take_clean(disk).await?;
        // Damaged recovery points cost a longer scan. Damaged log starts would bring deleted records back.
        let points = checkpoint::read(disk, RECOVERY_POINTS).unwrap_or_default();
        Ok(Self { clean, points, starts: checkpoint::read(disk, LOG_STARTS)? })
    }

    fn of(&self, tp: &TopicPartition, now: i64, list_tail: bool) -> OpenHow {
        let at = |offsets: &Offsets| offsets.get(tp).copied().unwrap_or(0);
        OpenHow { clean: self.clean, recovery_point: at(&self.points), log_start: at(&self.starts), list_tail, now }
    }
}

/// Brings a node up. When this returns, everything it will serve is durable and clients may connect.
pub(super) async fn start<E: Env>(env: E, config: BrokerConfig) -> io::Result<(Rc<Node<E>>, ListenerOf<E>)> {
    let disk = env.disk().clone();
    let known = Known::read(&disk).await?;
    let pool = FilePool::new(disk.clone(), config.max_open_files);
    let mut metadata = MetadataLog::open(&pool, known.of(&metadata_partition(), env.wall(), false)).await?;
    let started = MetadataRecord::Broker { node: config.node_id };
    metadata.append(&[started], env.wall()).map_err(io::Error::other)?;
    metadata.sync().await.map_err(io::Error::other)?;
    let image = metadata.image().clone();
    remove_strays(&disk, &image).await?;
    let partitions = Recovering::all(&env, &config, &pool, &image, known).await?;
    disk.sync_dir("").await?;

    let listener = env.net().listen(&config.listen).await?;
    let (controller, jobs) = Controller::channel();
    let settings =
        Settings { me: config.node_id, log: config.log.clone(), num_partitions: config.num_partitions.max(1) };
    let node = Rc::new(Node {
        port: listener.port(),
        env,
        config,
        settings,
        controller,
        pool,
        image: RefCell::new(image),
        metadata_point: Cell::new(metadata.recovery_point()),
        metadata: RefCell::default(),
        partitions: RefCell::new(partitions),
        connections: Connections::default(),
        schedule: Schedule::default(),
        checkpoints: Turns::default(),
        producer_ids: ProducerIds::default(),
        stopping: Cell::new(false),
        effects: RefCell::default(),
        acknowledged: Cell::new(0),
        drained: Notify::new(),
    });
    // Written down before anything is appended, so that a crash scans no more than it must.
    checkpoints::write_all(&node).await?;
    node.env.spawn("controller", metadata::run(node.clone(), metadata, jobs));
    node.env.spawn("ticker", ticker::run(node.clone()));
    for partition in node.all_partitions() {
        partition.state_marks(&node);
        partition.state_producers(&node);
    }
    Ok((node, listener))
}

/// Removes partition directories that no topic claims: what is left of topics whose end was decided before a crash.
async fn remove_strays<D: Disk>(disk: &D, image: &Image) -> io::Result<()> {
    let metadata = metadata_partition();
    let mut removed = false;
    for name in disk.list("")? {
        let stray = of_directory(&name).filter(|tp| *tp != metadata && image.partition(tp).is_none());
        if stray.is_some() && disk.list(&name).is_ok() {
            remove_directory(disk, &name)?;
            removed = true;
        }
    }
    if removed { disk.sync_dir("").await } else { Ok(()) }
}

/// The logs that are being opened.
struct Recovering<E: Env> {
    env: E,
    config: BrokerConfig,
    pool: FilePool<E::Disk>,
    known: Known,
    left: RefCell<VecDeque<(TopicPartition, Topic, LogConfig)>>,
    opened: RefCell<BTreeMap<TopicPartition, Rc<Partition<E>>>>,
}

impl<E: Env> Recovering<E> {
    async fn all(
        env: &E,
        config: &BrokerConfig,
        pool: &FilePool<E::Disk>,
        image: &Image,
        known: Known,
    ) -> io::Result<Partitions<E>> {
        env.tell(Fact::Started { clean: known.clean });
        let left = image.topics().flat_map(|topic| {
            let own = configs::log_config(&config.log, &topic.configs).unwrap_or_else(|_| config.log.clone());
            (0..)
                .take(topic.partitions.len())
                .map(move |number| (TopicPartition::new(topic.name.clone(), number), topic.clone(), own.clone()))
        });
        let this = Rc::new(Self {
            env: env.clone(),
            config: config.clone(),
            pool: pool.clone(),
            known,
            left: RefCell::new(left.collect()),
            opened: RefCell::default(),
        });
        let workers = Parts::new((0..AT_ONCE).map(|_| None).collect());
        for at in 0..AT_ONCE {
            let (this, workers) = (this.clone(), workers.clone());
            env.spawn("recovery", async move { workers.end(at, this.work().await) });
        }
        workers.wait().await;
        workers.take().into_iter().flatten().collect::<io::Result<()>>()?;
        let mut partitions: Partitions<E> = BTreeMap::new();
        for (tp, partition) in this.opened.take() {
            partitions.entry(tp.topic).or_default().push(partition);
        }
        Ok(partitions)
    }

    async fn work(&self) -> io::Result<()> {
        loop {
            let Some((tp, topic, config)) = self.left.borrow_mut().pop_front() else { return Ok(()) };
            let how = self.known.of(&tp, self.env.wall(), self.env.hears());
            let opened = Log::open(&self.pool, &directory(&tp), tp.clone(), config.clone(), how);
            // A damaged log stays off line, its files untouched; the others are served.
            let (log, trouble) = match opened {
                Ok((mut log, recovery)) => {
                    self.make_durable(&mut log, &recovery).await?;
                    self.state_recovery(&log, recovery);
                    (Some(log), Trouble::None)
                }
                Err(error) => (None, Trouble::of(&error)),
            };
            let number = usize::try_from(tp.partition).unwrap_or(0);
            let epoch = topic.partitions.get(number).map_or(0, |partition| partition.leader_epoch);
            let end = log.as_ref().map_or(0, Log::log_end);
            let leader = Leader::new(self.config.node_id, epoch, end, config.flush);
            let written = Written { point: how.recovery_point, start: how.log_start };
            let partition = Partition::new(tp.clone(), topic.id, log, leader, written);
            partition.trouble.set(trouble);
            self.opened.borrow_mut().insert(tp, partition);
        }
    }

    /// What was validated may be in the page cache only (KAFKA-10101).
    async fn make_durable(&self, log: &mut Log<E::Disk>, recovery: &Recovery) -> io::Result<()> {
        if !recovery.must_sync {
            return Ok(());
        }
        metadata::sync(log).await.map_err(io::Error::other)?;
        self.env.tell(Fact::Flushed { tp: log.tp().clone(), upto: log.flushed() });
        Ok(())
    }

    fn state_recovery(&self, log: &Log<E::Disk>, recovery: Recovery) {
        if !recovery.clean && self.env.hears() {
            self.env.tell(Fact::Recovered {
                tp: log.tp().clone(),
                log_start: log.log_start(),
                log_end: log.log_end(),
                recovery_point: recovery.recovery_point,
                tail: recovery.tail,
                synced: recovery.must_sync,
            });
        }
    }
}
