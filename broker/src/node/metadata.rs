//! The one writer of the metadata log. Changes are planned one after another, made durable, and only then seen, so
//! that no client is told of a topic that a crash can take back.

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use tokio::sync::{mpsc, oneshot};

use super::Node;
use super::checkpoints::{self, Written};
use super::partition::{Partition, directory, remove_directory};
use super::producer_ids::BLOCK;
use crate::config::LogConfig;
use crate::controller::configs;
use crate::controller::image::{Image, Topic};
use crate::controller::plan::{self, Alteration, Denied, NewTopic, denied};
use crate::controller::record::{METADATA_TOPIC, MetadataRecord, TopicId};
use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::{FilePool, Log, LogError, OpenHow};
use crate::record::{BatchBuilder, Compression, Unpacked};
use crate::replica::leader::Leader;

/// Requests that may wait for the controller; one more waits for room.
const QUEUE: usize = 64;
/// Bytes of the log replayed at a time.
const REPLAY_BYTES: usize = 4 << 20;
/// The epoch of the only writer. A quorum will have elected ones.
const EPOCH: LeaderEpoch = 0;

/// A change to the cluster that a client wants.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new topic.
    Create(NewTopic),
    /// A topic less, by name.
    Delete(Arc<str>),
    /// More partitions: topic, count in all, and on which brokers the new ones are to be.
    Grow(String, i32, Option<Vec<Vec<i32>>>),
    /// Other settings of a topic.
    Alter(String, Vec<(String, Alteration)>),
}

/// How a change ended: the topic it was about, as it is now (as it was, if it is gone).
pub type Changed = Result<Topic, Denied>;

enum Job {
    /// Carry out, or with `dry` plan only.
    Change { changes: Vec<Change>, dry: bool, done: oneshot::Sender<Vec<Changed>> },
    /// Take a block of producer ids.
    ProducerIds(oneshot::Sender<Result<Range<i64>, ResponseError>>),
    /// Close the log, because the node shuts down.
    Stop(oneshot::Sender<()>),
}

/// Where changes are handed in.
#[derive(Clone, Debug)]
pub struct Controller(mpsc::Sender<Job>);

impl Controller {
    /// Carries out `changes` in order, each wholly or not at all; with `dry`, only says what would become of each.
    pub async fn change(&self, changes: Vec<Change>, dry: bool) -> Vec<Changed> {
        let count = changes.len();
        let (done, answer) = oneshot::channel();
        let handed_in = self.0.send(Job::Change { changes, dry, done }).await;
        let gone = || denied(ResponseError::CoordinatorNotAvailable, "The broker is shutting down.");
        match handed_in {
            Ok(()) => answer.await.unwrap_or_else(|_| vec![gone(); count]),
            Err(_) => vec![gone(); count],
        }
    }

    /// Takes a block of producer ids, which nobody else will ever have.
    pub(super) async fn producer_ids(&self) -> Result<Range<i64>, ResponseError> {
        let (done, answer) = oneshot::channel();
        // Kafka's answer, too, while it has no block: clients try again.
        let gone = || Err(ResponseError::CoordinatorLoadInProgress);
        match self.0.send(Job::ProducerIds(done)).await {
            Ok(()) => answer.await.unwrap_or_else(|_| gone()),
            Err(_) => gone(),
        }
    }

    /// Ends the controller after what was handed in before. Its log is then [`Node::take_metadata`]'s.
    pub(super) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.0.send(Job::Stop(done)).await.is_ok() {
            // An error means that it had ended already.
            let _ = stopped.await;
        }
    }

    pub(super) fn channel() -> (Self, Jobs) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), Jobs(receiver))
    }
}

/// Where they come out.
pub(super) struct Jobs(mpsc::Receiver<Job>);

/// The metadata log, and the cluster as all of its records say, durable or about to be.
pub(super) struct MetadataLog<D: Disk> {
    log: Log<D>,
    image: Image,
}

/// The partition that is the metadata log.
pub(super) fn metadata_partition() -> TopicPartition {
    TopicPartition::new(METADATA_TOPIC, 0)
}

