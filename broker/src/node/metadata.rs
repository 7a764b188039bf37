//! The one writer of the metadata log. Changes are planned one after another, made durable, and only then seen, so
//! that no client is told of a topic that a crash can take back.

use std::io;
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use tokio::sync::{mpsc, oneshot};

use super::Node;
use super::checkpoints::{self, Written};
use super::partition::{Partition, directory, remove_directory};
use crate::config::{BrokerConfig, LogConfig};
use crate::controller::configs;
use crate::controller::image::{Image, Topic};
use crate::controller::machine;
use crate::controller::plan::denied;
use crate::controller::record::{Incarnation, METADATA_TOPIC, MetadataRecord};
use crate::controller::request::{Answer, Heartbeat, Registration, Request, Settings};
pub use crate::controller::request::{Change, Changed};
use crate::env::{Disk, Env, Mono};
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

enum Job {
    /// Carry out, or with `dry` plan only.
    Change { changes: Vec<Change>, dry: bool, done: oneshot::Sender<Vec<Changed>> },
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
    controller: machine::Controller,
    settings: Settings,
}

/// The partition that is the metadata log.
pub(super) fn metadata_partition() -> TopicPartition {
    TopicPartition::new(METADATA_TOPIC, 0)
}

impl<D: Disk> MetadataLog<D> {
    /// Opens and replays it. What was recovered is durable when this returns.
    pub async fn open(pool: &FilePool<D>, how: OpenHow, settings: Settings, now: Mono) -> io::Result<Self> {
        let tp = metadata_partition();
        let config =
            LogConfig { retention_ms: None, max_message_bytes: i32::MAX.cast_unsigned(), ..LogConfig::default() };
        let opened = Log::open(pool, &directory(&tp), tp, config, OpenHow { list_tail: false, ..how });
        let (mut log, recovery) = opened.map_err(io::Error::other)?;
        if recovery.must_sync {
            sync(&mut log).await.map_err(io::Error::other)?;
        }
        let image = replay(&mut log)?;
        let controller = machine::Controller::new(image.clone(), settings.clone(), now);
        Ok(Self { log, image, controller, settings })
    }

    /// Decides on a request, and writes the decision down: durable after [`MetadataLog::sync`].
    pub fn decide<E: Env>(&mut self, env: &E, request: &Request) -> Result<(Vec<MetadataRecord>, Answer), LogError> {
        let decision = self.controller.handle(env.now(), self.log.log_end(), request, &mut || env.draw());
        if decision.records.is_empty() {
            return Ok((decision.records, decision.answer));
        }
        if let Err(error) = self.append(&decision.records, env.wall()) {
            // Nothing was decided: what exists goes on.
            self.controller = machine::Controller::new(self.image.clone(), self.settings.clone(), env.now());
            return Err(error);
        }
        Ok((decision.records, decision.answer))
    }

    /// Registers this node's start, and lets it lead what it has.
    pub fn register<E: Env>(&mut self, env: &E, config: &BrokerConfig) -> Result<(), LogError> {
        let node = config.node_id;
        let (host, port) = config.listen.rsplit_once(':').unwrap_or((&config.listen, ""));
        let registration = Registration {
            node,
            incarnation: Incarnation::draw(|| env.draw()),
            host: config.advertised_host.as_deref().unwrap_or(host).into(),
            port: port.parse().unwrap_or(0),
            rack: config.rack.clone(),
            previous_epoch: self.image.broker(node).map(|broker| broker.epoch),
        };
        if let (_, Answer::Registered { epoch }) = self.decide(env, &Request::Register(registration))? {
            let metadata_offset = self.log.log_end();
            let here = Heartbeat { node, epoch, metadata_offset, want_fence: false, want_shut_down: false };
            self.decide(env, &Request::Heartbeat(here))?;
        }
        Ok(())
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
            Job::Stop(done) => {
                *node.metadata.borrow_mut() = Some(metadata.log);
                let _ = done.send(());
                return;
            }
        };
        let ends = carry_out(&node, &mut metadata, changes, dry).await;
        // Who asked may be gone; the change is made all the same.
        let _ = done.send(ends);
    }
}

async fn carry_out<E: Env>(
    node: &Rc<Node<E>>,
    metadata: &mut MetadataLog<E::Disk>,
    changes: Vec<Change>,
    dry: bool,
) -> Vec<Changed> {
    let count = changes.len();
    let failed = |error: LogError| vec![denied(ResponseError::KafkaStorageError, error.to_string()); count];
    let request = Request::Change { changes, dry };
    let decided = metadata.decide(&node.env, &request);
    let Request::Change { changes, .. } = request else { return Vec::new() };
    if metadata.log.is_offline() {
        // Its end is not known any more: nothing can be decided until it is recovered.
        node.env.halt(&format!("{METADATA_TOPIC}: off line after a failed write"));
    }
    let (records, mut ends) = match decided {
        Ok((records, Answer::Changed(ends))) => (records, ends),
        Ok(_) => return Vec::new(),
        Err(error) => return failed(error),
    };
    if records.is_empty() {
        return ends;
    }
    if let Err(error) = metadata.sync().await {
        node.env.halt(&format!("{METADATA_TOPIC}: {error}"));
        return failed(error);
    }
    node.metadata_point.set(metadata.recovery_point());
    records.iter().for_each(|record| node.image.borrow_mut().apply(record));
    for (change, end) in changes.iter().zip(&mut ends) {
        if let Ok(topic) = end {
            node.realise(change, topic).await;
        }
    }
    if let Err(error) = make_durable(node, &changes).await {
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
    /// Makes a durable decision so on this node.
    async fn realise(self: &Rc<Self>, change: &Change, topic: &Topic) {
        if matches!(change, Change::Delete(_)) {
            self.drop_partitions(topic).await;
            return;
        }
        let config = self.log_config(topic);
        self.open_new_partitions(topic, &config);
        for partition in self.partitions.borrow().get(&topic.name).into_iter().flatten() {
            partition.configure(self, &config);
        }
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
