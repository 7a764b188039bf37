//! Fetch (1): batches from an offset on, as they lie in the log; waits until there are enough of them.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};

use super::fetch_answer::{FetchedPartition, FetchedTopic, write};
use super::fetch_metadata;
use super::{Answer, Call, Started};
use crate::controller::record::TopicId;
use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset};
use crate::node::Node;
use crate::node::partition::Partition;
use crate::node::wait::Watch;
use crate::record::{Batch, Batches, Compression};
use crate::replica::leader::Input;
use crate::wire::guard::RequestHead;

/// `fetch.max.bytes` of a broker: the most one response carries, unless a single batch is larger.
const MOST_BYTES: usize = 55 << 20;
/// Segments one partition's part of a response reaches over at most.
const MOST_PIECES: usize = 64;
/// The first version that may carry zstd (KIP-110).
const FIRST_ZSTD: i16 = 10;
/// The first version in which followers tell their registration (KIP-903).
const FIRST_FROM_REPLICAS: i16 = 15;

/// A fetch under way.
struct Fetch<E: Env> {
    node: Rc<Node<E>>,
    head: RequestHead,
    request: FetchRequest,
    /// The follower that asks, and its registration; `None`: a consumer.
    replica: Option<(NodeId, BrokerEpoch)>,
}

/// What there is to answer with at one moment.
#[derive(Default)]
struct Gathered {
    topics: Vec<FetchedTopic>,
    bytes: usize,
    failed: bool,
    served: Vec<Fact>,
    /// A follower has not been told yet what is committed.
    news: bool,
}

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<FetchRequest>() else { return Started::Now(Answer::Close) };
    if fetch_metadata::wants(head, &request) {
        return fetch_metadata::serve(node, head, request);
    }
    if head.version >= 7 && !matches!(request.session_epoch, 0 | -1) {
        // A session that was never made, as this broker declines them all (KIP-227).
        return Started::Now(write(head, ResponseError::FetchSessionIdNotFound.code(), &[]));
    }
    let replica = replica(head, &request);
    Started::later(Fetch { node: node.clone(), head, request, replica }.run())
}

/// The follower that asks, in the versions that tell its registration too (KIP-903).
fn replica(head: RequestHead, request: &FetchRequest) -> Option<(NodeId, BrokerEpoch)> {
    let state = &request.replica_state;
    (head.version >= FIRST_FROM_REPLICAS && state.replica_id.0 >= 0)
        .then_some((NodeId(state.replica_id.0), state.replica_epoch))
}

impl<E: Env> Fetch<E> {
    async fn run(self) -> Answer {
        self.note_positions();
        let wait = Duration::from_millis(u64::try_from(self.request.max_wait_ms).unwrap_or(0));
        let deadline = self.node.env.now().after(wait);
        let least = usize::try_from(self.request.min_bytes).unwrap_or(0);
        loop {
            let gathered = self.gather();
            let left = deadline.since(self.node.env.now());
            let enough = gathered.bytes >= least || gathered.failed || gathered.news || left.is_zero();
            if enough || gathered.topics.is_empty() || self.node.is_stopping() {
                return self.answer(gathered).await;
            }
            let watch = Watch::new((least - gathered.bytes) as u64);
            // What was read is read again when there is enough: it must not take memory meanwhile.
            drop(gathered);
            self.watch(&watch);
            self.node.env.timeout(left, watch.wait()).await;
        }
    }

    async fn answer(&self, gathered: Gathered) -> Answer {
        self.node.env.disk().settled().await;
        gathered.served.into_iter().for_each(|fact| self.node.env.tell(fact));
        self.note_told();
        write(self.head, 0, &gathered.topics)
    }

    fn watch(&self, watch: &Rc<Watch>) {
        for topic in &self.request.topics {
            for asked in &topic.partitions {
                if let Ok(partition) = self.find(topic, asked) {
                    partition.watch(watch, self.replica.is_some());
                }
            }
        }
    }

