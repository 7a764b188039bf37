//! Produce (0): appends one batch to each partition named, and answers when it is as safe as was asked for.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::produce_request::{Produce, ProduceTopic};
use super::{Answer, Call, Started, begin_frame, frame_length, respond};
use crate::controller::record::{TopicId, text};
use crate::env::{Disk, Env, Mono};
use crate::fact::Fact;
use crate::group::OFFSETS_TOPIC;
use crate::ids::{Offset, Timestamp};
use crate::log::producers::{Stored as InLog, Verdict};
use crate::node::Node;
use crate::node::partition::{AckEnd, Partition, Waits};
use crate::node::wait::Parts;
use crate::planted::{Defect, planted};
use crate::record::{Batch, Compression, Header};
use crate::replica::leader::Input;
use crate::wire::guard::RequestHead;

/// The first version the protocol crate knows, and the first in use since Kafka 0.11.
const FIRST_SERVED: i16 = 3;
/// The first version that may carry zstd (KIP-110).
const FIRST_ZSTD: i16 = 7;

/// One partition's part, appended or refused.
struct Done<E: Env> {
    index: i32,
    appended: Result<Stored<E>, ResponseError>,
}

/// A batch that was appended.
struct Stored<E: Env> {
    partition: Rc<Partition<E>>,
    base: Offset,
    last: Offset,
    /// The broker's time, if it stamped the batch.
    stamped: Timestamp,
}

/// A topic's part of a request, without its records: they need not be kept in memory until they are acknowledged.
struct Topic<E: Env> {
    /// Up to version 12.
    name: StrBytes,
    /// From version 13 on.
    id: Uuid,
    done: Vec<Done<E>>,
}

/// A request whose appends are done.
struct Pending<E: Env> {
    node: Rc<Node<E>>,
    head: RequestHead,
    acks: i16,
    deadline: Mono,
    topics: Vec<Topic<E>>,
    parts: Rc<Parts<AckEnd>>,
}

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let Call { head, mut frame, body } = call;
    let Some(request) = Produce::parse(head, &frame, body) else { return Started::Now(Answer::Close) };
    if head.version < FIRST_SERVED {
        return Started::Now(refuse_old(head, &frame, &request));
    }
    let count: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = node.env.now().after(wait);
    let parts = Parts::new((0..count).map(|_| None).collect());
    let mut at = 0;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let name = named(node, head, &frame, topic);
        let mut done = Vec::with_capacity(topic.partitions.len());
        for (index, records) in &topic.partitions {
            let batch = records.clone().map_or(&mut [][..], |range| &mut frame[range]);
            let waits = (request.acks != 0).then_some((&parts, at, deadline));
            let checked = name.clone().and_then(|name| find(node, &request, &name, *index));
            let all = request.acks == -1;
            let appended = checked.and_then(|partition| append(node, head, partition, batch, all, waits));
            if let Err(error) = &appended {
                parts.end(at, Err(*error));
            }
            done.push(Done { index: *index, appended });
            at += 1;
        }
        let name = std::str::from_utf8(&frame[topic.name.clone()]).map(text).unwrap_or_default();
        topics.push(Topic { name, id: topic.id, done });
    }
    if request.acks == 0 {
        // A client that does not listen learns of an error by losing its connection, as in Kafka.
        let failed = topics.iter().flat_map(|topic| &topic.done).any(|done| done.appended.is_err());
        return Started::Now(if failed { Answer::Close } else { Answer::Nothing });
    }
    let pending = Pending { node: node.clone(), head, acks: request.acks, deadline, topics, parts };
    Started::Later { work: Box::pin(pending.finish()), overlaps: true }
}