impl<D: Disk> MetadataLog<D> {
    /// Opens and replays it. What was recovered is durable when this returns.
    pub async fn open(pool: &FilePool<D>, how: OpenHow) -> io::Result<Self> {
        let tp = metadata_partition();
        let config =
            LogConfig { retention_ms: None, max_message_bytes: i32::MAX.cast_unsigned(), ..LogConfig::default() };
        let opened = Log::open(pool, &directory(&tp), tp, config, OpenHow { list_tail: false, ..how });
        let (mut log, recovery) = opened.map_err(io::Error::other)?;
        if recovery.must_sync {
            sync(&mut log).await.map_err(io::Error::other)?;
        }
        let image = replay(&mut log)?;
        Ok(Self { log, image })
    }

    /// From where recovery would scan it: below, all is durable, and a record found damaged must not be forgotten.
    pub fn recovery_point(&self) -> Offset {
        self.log.recovery_point()
    }

    /// The cluster as the records say.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Appends records as one batch: durable after [`MetadataLog::sync`].
    pub fn append(&mut self, records: &[MetadataRecord], now: i64) -> Result<(), LogError> {
        let mut batch = BatchBuilder::new();
        for record in records {
            batch.append(now, None, Some(&record.to_bytes()), std::iter::empty::<(&[u8], Option<&[u8]>)>());
        }
        let mut bytes = Vec::from(batch.finish(Compression::None));
        self.log.append_leader(&mut bytes, EPOCH, now)?;
        records.iter().for_each(|record| self.image.apply(record));
        Ok(())
    }

    /// Makes what was appended durable.
    pub async fn sync(&mut self) -> Result<(), LogError> {
        sync(&mut self.log).await
    }
}

/// Flushes a log.
pub(super) async fn sync<D: Disk>(log: &mut Log<D>) -> Result<(), LogError> {
    let flush = log.begin_flush()?;
    flush.sync().await?;
    log.end_flush(flush)?;
    Ok(())
}

/// Folds all records. A record that is not understood is an error: what it decided must not be forgotten.
fn replay<D: Disk>(log: &mut Log<D>) -> io::Result<Image> {
    let mut image = Image::default();
    let mut from: Offset = log.log_start();
    while from < log.log_end() {
        let slice = log.read(from, REPLAY_BYTES, log.log_end(), true).map_err(io::Error::other)?;
        from = slice.next;
        let mut bytes = slice.records;
        while !bytes.is_empty() {
            let batch = Unpacked::take(&mut bytes, 0).map_err(io::Error::other)?;
            for record in batch.records() {
                let value = record.map_err(io::Error::other)?.value.unwrap_or_default();
                image.apply(&MetadataRecord::from_bytes(value).map_err(io::Error::other)?);
            }
        }
    }
    Ok(image)
}

/// Carries out what is handed in until the node stops; then leaves the log to be closed.
pub(super) async fn run<E: Env>(node: Rc<Node<E>>, mut metadata: MetadataLog<E::Disk>, mut jobs: Jobs) {
    while let Some(job) = jobs.0.recv().await {
        let (changes, dry, done) = match job {
            Job::Change { changes, dry, done } => (changes, dry, done),
            Job::ProducerIds(done) => {
                let _ = done.send(take_ids(&node, &mut metadata).await);
                continue;
            }
            Job::Stop(done) => {
                *node.metadata.borrow_mut() = Some(metadata.log);
                let _ = done.send(());
                return;
            }
        };
        let ends = match dry {
            true => changes.iter().map(|change| rehearse(&node, &metadata.image, change)).collect(),
            false => carry_out(&node, &mut metadata, changes).await,
        };
        // Who asked may be gone; the change is made all the same.
        let _ = done.send(ends);
    }
}

