//! Opening this node's partitions once it knows the cluster: what the disk holds of them is recovered and made durable
//! before anything of it is served, and what no topic claims is removed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::Node;
use super::checkpoints::Written;
use super::identity;
use super::partition::{Partition, Trouble, directory, of_directory, remove_directory};
use super::raft::{metadata_partition, sync};
use super::wait::Parts;
use crate::config::LogConfig;
use crate::controller::image::{Image, Topic};
use crate::controller::record::TopicId;
use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{Offset, TopicPartition};
use crate::log::checkpoint::{self, HIGH_WATERMARKS, LOG_STARTS, Offsets, RECOVERY_POINTS};
use crate::log::{Log, OpenHow, Recovery};
use crate::planted::{Defect, planted};

/// Logs recovered at once: their fsyncs overlap, their memory does not pile up.
const AT_ONCE: usize = 16;

/// What was written down about the logs before the node stopped. It holds for each until that is opened.
#[derive(Default)]
pub struct Known {
    /// The last shutdown was clean; with the broker epoch of then, if it had one.
    pub clean: Option<i64>,
    /// From where a recovery scans them.
    pub points: Offsets,
    /// Where they start.
    pub starts: Offsets,
    /// Up to where they were committed.
    pub highs: Offsets,
}

impl Known {
    pub(super) async fn read<D: Disk>(disk: &D) -> io::Result<Self> {
        let clean = checkpoint::take_clean(disk).await?;
        // Damaged recovery points cost a longer scan, damaged high watermarks some time until the leader is heard.
        // Damaged log starts would bring deleted records back.
        let points = checkpoint::read(disk, RECOVERY_POINTS).unwrap_or_default();
        let highs = checkpoint::read(disk, HIGH_WATERMARKS).unwrap_or_default();
        Ok(Self { clean, points, starts: checkpoint::read(disk, LOG_STARTS)?, highs })
    }

    /// The log is gone: nothing of it holds for the next of its name.
    fn forget(&mut self, tp: &TopicPartition) {
        for offsets in [&mut self.points, &mut self.starts, &mut self.highs] {
            offsets.remove(tp);
        }
    }

    pub(super) fn of(&self, tp: &TopicPartition, now: i64, list_tail: bool) -> OpenHow {
        let at = |offsets: &Offsets| offsets.get(tp).copied().unwrap_or(0);
        let (recovery_point, log_start) = (at(&self.points), at(&self.starts));
        OpenHow { clean: self.clean.is_some(), recovery_point, log_start, list_tail, now }
    }

    fn high(&self, tp: &TopicPartition) -> Offset {
        self.highs.get(tp).copied().unwrap_or(0)
    }
}

/// One partition that is to be opened.
struct Wanted {
    tp: TopicPartition,
    topic: TopicId,
    config: LogConfig,
}

/// Opens every partition that `image` places on this node, and removes what it does not.
pub(super) async fn all<E: Env>(node: &Rc<Node<E>>, image: &Image) -> io::Result<()> {
    remove_strays(node, image).await?;
    let wanted = image.topics().flat_map(|topic| of_topic(node, topic)).collect();
    let loading = Rc::new(Loading { node: node.clone(), left: RefCell::new(wanted) });
    let workers = Parts::new((0..AT_ONCE).map(|_| None).collect());
    for at in 0..AT_ONCE {
        let (loading, workers) = (loading.clone(), workers.clone());
        node.env.spawn("recovery", async move { workers.end(at, loading.work().await) });
    }
    workers.wait().await;
    workers.take().into_iter().flatten().collect::<io::Result<()>>()?;
    node.env.disk().sync_dir("").await
}

fn of_topic<E: Env>(node: &Node<E>, topic: &Topic) -> Vec<Wanted> {
    let config = node.log_config(topic);
    let here = (0..).zip(&topic.partitions).filter(|(_, state)| state.replicas.contains(&node.config.node_id));
    let wanted = |number| Wanted {
        tp: TopicPartition::new(topic.name.clone(), number),
        topic: topic.id,
        config: config.clone(),
    };
    here.map(|(number, _)| wanted(number)).collect()
}