fn named<E: Env>(
    node: &Node<E>,
    head: RequestHead,
    frame: &[u8],
    topic: &ProduceTopic,
) -> Result<Arc<str>, ResponseError> {
    if head.version >= 13 {
        let name = node.topic_name(TopicId(topic.id)).ok_or(ResponseError::UnknownTopicId)?;
        return if *name == *OFFSETS_TOPIC { Err(ResponseError::InvalidTopicException) } else { Ok(name) };
    }
    let name = std::str::from_utf8(&frame[topic.name.clone()]).map_err(|_| ResponseError::InvalidTopicException)?;
    if name == OFFSETS_TOPIC {
        // Whoever coordinates its groups believes what it says (`ReplicaManager.appendToLocalLog` refuses it, too).
        return Err(ResponseError::InvalidTopicException);
    }
    let topic = node.image().topic(name).map(|topic| topic.name.clone());
    topic.ok_or(ResponseError::UnknownTopicOrPartition)
}

/// The partition, if it may be appended to.
fn find<E: Env>(node: &Node<E>, request: &Produce, topic: &str, index: i32) -> Result<Rc<Partition<E>>, ResponseError> {
    if !(-1..=1).contains(&request.acks) {
        return Err(ResponseError::InvalidRequiredAcks);
    }
    if request.transactional {
        // There is no transaction coordinator to have begun it.
        return Err(ResponseError::InvalidTxnState);
    }
    if node.is_stopping() {
        return Err(ResponseError::NotLeaderOrFollower);
    }
    let partition = match node.partition(topic, index) {
        Some(partition) => partition,
        None => return Err(node.not_here(topic, index)),
    };
    partition.check_leads()?;
    if request.acks == -1 {
        partition.check_in_sync()?;
    }
    Ok(partition)
}

/// Checks what the log does not, because only clients may not do it.
fn check(head: RequestHead, batch: &[u8]) -> Result<Header, ResponseError> {
    if batch.is_empty() {
        return Err(ResponseError::InvalidRecord);
    }
    let header = Header::parse(batch).map_err(|error| error.response())?;
    if batch.len() > header.size {
        // Exactly one batch for each partition since version 3 (`ProduceRequest.validateRecords`).
        return Err(ResponseError::InvalidRecord);
    }
    if head.version < FIRST_ZSTD && header.compression() == Ok(Compression::Zstd) {
        return Err(ResponseError::UnsupportedCompressionType);
    }
    if header.is_transactional() {
        return Err(ResponseError::InvalidTxnState);
    }
    Ok(header)
}

fn append<E: Env>(
    node: &Rc<Node<E>>,
    head: RequestHead,
    partition: Rc<Partition<E>>,
    batch: &mut [u8],
    all: bool,
    waits: Option<Waits<'_>>,
) -> Result<Stored<E>, ResponseError> {
    let header = check(head, batch)?;
    if planted(Defect::Canary) && node.counts_a_hundredth(u64::try_from(header.count).unwrap_or(0)) {
        return Ok(pretend(partition, &header, waits));
    }
    let (epoch, now) = (partition.epoch(), node.env.wall());
    match partition.with_log(|log| Ok(log.producers().check(&header, now))).map_err(|error| error.response())? {
        Verdict::New => {}
        Verdict::Duplicate(before) => return repeat(node, partition, batch, before, all, waits),
        Verdict::OutOfOrder => return Err(ResponseError::OutOfOrderSequenceNumber),
        Verdict::OldEpoch => return Err(ResponseError::InvalidProducerEpoch),
    }
    let appended = partition.with_log(|log| log.append_leader(batch, epoch, now)).map_err(|error| error.response())?;
    partition.state_append(node, batch, &appended);
    partition.appended(node, &appended, all, waits);
    let stamped = Header::parse(batch).is_ok_and(|header| header.is_log_append_time());
    let stamped = if stamped { now } else { -1 };
    Ok(Stored { partition, base: appended.base, last: appended.last, stamped })
}

/// A batch that is in the log already: answered with the offsets it has there, as soon as it may be acknowledged.
fn repeat<E: Env>(
    node: &Rc<Node<E>>,
    partition: Rc<Partition<E>>,
    batch: &[u8],
    before: InLog,
    all: bool,
    waits: Option<Waits<'_>>,
) -> Result<Stored<E>, ResponseError> {
    let whole = Batch::split(batch).and_then(|(batch, _)| batch.check_crc());
    whole.map_err(|error| error.response())?;
    partition.repeated(node, before.end, all, waits);
    Ok(Stored { partition, base: before.base, last: before.end, stamped: before.stamped })
}