/// Decides that this node has the next block of producer ids, durably.
async fn take_ids<E: Env>(
    node: &Rc<Node<E>>,
    metadata: &mut MetadataLog<E::Disk>,
) -> Result<Range<i64>, ResponseError> {
    let first = metadata.image.next_producer_id();
    let next = first.checked_add(BLOCK).ok_or(ResponseError::UnknownServerError)?;
    let record = MetadataRecord::ProducerIds { node: node.config.node_id, epoch: -1, next };
    let appended = metadata.append(std::slice::from_ref(&record), node.env.wall());
    if metadata.log.is_offline() {
        node.env.halt(&format!("{METADATA_TOPIC}: off line after a failed write"));
    }
    appended.map_err(|error| error.response())?;
    if let Err(error) = metadata.sync().await {
        node.env.halt(&format!("{METADATA_TOPIC}: {error}"));
        return Err(error.response());
    }
    node.metadata_point.set(metadata.recovery_point());
    node.image.borrow_mut().apply(&record);
    if let Err(error) = checkpoints::write_all(node).await {
        node.env.halt(&format!("data directory: {error}"));
    }
    Ok(first..next)
}

/// A change planned: its records, and the topic it is about.
struct Planned {
    records: Vec<MetadataRecord>,
    topic: TopicId,
    /// The topic as it was, if it goes.
    gone: Option<Topic>,
}

fn plan_one<E: Env>(node: &Node<E>, image: &Image, change: &Change) -> Result<Planned, Denied> {
    let (settings, unknown) = (&node.settings, ResponseError::UnknownTopicOrPartition);
    let id_of = |name: &str| image.topic(name).map_or(TopicId(uuid::Uuid::nil()), |topic| topic.id);
    match change {
        Change::Create(new) => {
            let id = TopicId::draw(|| node.env.draw());
            Ok(Planned { records: plan::create(image, settings, new, id)?, topic: id, gone: None })
        }
        Change::Delete(name) => match image.topic(name) {
            Some(topic) => Ok(Planned { records: plan::delete(topic), topic: topic.id, gone: Some(topic.clone()) }),
            None => denied(unknown, "This server does not host this topic-partition."),
        },
        Change::Grow(name, count, assignments) => {
            let records = plan::grow(image, settings, name, *count, assignments.as_deref())?;
            Ok(Planned { records, topic: id_of(name), gone: None })
        }
        Change::Alter(name, changes) => {
            let records = plan::alter(image, settings, name, changes)?;
            Ok(Planned { records, topic: id_of(name), gone: None })
        }
    }
}

/// What would become of the topic.
fn rehearse<E: Env>(node: &Node<E>, image: &Image, change: &Change) -> Changed {
    let planned = plan_one(node, image, change)?;
    if let Some(gone) = planned.gone {
        return Ok(gone);
    }
    let mut after = Image::default();
    if let Some(topic) = image.topic_by_id(planned.topic) {
        after.insert(topic.clone());
    }
    planned.records.iter().for_each(|record| after.apply(record));
    match after.topic_by_id(planned.topic) {
        Some(topic) => Ok(topic.clone()),
        None => denied(ResponseError::UnknownServerError, "The planned topic is missing."),
    }
}

async fn carry_out<E: Env>(
    node: &Rc<Node<E>>,
    metadata: &mut MetadataLog<E::Disk>,
    changes: Vec<Change>,
) -> Vec<Changed> {
    let mut decided = Vec::with_capacity(changes.len());
    for change in &changes {
        let planned = plan_one(node, metadata.image(), change);
        decided.push(planned.and_then(|planned| match metadata.append(&planned.records, node.env.wall()) {
            Ok(()) => Ok(planned),
            // A full or failing device: nothing was decided, and what exists goes on.
            Err(error) => denied(ResponseError::KafkaStorageError, error.to_string()),
        }));
    }
    if metadata.log.is_offline() {
        // Its end is not known any more: nothing can be decided until it is recovered.
        node.env.halt(&format!("{METADATA_TOPIC}: off line after a failed write"));
    }
    if decided.iter().any(Result::is_ok)
        && let Err(error) = metadata.sync().await
    {
        node.env.halt(&format!("{METADATA_TOPIC}: {error}"));
        return vec![denied(ResponseError::KafkaStorageError, error.to_string()); changes.len()];
    }
    node.metadata_point.set(metadata.recovery_point());
    let mut ends = Vec::with_capacity(decided.len());
    for planned in decided {
        ends.push(match planned {
            Ok(planned) => node.realise(planned).await,
            Err(denied) => Err(denied),
        });
    }
    if ends.iter().any(Result::is_ok)
        && let Err(error) = make_durable(node, &changes).await
    {
        node.env.halt(&format!("data directory: {error}"));
    }
    ends
}