/// Removes partition directories that are not this node's by the committed metadata: of topics that were deleted while
/// it was away, perhaps to be created again under the same name, and of partitions moved elsewhere.
async fn remove_strays<E: Env>(node: &Node<E>, image: &Image) -> io::Result<()> {
    let disk = node.env.disk();
    let mut removed = false;
    for name in disk.list("")? {
        let Some(tp) = of_directory(&name).filter(|tp| *tp != metadata_partition()) else { continue };
        match disk.list(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => continue,
            // A stray that cannot be looked at must not pass for one that is not there.
            listed => drop(listed?),
        }
        let owner = image
            .topic(&tp.topic)
            .filter(|_| image.partition(&tp).is_some_and(|state| state.replicas.contains(&node.config.node_id)));
        let mine = match (owner, identity::read(disk, &name)?) {
            (Some(topic), Some(id)) => topic.id == id || planted(Defect::CtTopicRecreateIdentity),
            // A directory made just before a crash: its log is empty, or was never acknowledged.
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !mine {
            remove_directory(disk, &name)?;
            node.known.borrow_mut().forget(&tp);
            let moved = image.partition(&tp).is_some_and(|state| !state.replicas.contains(&node.config.node_id));
            node.tell(|| if moved { Fact::Dropped { tp } } else { Fact::Deleted { tp } });
            removed = true;
        }
    }
    if removed { disk.sync_dir("").await } else { Ok(()) }
}

/// The logs that are being opened.
struct Loading<E: Env> {
    node: Rc<Node<E>>,
    left: RefCell<VecDeque<Wanted>>,
}

impl<E: Env> Loading<E> {
    async fn work(&self) -> io::Result<()> {
        let node = &self.node;
        loop {
            let Some(Wanted { tp, topic, config }) = self.left.borrow_mut().pop_front() else { return Ok(()) };
            if !node.env.disk().exists(&directory(&tp)) {
                node.known.borrow_mut().forget(&tp);
            }
            node.tell(|| Fact::Holds { tp: tp.clone(), topic });
            let how = node.known.borrow().of(&tp, node.env.wall(), node.env.hears());
            let opened = Log::open(&node.pool, &directory(&tp), tp.clone(), config.clone(), how);
            // A damaged log stays off line, its files untouched; the others are served.
            let (log, trouble) = match opened {
                Ok((mut log, recovery)) => {
                    self.make_durable(&mut log, &recovery, topic).await?;
                    self.state_recovery(&log, recovery);
                    if planted(Defect::ReTruncateToHw) {
                        self.cut_to_high(&mut log)?;
                    }
                    (Some(log), Trouble::None)
                }
                Err(error) => (None, Trouble::of(&error)),
            };
            let written = Written { point: how.recovery_point, start: how.log_start };
            let high = node.known.borrow().high(&tp);
            let partition = Partition::new(tp.clone(), topic, log, &config, written, high);
            partition.trouble.set(trouble);
            partition.state_producers(node);
            node.insert(partition);
        }
    }

    /// What was validated may be in the page cache only (KAFKA-10101).
    async fn make_durable(&self, log: &mut Log<E::Disk>, recovery: &Recovery, topic: TopicId) -> io::Result<()> {
        let (disk, name) = (self.node.env.disk(), directory(log.tp()));
        if identity::read(disk, &name)?.is_none() {
            identity::write(disk, &name, topic).await?;
        }
        if !recovery.must_sync {
            return Ok(());
        }
        sync(log).await.map_err(io::Error::other)?;
        self.node.tell(|| Fact::Flushed { tp: log.tp().clone(), upto: log.flushed() });
        Ok(())
    }

    /// What a replica did that knew of no leader epochs (KIP-101).
    fn cut_to_high(&self, log: &mut Log<E::Disk>) -> io::Result<()> {
        let high = self.node.known.borrow().high(log.tp()).max(log.log_start());
        let end = log.truncate_to(high).map_err(io::Error::other)?;
        self.node.tell(|| Fact::Truncated { tp: log.tp().clone(), log_end: end });
        Ok(())
    }

    fn state_recovery(&self, log: &Log<E::Disk>, recovery: Recovery) {
        if !recovery.clean && self.node.env.hears() {
            self.node.env.tell(Fact::Recovered {
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
