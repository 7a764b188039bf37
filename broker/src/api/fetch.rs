//! Fetch (1): batches from an offset on, as they lie in the log; waits until there are enough of them. What is asked of a
//! follower's fetch beyond that is in [`super::fetch_replica`].

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};

use super::fetch_answer::{FetchedPartition, FetchedTopic, write};
use super::fetch_metadata;
use super::fetch_replica::{Replica, Session};
use super::{Answer, Call, Started};
use crate::controller::record::TopicId;
use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{NodeId, Offset};
use crate::node::Node;
use crate::node::partition::Partition;
use crate::node::wait::Watch;
use crate::planted::{Defect, planted};
use crate::record::{Batch, Batches, Compression};
use crate::wire::guard::RequestHead;

/// `fetch.max.bytes` of a broker: the most one response carries, unless a single batch is larger.
const MOST_BYTES: usize = 55 << 20;
/// Segments one partition's part of a response reaches over at most.
const MOST_PIECES: usize = 64;
/// The first version that may carry zstd (KIP-110).
const FIRST_ZSTD: i16 = 10;
/// The first version in which consumers tell their rack (KIP-392).
const FIRST_RACK: i16 = 11;

/// A fetch under way.
struct Fetch<E: Env> {
    node: Rc<Node<E>>,
    head: RequestHead,
    request: FetchRequest,
    /// The follower that asks; `None`: a consumer.
    replica: Option<Replica>,
    session: Session,
}

/// What there is to answer with at one moment.
struct Gathered<E: Env> {
    topics: Vec<FetchedTopic>,
    bytes: usize,
    /// There is something to say besides records: it is not waited any longer.
    urgent: bool,
    served: Vec<Fact>,
    /// Which high watermarks the follower is told.
    told: Vec<(Rc<Partition<E>>, Offset)>,
}

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(mut request) = call.decode::<FetchRequest>() else { return Started::Now(Answer::Close) };
    if fetch_metadata::wants(head, &request) {
        return fetch_metadata::serve(node, head, request);
    }
    let replica = Replica::of(node, head, &request);
    match Session::of(node, replica.as_ref(), head, &mut request) {
        Ok(session) => Started::later(Fetch { node: node.clone(), head, request, replica, session }.run()),
        Err(error) => Started::Now(write(head, error.code(), 0, &[])),
    }
}