    /// Reads what there is, within the request's limits (KIP-74): partitions in the order asked for, and the first batch
    /// found whatever its size.
    fn gather(&self) -> Gathered {
        let mut gathered = Gathered::default();
        let most = usize::try_from(self.request.max_bytes).unwrap_or(0).min(MOST_BYTES);
        for topic in &self.request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let left = most.saturating_sub(gathered.bytes);
                let fetched = self.read(topic, asked, left, &mut gathered.served, gathered.bytes == 0);
                gathered.bytes += fetched.size();
                gathered.failed |= fetched.error != 0 || fetched.diverging.is_some();
                gathered.news |= self.is_news(topic, asked, fetched.high);
                partitions.push(fetched);
            }
            gathered.topics.push(FetchedTopic { name: topic.topic.0.clone(), id: topic.topic_id, partitions });
        }
        gathered
    }

    fn find(&self, topic: &FetchTopic, asked: &FetchPartition) -> Result<Rc<Partition<E>>, ResponseError> {
        let found = if self.head.version >= 13 {
            let name = self.node.topic_name(TopicId(topic.topic_id)).ok_or(ResponseError::UnknownTopicId)?;
            self.node.partition(&name, asked.partition)
        } else {
            self.node.partition(&topic.topic, asked.partition)
        };
        found.ok_or_else(|| self.node.not_here(&topic.topic, asked.partition))
    }

    fn read(
        &self,
        topic: &FetchTopic,
        asked: &FetchPartition,
        left: usize,
        served: &mut Vec<Fact>,
        min_one: bool,
    ) -> FetchedPartition {
        let index = asked.partition;
        let failed = |error: ResponseError| FetchedPartition {
            index,
            error: error.code(),
            high: -1,
            stable: -1,
            log_start: -1,
            ..FetchedPartition::default()
        };
        let partition = match self.find(topic, asked) {
            Ok(partition) => partition,
            Err(error) => return failed(error),
        };
        if let Some(diverging) = self.diverging(&partition, asked) {
            return FetchedPartition { diverging: Some(diverging), error: 0, ..failed(ResponseError::UnknownServerError) };
        }
        match self.slice(&partition, asked, left, min_one) {
            Ok((records, upto)) => {
                let high = partition.high();
                if !records.is_empty() && self.node.env.hears() {
                    served.push(Fact::Served { tp: partition.tp.clone(), from: asked.fetch_offset, upto, high });
                }
                let (stable, log_start) = (partition.stable(), partition.log_start());
                FetchedPartition { index, error: 0, high, stable, log_start, records, diverging: None }
            }
            // A follower out of range has to know where to begin again.
            Err(error) if self.replica.is_some() => {
                FetchedPartition { log_start: partition.log_start(), ..failed(error) }
            }
            Err(error) => failed(error),
        }
    }

    /// Batches from the offset asked for, and the offset after them. A read ends with its segment; small segments must
    /// not make for as many requests.
    fn slice(
        &self,
        partition: &Partition<E>,
        asked: &FetchPartition,
        left: usize,
        min_one: bool,
    ) -> Result<(Vec<Bytes>, Offset), ResponseError> {
        self.check(partition, asked)?;
        // Isolation level 1 is read_committed. A follower sees all there is.
        let upto = match (self.replica, self.request.isolation_level) {
            (Some(_), _) => partition.with_log(|log| Ok(log.log_end())).map_err(|error| error.response())?,
            (None, 1) => partition.stable(),
            (None, _) => partition.high(),
        };
        let most = usize::try_from(asked.partition_max_bytes).unwrap_or(0).min(left);
        let (mut pieces, mut bytes, mut next) = (Vec::new(), 0, asked.fetch_offset);
        while pieces.len() < MOST_PIECES {
            let needed = min_one && pieces.is_empty();
            // With no room left nothing is read, but the offset asked for is checked all the same.
            let upto = if most == bytes && !needed { next } else { upto };
            let read = partition.with_log(|log| log.read(next, most - bytes, upto, needed));
            let slice = match read {
                // What was read is answered with; the next request meets the error.
                Err(_) if !pieces.is_empty() => break,
                read => read.map_err(|error| error.response())?,
            };
            if slice.records.is_empty() {
                break;
            }
            self.check_codec(&slice.records)?;
            bytes = (bytes + slice.records.len()).min(most);
            next = slice.next;
            pieces.push(slice.records);
        }
        Ok((pieces, next))
    }

    /// Whether this node may answer that asker, as things are.
    fn check(&self, partition: &Partition<E>, asked: &FetchPartition) -> Result<(), ResponseError> {
        partition.check_epoch(asked.current_leader_epoch)?;
        partition.check_leads()?;
        let Some((replica, epoch)) = self.replica else { return Ok(()) };
        if !self.node.image().partition(&partition.tp).is_some_and(|state| state.replicas.contains(&replica)) {
            // One of the two does not know yet where the replicas are.
            return Err(ResponseError::UnknownLeaderEpoch);
        }
        // A process that was replaced by another since says nothing of what that one has (KIP-903).
        let replaced = self.node.image().broker(replica).is_some_and(|broker| epoch < broker.epoch);
        if replaced { Err(ResponseError::StaleBrokerEpoch) } else { Ok(()) }
    }

    /// Where a follower's log parts from this one: it has an epoch that ended earlier here, or never was here.
    fn diverging(&self, partition: &Partition<E>, asked: &FetchPartition) -> Option<(LeaderEpoch, Offset)> {
        let last = asked.last_fetched_epoch;
        if self.replica.is_none() || last < 0 || self.check(partition, asked).is_err() {
            return None;
        }
        let (epoch, end) = partition.with_log(|log| Ok(log.end_at_most(last))).ok()?;
        (epoch < last || end < asked.fetch_offset).then_some((epoch, end))
    }

    /// Tells the leaders how far the follower is. One whose log parts from the leader's is nowhere (KAFKA-13141).
    fn note_positions(&self) {
        let Some((follower, epoch)) = self.replica else { return };
        let known = self.node.image().broker(follower).map(|broker| (broker.epoch, broker.is_active()));
        let eligible = known.is_some_and(|(current, active)| active && current == epoch);
        for topic in &self.request.topics {
            for asked in &topic.partitions {
                let Ok(partition) = self.find(topic, asked) else { continue };
                let offset = asked.fetch_offset;
                let within = partition.with_log(|log| Ok((log.log_start()..=log.log_end()).contains(&offset)));
                let sound = self.check(&partition, asked).is_ok() && self.diverging(&partition, asked).is_none();
                if sound && matches!(within, Ok(true)) {
                    partition.step(&self.node, Input::Fetched { follower, epoch, offset, eligible });
                }
            }
        }
    }

    /// Whether a follower has not been told yet that `high` is committed.
    fn is_news(&self, topic: &FetchTopic, asked: &FetchPartition, high: Offset) -> bool {
        let Some((follower, _)) = self.replica else { return false };
        self.find(topic, asked).is_ok_and(|partition| partition.told(follower) < high)
    }

    /// Remembers what the follower has been told.
    fn note_told(&self) {
        let Some((follower, _)) = self.replica else { return };
        for topic in &self.request.topics {
            for asked in &topic.partitions {
                if let Ok(partition) = self.find(topic, asked) {
                    partition.tell(follower);
                }
            }
        }
    }

    fn check_codec(&self, records: &[u8]) -> Result<(), ResponseError> {
        let zstd = |batch: Batch<'_>| batch.header().compression() == Ok(Compression::Zstd);
        if self.head.version < FIRST_ZSTD && Batches::new(records).flatten().any(zstd) {
            return Err(ResponseError::UnsupportedCompressionType);
        }
        Ok(())
    }
}
