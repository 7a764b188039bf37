//! A broker of one topic that does as it is told: it fails, drops, stalls and lies by script.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, Request, StrBytes, decode_request_header_from_buffer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::fake_group::FakeGroup;
use super::world::World;

/// What the broker does with the next Produce request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Appends and answers, after so many milliseconds.
    Append(u64),
    /// Appends, then drops the connection without an answer.
    AppendAndDrop,
    /// Drops the connection.
    Drop,
    /// Appends and never answers.
    AppendAndStall,
    /// Never answers.
    Stall,
    /// Answers this error and appends nothing.
    Refuse(i16),
    /// Appends and answers this error.
    AppendAndSay(i16),
}

/// The broker. It has one topic, `t`.
pub struct Fake {
    world: World,
    pub partitions: Cell<i32>,
    /// Who leads every partition: node 1 at [`ADDR`], or node 2 at [`OTHER`].
    pub leader: Cell<i32>,
    /// Knows ApiVersions only in version 0.
    pub is_old: Cell<bool>,
    /// Answers with correlation ids that nobody asked for.
    pub lies: Cell<bool>,
    /// For each partition its batches with their base offsets.
    pub logs: RefCell<BTreeMap<i32, Vec<(i64, Bytes)>>>,
    pub script: RefCell<VecDeque<Act>>,
    pub log_start: Cell<i64>,
    /// The epoch of the leader, which it puts in batches too, and answers about epochs: (epoch, end).
    pub epoch: Cell<i32>,
    pub epoch_end: Cell<(i32, i64)>,
    pub asked_epochs: Cell<usize>,
    /// The error to answer to every fetch.
    pub answer_fetch: Cell<i16>,
    pub produced: Cell<usize>,
    pub fetched: Cell<usize>,
    pub connections: Cell<usize>,
    /// Connections whose client has not gone.
    pub alive: Cell<usize>,
    pub asked_metadata: Cell<usize>,
    /// The group that it coordinates.
    pub group: Rc<FakeGroup>,
    /// Produce requests that came and were not answered yet, and the most of them at once.
    pub open: Cell<usize>,
    pub most_open: Cell<usize>,
}

pub const ADDR: &str = "n1:9092";
pub const OTHER: &str = "n2:9092";

const NOT_LEADER: i16 = 6;
const FENCED: i16 = 74;
const UNSUPPORTED_VERSION: i16 = 35;

impl Fake {
    /// A broker of `partitions` partitions that answers at [`ADDR`].
    pub fn start(world: &World, partitions: i32) -> Rc<Self> {
        let fake = Rc::new(Self {
            world: world.clone(),
            partitions: Cell::new(partitions),
            leader: Cell::new(1),
            is_old: Cell::new(false),
            lies: Cell::new(false),
            logs: RefCell::default(),
            script: RefCell::default(),
            log_start: Cell::new(0),
            epoch: Cell::new(3),
            epoch_end: Cell::new((3, i64::MAX)),
            asked_epochs: Cell::new(0),
            answer_fetch: Cell::new(0),
            produced: Cell::new(0),
            fetched: Cell::new(0),
            connections: Cell::new(0),
            alive: Cell::new(0),
            asked_metadata: Cell::new(0),
            group: FakeGroup::new(world),
            open: Cell::new(0),
            most_open: Cell::new(0),
        });
        for (node, addr) in [(1, ADDR), (2, OTHER)] {
            let serving = fake.clone();
            world.serve(addr, move |stream| {
                serving.connections.set(serving.connections.get() + 1);
                serving.world.spawn("fake broker", serving.clone().connection(stream, node));
            });
        }
        fake
    }