/// The canary: acknowledges without storing.
fn pretend<E: Env>(partition: Rc<Partition<E>>, header: &Header, waits: Option<Waits<'_>>) -> Stored<E> {
    if let Some((parts, at, _)) = waits {
        parts.end(at, Ok(1));
    }
    let base = partition.with_log(|log| Ok(log.log_end())).unwrap_or(0);
    Stored { partition, base, last: base + Offset::from(header.last_offset_delta), stamped: -1 }
}

impl<E: Env> Pending<E> {
    /// Waits until every part is as safe as asked for, or its time is up, and answers.
    async fn finish(self) -> Answer {
        self.node.env.disk().settled().await;
        if !self.parts.done() {
            let left = self.deadline.since(self.node.env.now());
            if self.node.env.timeout(left, self.parts.wait()).await.is_none() {
                let all = self.topics.iter().flat_map(|topic| &topic.done);
                let stored = all.filter_map(|done| done.appended.as_ref().ok());
                stored.for_each(|stored| stored.partition.step(&self.node, Input::Tick));
            }
        }
        let mut ends = self.parts.take().into_iter();
        let topics = self.topics.iter().map(|topic| {
            let partitions = topic.done.iter().map(|done| {
                let end = ends.next().flatten().unwrap_or(Err(ResponseError::RequestTimedOut));
                self.partition(done, end)
            });
            let answer = TopicProduceResponse::default().with_partition_responses(partitions.collect());
            match self.head.version >= 13 {
                true => answer.with_topic_id(topic.id),
                false => answer.with_name(TopicName(topic.name.clone())),
            }
        });
        let response = ProduceResponse::default().with_responses(topics.collect());
        respond::<ProduceRequest>(self.head, &response)
    }

    fn partition(&self, done: &Done<E>, end: AckEnd) -> PartitionProduceResponse {
        let answer = PartitionProduceResponse::default().with_index(done.index).with_error_message(None);
        let (stored, replicas) = match (&done.appended, &end) {
            (Ok(stored), Ok(replicas)) => (stored, *replicas),
            (Err(error), _) | (_, Err(error)) => {
                return answer.with_error_code(error.code()).with_base_offset(-1);
            }
        };
        self.node.tell(|| Fact::Acked {
            tp: stored.partition.tp.clone(),
            base: stored.base,
            last: stored.last,
            acks: self.acks,
            durable: stored.partition.durable(),
            replicas,
        });
        let answer = answer.with_base_offset(stored.base).with_log_append_time_ms(stored.stamped);
        if self.head.version >= 5 { answer.with_log_start_offset(stored.partition.log_start()) } else { answer }
    }
}

/// Answers versions 0 to 2, which are advertised for old clients' sake only, with UNSUPPORTED_VERSION for each
/// partition.
fn refuse_old(head: RequestHead, frame: &[u8], request: &Produce) -> Answer {
    if request.acks == 0 {
        return Answer::Close;
    }
    let mut out = begin_frame(head, false);
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    out.put_i32(count(request.topics.len()));
    for topic in &request.topics {
        let name = &frame[topic.name.clone()];
        out.put_i16(i16::try_from(name.len()).unwrap_or(i16::MAX));
        out.put_slice(name);
        out.put_i32(count(topic.partitions.len()));
        for (index, _) in &topic.partitions {
            out.put_i32(*index);
            out.put_i16(ResponseError::UnsupportedVersion.code());
            out.put_i64(-1);
            if head.version >= 2 {
                out.put_i64(-1);
            }
        }
    }
    if head.version >= 1 {
        out.put_i32(0);
    }
    match frame_length(out.len()) {
        Some(length) => {
            out[..4].copy_from_slice(&length);
            Answer::Parts(vec![out.freeze()])
        }
        None => Answer::Close,
    }
}