/// A partition's directory that is not durable would take acknowledged records with it; what is written down of a
/// deleted one would be believed of the next of the same name; and a metadata record is written down as durable, lest a
/// flipped bit in it look like a torn tail at the next start, and a topic be forgotten.
async fn make_durable<E: Env>(node: &Node<E>, changes: &[Change]) -> io::Result<()> {
    if changes.iter().any(|change| !matches!(change, Change::Alter(..))) {
        node.env.disk().sync_dir("").await?;
    }
    checkpoints::write_all(node).await
}

impl<E: Env> Node<E> {
    /// Lets everyone see a durable decision. Returns the topic as it is now.
    fn apply(&self, planned: &Planned) -> Option<Topic> {
        let mut image = self.image.borrow_mut();
        planned.records.iter().for_each(|record| image.apply(record));
        image.topic_by_id(planned.topic).cloned()
    }

    /// Makes a durable decision so on this node.
    async fn realise(self: &Rc<Self>, planned: Planned) -> Changed {
        let now = self.apply(&planned);
        if let Some(gone) = planned.gone {
            self.drop_partitions(&gone).await;
            return Ok(gone);
        }
        let Some(topic) = now else {
            return denied(ResponseError::UnknownServerError, "The topic is gone.");
        };
        let config = self.log_config(&topic);
        self.open_new_partitions(&topic, &config);
        for partition in self.partitions.borrow().get(&topic.name).into_iter().flatten() {
            partition.configure(self, &config);
        }
        Ok(topic)
    }

    /// The log settings of a topic, which were checked when they were set; the broker's own if its defaults have since
    /// been changed to some that contradict them.
    pub fn log_config(&self, topic: &Topic) -> LogConfig {
        configs::log_config(&self.config.log, &topic.configs).unwrap_or_else(|_| self.config.log.clone())
    }

    fn open_new_partitions(&self, topic: &Topic, config: &LogConfig) {
        let mut all = self.partitions.borrow_mut();
        let here = all.entry(topic.name.clone()).or_default();
        for (number, state) in topic.partitions.iter().enumerate().skip(here.len()) {
            let tp = TopicPartition::new(topic.name.clone(), i32::try_from(number).unwrap_or(i32::MAX));
            let how = OpenHow { clean: true, now: self.env.wall(), ..OpenHow::default() };
            // One that cannot be opened is there and off line: others go on.
            let log = Log::open(&self.pool, &directory(&tp), tp.clone(), config.clone(), how).ok().map(|(log, _)| log);
            let end = log.as_ref().map_or(0, Log::log_end);
            let leader = Leader::new(self.config.node_id, state.leader_epoch, end, config.flush);
            here.push(Partition::new(tp, topic.id, log, leader, Written::default()));
        }
    }

    async fn drop_partitions(self: &Rc<Self>, topic: &Topic) {
        let gone = self.partitions.borrow_mut().remove(&topic.name).unwrap_or_default();
        for partition in gone {
            let removed = match partition.retire(self).await {
                Some(log) => log.delete().map_err(io::Error::other),
                // It could not be opened: what is there must go as well.
                None => remove_if_there(self.env.disk(), &directory(&partition.tp)),
            };
            self.tell(|| Fact::Deleted { tp: partition.tp.clone() });
            if let Err(error) = removed {
                // Left behind, its records would reappear in a topic of the same name.
                self.env.halt(&format!("{}: {error}", partition.tp));
            }
        }
    }
}

fn remove_if_there<D: Disk>(disk: &D, directory: &str) -> io::Result<()> {
    if disk.exists(directory) { remove_directory(disk, directory) } else { Ok(()) }
}