    pub fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.borrow_mut().extend(acts);
    }

    /// Reads requests as they come, and answers them one after another.
    async fn connection(self: Rc<Self>, stream: DuplexStream, node: i32) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (came, mut next) = tokio::sync::mpsc::unbounded_channel();
        let fake = self.clone();
        self.alive.set(self.alive.get() + 1);
        self.world.spawn("fake reader", async move {
            while let Ok(length) = reader.read_i32().await {
                let mut frame = vec![0; usize::try_from(length).unwrap()];
                if reader.read_exact(&mut frame).await.is_err() {
                    break;
                }
                let mut frame = Bytes::from(frame);
                let header = decode_request_header_from_buffer(&mut frame).unwrap();
                let open = fake.open.get() + usize::from(header.request_api_key == ProduceRequest::KEY);
                fake.open.set(open);
                fake.most_open.set(fake.most_open.get().max(open));
                if came.send((header, frame)).is_err() {
                    break;
                }
            }
            fake.alive.set(fake.alive.get() - 1);
        });
        while let Some((header, frame)) = next.recv().await {
            let Some(out) = self.answer(&header, frame, node).await else { break };
            if writer.write_all(&out).await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
    }

    /// The answer's frame, empty if there is none; `None` to drop the connection.
    async fn answer(&self, header: &RequestHeader, mut frame: Bytes, node: i32) -> Option<BytesMut> {
        let (version, mut out) = (header.request_api_version, BytesMut::new());
        let leads = self.leader.get() == node;
        match header.request_api_key {
            ApiVersionsRequest::KEY if self.is_old.get() && version > 0 => {
                let header = header.clone().with_request_api_version(0);
                answer::<ApiVersionsRequest>(&header, &versions().with_error_code(UNSUPPORTED_VERSION), &mut out);
            }
            ApiVersionsRequest::KEY => answer::<ApiVersionsRequest>(header, &versions(), &mut out),
            MetadataRequest::KEY => answer::<MetadataRequest>(header, &self.metadata(), &mut out),
            FetchRequest::KEY => {
                let said = self.fetch(FetchRequest::decode(&mut frame, version).unwrap(), leads).await;
                answer::<FetchRequest>(header, &said, &mut out);
            }
            ListOffsetsRequest::KEY => {
                let said = self.list(&ListOffsetsRequest::decode(&mut frame, version).unwrap());
                answer::<ListOffsetsRequest>(header, &said, &mut out);
            }
            ProduceRequest::KEY => {
                let request = ProduceRequest::decode(&mut frame, version).unwrap();
                let acks = request.acks;
                let said = self.produce(request, leads).await?;
                self.open.set(self.open.get() - 1);
                if acks != 0 {
                    answer::<ProduceRequest>(header, &said, &mut out);
                }
            }
            OffsetForLeaderEpochRequest::KEY => {
                self.asked_epochs.set(self.asked_epochs.get() + 1);
                let (epoch, end) = self.epoch_end.get();
                let part = EpochEndOffset::default().with_partition(0).with_leader_epoch(epoch).with_end_offset(end);
                let topic = OffsetForLeaderTopicResult::default().with_partitions(vec![part]);
                let topic = topic.with_topic(TopicName(StrBytes::from_static_str("t")));
                let said = OffsetForLeaderEpochResponse::default().with_topics(vec![topic]);
                answer::<OffsetForLeaderEpochRequest>(header, &said, &mut out);
            }
            key if FakeGroup::knows(key) => self.group.answer(header, frame, &mut out).await,
            other => panic!("the fake broker does not know API {other}"),
        }
        if self.lies.get() && header.request_api_key == ProduceRequest::KEY {
            out[4..8].copy_from_slice(&(header.correlation_id + 1).to_be_bytes());
        }
        Some(out)
    }

    async fn produce(&self, request: ProduceRequest, leads: bool) -> Option<ProduceResponse> {
        self.produced.set(self.produced.get() + 1);
        let act = match leads {
            true => self.script.borrow_mut().pop_front().unwrap_or(Act::Append(1)),
            false => Act::Refuse(NOT_LEADER),
        };
        let code = match act {
            Act::Drop => return None,
            Act::Stall => std::future::pending().await,
            Act::Refuse(code) | Act::AppendAndSay(code) => code,
            Act::Append(ms) => {
                self.world.sleep(Duration::from_millis(ms)).await;
                0
            }
            Act::AppendAndDrop | Act::AppendAndStall => 0,
        };
        let append = !matches!(act, Act::Refuse(_));
        let topics = request.topic_data.into_iter().map(|topic| {
            let parts = topic.partition_data.into_iter().map(|part| {
                let base = if append { self.append(part.index, part.records.unwrap()) } else { -1 };
                let base = if code == 0 { base } else { -1 };
                PartitionProduceResponse::default().with_index(part.index).with_error_code(code).with_base_offset(base)
            });
            let parts = parts.collect();
            TopicProduceResponse::default().with_name(topic.name).with_partition_responses(parts)
        });
        let said = ProduceResponse::default().with_responses(topics.collect());
        match act {
            Act::AppendAndDrop => None,
            Act::AppendAndStall => std::future::pending().await,
            _ => Some(said),
        }
    }

    /// Appends a batch as a broker does: base offset and leader epoch set in place.
    fn append(&self, partition: i32, batch: Bytes) -> i64 {
        let mut logs = self.logs.borrow_mut();
        let log = logs.entry(partition).or_default();
        let base = log.last().map_or(0, |(base, batch)| base + count(batch));
        let mut batch = BytesMut::from(batch);
        batch[..8].copy_from_slice(&base.to_be_bytes());
        batch[12..16].copy_from_slice(&self.epoch.get().to_be_bytes());
        log.push((base, batch.freeze()));
        base
    }

    async fn fetch(&self, request: FetchRequest, leads: bool) -> FetchResponse {
        self.fetched.set(self.fetched.get() + 1);
        let mut empty = true;
        let topics = request.topics.iter().map(|topic| {
            let parts = topic.partitions.iter().map(|part| {
                let part = match leads {
                    true if part.current_leader_epoch < self.epoch.get() => {
                        PartitionData::default().with_partition_index(part.partition).with_error_code(FENCED)
                    }
                    true => self.fetch_part(part.partition, part.fetch_offset),
                    false => PartitionData::default().with_partition_index(part.partition).with_error_code(NOT_LEADER),
                };
                empty &= part.error_code == 0 && part.records.as_ref().is_none_or(Bytes::is_empty);
                part
            });
            FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_partitions(parts.collect())
        });
        let said = FetchResponse::default().with_responses(topics.collect());
        if empty {
            self.world.sleep(Duration::from_millis(request.max_wait_ms.unsigned_abs().into())).await;
        }
        said
    }

    fn fetch_part(&self, partition: i32, from: i64) -> PartitionData {
        let logs = self.logs.borrow();
        let log = logs.get(&partition).map_or(&[][..], |log| &log[..]);
        let end = log.last().map_or(0, |(base, batch)| base + count(batch));
        let said = PartitionData::default().with_partition_index(partition).with_high_watermark(end);
        if self.answer_fetch.get() != 0 {
            return said.with_error_code(self.answer_fetch.get());
        }
        if from > end || from < self.log_start.get() {
            return said.with_error_code(1).with_log_start_offset(self.log_start.get());
        }
        let mut records = BytesMut::new();
        for (_, batch) in log.iter().filter(|(base, batch)| base + count(batch) > from) {
            records.put_slice(batch);
        }
        said.with_log_start_offset(self.log_start.get()).with_records(Some(records.freeze()))
    }

    fn list(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = request.topics.iter().map(|topic| {
            let parts = topic.partitions.iter().map(|part| {
                let end = self.fetch_part(part.partition_index, self.log_start.get()).high_watermark;
                let offset = if part.timestamp == -2 { self.log_start.get() } else { end };
                let part = ListOffsetsPartitionResponse::default().with_partition_index(part.partition_index);
                part.with_offset(offset).with_timestamp(-1)
            });
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(parts.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    fn metadata(&self) -> MetadataResponse {
        self.asked_metadata.set(self.asked_metadata.get() + 1);
        let broker = |id, host| {
            let host = StrBytes::from_static_str(host);
            MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(9092)
        };
        let brokers = vec![broker(1, "n1"), broker(2, "n2")];
        let partition = |at| {
            let part = MetadataResponsePartition::default().with_partition_index(at);
            part.with_leader_id(BrokerId(self.leader.get())).with_leader_epoch(self.epoch.get())
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
            .with_partitions((0..self.partitions.get()).map(partition).collect());
        let said = MetadataResponse::default().with_brokers(brokers).with_controller_id(BrokerId(1));
        said.with_topics(vec![topic])
    }

    /// Every stored value of a partition, in order.
    pub fn values(&self, partition: i32) -> Vec<Vec<u8>> {
        let logs = self.logs.borrow();
        let batches = logs.get(&partition).into_iter().flatten();
        let records = batches.flat_map(|(_, batch)| super::super::fetched::read(batch, 0).records);
        records.map(|record| record.value.unwrap().to_vec()).collect()
    }
}

/// Records in a batch.
fn count(batch: &Bytes) -> i64 {
    i64::from((&batch[57..61]).get_i32())
}

fn versions() -> ApiVersionsResponse {
    let api = |(key, min, max)| ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max);
    let plain = [(0, 3, 11), (1, 4, 12), (2, 1, 7), (3, 0, 12), (18, 0, 3)];
    let group = [(8, 2, 9), (9, 1, 9), (10, 0, 4), (11, 0, 9), (12, 0, 4), (13, 0, 5), (14, 0, 5), (23, 2, 4)];
    let keys = plain.into_iter().chain(group);
    ApiVersionsResponse::default().with_api_keys(keys.map(api).collect())
}

pub fn answer<R: Request>(header: &RequestHeader, said: &R::Response, out: &mut BytesMut) {
    let version = header.request_api_version;
    out.put_i32(0);
    let head = ResponseHeader::default().with_correlation_id(header.correlation_id);
    head.encode(out, <R::Response as HeaderVersion>::header_version(version)).unwrap();
    said.encode(out, version).unwrap();
    let length = i32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_be_bytes());
}