impl<E: Env> Fetch<E> {
    async fn run(self) -> Answer {
        if let Some(replica) = &self.replica {
            let all =
                self.request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |asked| (topic, asked)));
            for (partition, asked) in all.filter_map(|(topic, asked)| Some((self.find(topic, asked).ok()?, asked))) {
                replica.note_position(&self.node, &partition, asked);
            }
        }
        let wait = Duration::from_millis(u64::try_from(self.request.max_wait_ms).unwrap_or(0));
        let deadline = self.node.env.now().after(wait);
        let least = usize::try_from(self.request.min_bytes).unwrap_or(0);
        loop {
            let gathered = self.gather();
            let left = deadline.since(self.node.env.now());
            let enough = gathered.bytes >= least || gathered.urgent || left.is_zero();
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

    async fn answer(&self, mut gathered: Gathered<E>) -> Answer {
        self.node.env.disk().settled().await;
        gathered.served.into_iter().for_each(|fact| self.node.env.tell(fact));
        if let Some(replica) = &self.replica {
            gathered.told.iter().for_each(|(partition, high)| partition.tell(replica.node, *high));
        }
        self.session.leave_news(&self.node, &mut gathered.topics);
        write(self.head, 0, self.session.id, &gathered.topics)
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
    fn gather(&self) -> Gathered<E> {
        let mut gathered =
            Gathered { topics: Vec::new(), bytes: 0, urgent: false, served: Vec::new(), told: Vec::new() };
        let most = usize::try_from(self.request.max_bytes).unwrap_or(0).min(MOST_BYTES);
        for topic in &self.request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let left = most.saturating_sub(gathered.bytes);
                let fetched = self.read(topic, asked, left, &mut gathered);
                gathered.bytes += fetched.size();
                gathered.urgent |= fetched.error != 0 || fetched.diverging.is_some() || fetched.preferred >= 0;
                partitions.push(fetched);
            }
            gathered.topics.push(FetchedTopic { name: topic.topic.0.clone(), id: topic.topic_id, partitions });
        }
        gathered
    }

    fn find(&self, topic: &FetchTopic, asked: &FetchPartition) -> Result<Rc<Partition<E>>, ResponseError> {
        if self.head.version >= 13 {
            let name = self.node.topic_name(TopicId(topic.topic_id)).ok_or(ResponseError::UnknownTopicId)?;
            return self
                .node
                .partition(&name, asked.partition)
                .ok_or_else(|| self.node.not_here(&name, asked.partition));
        }
        let found = self.node.partition(&topic.topic, asked.partition);
        found.ok_or_else(|| self.node.not_here(&topic.topic, asked.partition))
    }

    fn read(
        &self,
        topic: &FetchTopic,
        asked: &FetchPartition,
        left: usize,
        gathered: &mut Gathered<E>,
    ) -> FetchedPartition {
        let index = asked.partition;
        let refused = |error: ResponseError| FetchedPartition { index, ..FetchedPartition::refused(error.code()) };
        let partition = match self.find(topic, asked) {
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        if let Err(error) = self.check(&partition, asked) {
            return refused(error);
        }
        if let Some(replica) = &self.replica
            && let Some(diverging) = replica.diverging(&partition, asked)
        {
            let (high, stable, log_start) = (partition.high(), partition.stable(), partition.log_start());
            let refused = FetchedPartition::refused(0);
            return FetchedPartition { index, diverging: Some(diverging), high, stable, log_start, ..refused };
        }
        let (high, stable, log_start) = (partition.high(), partition.stable(), partition.log_start());
        if let Some(NodeId(preferred)) = self.preferred(&partition, asked) {
            return FetchedPartition { index, high, stable, log_start, preferred, ..FetchedPartition::default() };
        }
        match self.slice(&partition, asked, left, gathered.bytes == 0) {
            Ok((records, upto)) => {
                if !records.is_empty() && self.replica.is_none() && self.node.env.hears() {
                    let (tp, from) = (partition.tp.clone(), asked.fetch_offset);
                    gathered.served.push(Fact::Served { tp, from, upto, high });
                }
                if let Some(replica) = &self.replica {
                    gathered.urgent |= partition.told(replica.node) < high;
                    gathered.told.push((partition, high));
                }
                FetchedPartition { index, high, stable, log_start, records, ..FetchedPartition::default() }
            }
            // Who is out of range has to know where it can begin again.
            Err(error) => FetchedPartition { log_start, ..refused(error) },
        }
    }

    /// Whether this node may answer that asker, as things are.
    fn check(&self, partition: &Partition<E>, asked: &FetchPartition) -> Result<(), ResponseError> {
        partition.check_epoch(asked.current_leader_epoch)?;
        match &self.replica {
            Some(replica) => partition.check_leads().and_then(|()| replica.check(&self.node, partition)),
            None if self.may_follow(partition) => Ok(()),
            None => partition.check_leads(),
        }
    }

    /// The consumer's rack, if it tells one.
    fn rack(&self) -> Option<&str> {
        let rack = self.request.rack_id.as_str();
        (self.head.version >= FIRST_RACK && !rack.is_empty() && self.replica.is_none()).then_some(rack)
    }

    /// Whether a consumer may read from this node although it may not lead: it asks for what is near, and this node is in
    /// sync (KIP-392).
    fn may_follow(&self, partition: &Partition<E>) -> bool {
        let image = self.node.image();
        self.rack().is_some()
            && image.partition(&partition.tp).is_some_and(|state| state.in_sync.contains(&self.node.config.node_id))
    }

    /// From whom the consumer should rather read: of the in-sync replicas in its rack that have what it asks for, the one
    /// that has most (`RackAwareReplicaSelector`). `None` if the leader is as near.
    fn preferred(&self, partition: &Partition<E>, asked: &FetchPartition) -> Option<NodeId> {
        let rack = self.rack()?;
        partition.check_leads().ok()?;
        let in_range = (partition.log_start()..=partition.high()).contains(&asked.fetch_offset);
        if self.node.config.rack.as_deref() == Some(rack) || !in_range {
            return None;
        }
        let image = self.node.image();
        let near = partition.in_sync_from(asked.fetch_offset).into_iter().filter(|(node, _)| {
            image.broker(*node).is_some_and(|broker| broker.is_active() && broker.rack.as_deref() == Some(rack))
        });
        near.max_by_key(|(node, position)| (*position, std::cmp::Reverse(*node))).map(|(node, _)| node)
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
        let end = partition.with_log(|log| Ok(log.log_end())).map_err(|error| error.response())?;
        if asked.fetch_offset > end && partition.check_leads().is_err() {
            // A follower that is behind: "out of range" would send the consumer back to the beginning (KIP-392).
            return Err(ResponseError::OffsetNotAvailable);
        }
        // Isolation level 1 is read_committed. A follower sees all there is.
        let upto = match (&self.replica, self.request.isolation_level) {
            (Some(_), _) => end,
            (None, _) if planted(Defect::ReFetchAboveHw) => end,
            (None, _) if planted(Defect::ReFollowerFetchVisibleLag) && partition.check_leads().is_err() => end,
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
        partition.flow.goes(bytes);
        Ok((pieces, next))
    }

    fn check_codec(&self, records: &[u8]) -> Result<(), ResponseError> {
        let zstd = |batch: Batch<'_>| batch.header().compression() == Ok(Compression::Zstd);
        if self.head.version < FIRST_ZSTD && Batches::new(records).flatten().any(zstd) {
            return Err(ResponseError::UnsupportedCompressionType);
        }
        Ok(())
    }
}
