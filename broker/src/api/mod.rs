//! The Kafka APIs this broker serves: one table, one file each.
//!
//! A request is bounded by its layout before it is decoded. One that is malformed, or of an API or version that is not
//! in the table, ends the connection, as in Kafka; a well-formed one is answered in full, one entry for each of its.

mod allocate_producer_ids;
mod alter_configs;
mod alter_partition;
mod alter_reassignments;
mod api_versions;
mod broker_heartbeat;
mod broker_registration;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_quorum;
mod elect_leaders;
mod fetch;
mod fetch_answer;
mod fetch_metadata;
mod fetch_replica;
mod fetch_snapshot;
mod find_coordinator;
mod forward;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leader_epoch;
mod leave_group;
mod legacy_alter_configs;
mod list_groups;
mod list_offsets;
mod list_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod produce;
mod produce_request;
mod quorum_epochs;
mod raft_voters;
mod sync_group;
mod unregister_broker;
mod vote;

#[cfg(test)]
pub(crate) mod tests;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    AddRaftVoterRequest, AllocateProducerIdsRequest, AlterConfigsRequest, AlterPartitionReassignmentsRequest,
    AlterPartitionRequest, ApiVersionsRequest, BeginQuorumEpochRequest, BrokerHeartbeatRequest,
    BrokerRegistrationRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, DescribeLogDirsRequest, DescribeQuorumRequest, ElectLeadersRequest,
    EndQuorumEpochRequest, EnvelopeRequest, FetchRequest, FetchSnapshotRequest, FindCoordinatorRequest,
    HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, RemoveRaftVoterRequest,
    SyncGroupRequest, UnregisterBrokerRequest, VoteRequest,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};

use crate::config::ProcessRoles;
use crate::env::Env;
use crate::node::Node;
use crate::wire::guard::{self, Layout, RequestHead};
use crate::wire::layout;

/// What becomes of a request.
pub enum Answer {
    /// These bytes, one after another, are the framed response.
    Parts(Vec<Bytes>),
    /// There is no response (Produce with acks=0).
    Nothing,
    /// The connection ends: the request cannot be understood.
    Close,
    /// This node was not the active controller any more when it was to decide: another is to be asked, and what was decided
    /// here may be in force all the same.
    Disowned,
}

/// A request under way.
pub type Work = Pin<Box<dyn Future<Output = Answer>>>;

/// A request begun.
pub enum Started {
    /// It is done.
    Now(Answer),
    /// It goes on.
    Later {
        /// The rest of it.
        work: Work,
        /// Whether the connection's next request may begin before it is done.
        overlaps: bool,
    },
}

impl Started {
    /// Work that the connection's next request waits for.
    fn later(work: impl Future<Output = Answer> + 'static) -> Self {
        Started::Later { work: Box::pin(work), overlaps: false }
    }
}

/// One request: its head, and its frame.
pub struct Call {
    /// Key, version, correlation id.
    pub head: RequestHead,
    /// The frame without its length.
    pub frame: BytesMut,
    /// Where the body starts in it.
    pub body: usize,
}

impl Call {
    /// `client.id`, from the header; empty if there is none.
    fn client_id(&self) -> StrBytes {
        let size = self.frame.get(8..10).and_then(|size| size.try_into().ok()).map(i16::from_be_bytes);
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let text = self.frame.get(10..10 + size).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.map(|text| StrBytes::from_string(text.to_owned())).unwrap_or_default()
    }

    /// The request decoded. Its bounds were checked; what can fail now is text that is no UTF-8. Bytes after the last
    /// field are ignored, see [`bounded`].
    fn decode<R: Request>(self) -> Option<R> {
        let mut body = self.frame.freeze().split_off(self.body);
        R::decode(&mut body, self.head.version).ok()
    }
}

/// Who asks for an API, and which node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Clients' and nodes': whoever is asked answers.
    Anyones,
    /// Clients': brokers answer, and nodes that are controllers alone do not know it.
    Brokers,
    /// Clients' and nodes': what it asks for is decided by the active controller, to whom others forward it (KIP-590).
    Controllers,
    /// Between nodes only: not advertised.
    Nodes,
}

/// A row of the table.
pub struct Api<E: Env> {
    /// The API key.
    pub key: i16,
    /// The versions served.
    pub versions: VersionRange,
    /// Whose it is.
    pub whose: Whose,
    layout: &'static Layout,
    serve: fn(&Rc<Node<E>>, Call) -> Started,
    decodes: fn(Call) -> bool,
}

/// The versions that the crate decodes and encodes both: its `ApiKey::valid_versions` promises more than it can do.
const fn both<R: Request>() -> VersionRange {
    let (asked, answered) = (R::VERSIONS, <R::Response as Message>::VERSIONS);
    VersionRange {
        min: if asked.min > answered.min { asked.min } else { answered.min },
        max: if asked.max < answered.max { asked.max } else { answered.max },
    }
}

const fn row<E: Env, R: Request>(layout: &'static Layout, serve: fn(&Rc<Node<E>>, Call) -> Started) -> Api<E> {
    let decodes = |call: Call| call.decode::<R>().is_some();
    Api { key: R::KEY, versions: both::<R>(), whose: Whose::Brokers, layout, serve, decodes }
}

impl<E: Env> Api<E> {
    const fn of(self, whose: Whose) -> Self {
        Api { whose, ..self }
    }

    /// Whether a node in these roles knows it.
    fn is_of(&self, roles: ProcessRoles) -> bool {
        roles.serves() || self.whose != Whose::Brokers
    }
}

/// Produce is served from version 0, because librdkafka before 2.11.1 stops compressing if it is not advertised
/// (KAFKA-18659); versions 0 to 2 are understood and refused.
const fn produce_row<E: Env>() -> Api<E> {
    let versions = VersionRange { min: 0, max: both::<ProduceRequest>().max };
    let decodes = |call: Call| produce_request::Produce::parse(call.head, &call.frame, call.body).is_some();
    let (layout, serve) = (&layout::PRODUCE, produce::serve);
    Api { key: ProduceRequest::KEY, versions, whose: Whose::Brokers, layout, serve, decodes }
}

/// Fetch from version 18 on tells a follower's high watermark, of which nothing is known here.
const fn fetch_row<E: Env>() -> Api<E> {
    let versions = VersionRange { min: both::<FetchRequest>().min, max: 17 };
    Api { versions, ..row::<E, FetchRequest>(&layout::FETCH, fetch::serve).of(Whose::Anyones) }
}

/// OffsetCommit and OffsetFetch from version 10 on name topics by their identity only, for members of the newer protocol
/// (KIP-848).
const fn offset_commit_row<E: Env>() -> Api<E> {
    let versions = VersionRange { min: both::<OffsetCommitRequest>().min, max: 9 };
    Api { versions, ..row::<E, OffsetCommitRequest>(&layout::OFFSET_COMMIT, offset_commit::serve) }
}

const fn offset_fetch_row<E: Env>() -> Api<E> {
    let versions = VersionRange { min: both::<OffsetFetchRequest>().min, max: 9 };
    Api { versions, ..row::<E, OffsetFetchRequest>(&layout::OFFSET_FETCH, offset_fetch::serve) }
}

struct Table<E>(PhantomData<E>);

impl<E: Env> Table<E> {
    /// THE table.
    const ROWS: &'static [Api<E>] = &[
        produce_row(),
        fetch_row(),
        row::<E, ListOffsetsRequest>(&layout::LIST_OFFSETS, list_offsets::serve),
        row::<E, MetadataRequest>(&layout::METADATA, metadata::serve),
        offset_commit_row(),
        offset_fetch_row(),
        row::<E, FindCoordinatorRequest>(&layout::FIND_COORDINATOR, find_coordinator::serve),
        row::<E, JoinGroupRequest>(&layout::JOIN_GROUP, join_group::serve),
        row::<E, HeartbeatRequest>(&layout::HEARTBEAT, heartbeat::serve),
        row::<E, LeaveGroupRequest>(&layout::LEAVE_GROUP, leave_group::serve),
        row::<E, SyncGroupRequest>(&layout::SYNC_GROUP, sync_group::serve),
        row::<E, DescribeGroupsRequest>(&layout::DESCRIBE_GROUPS, describe_groups::serve),
        row::<E, ListGroupsRequest>(&layout::LIST_GROUPS, list_groups::serve),
        row::<E, ApiVersionsRequest>(&layout::API_VERSIONS, api_versions::serve).of(Whose::Anyones),
        row::<E, CreateTopicsRequest>(&layout::CREATE_TOPICS, create_topics::serve).of(Whose::Controllers),
        row::<E, DeleteTopicsRequest>(&layout::DELETE_TOPICS, delete_topics::serve).of(Whose::Controllers),
        row::<E, DeleteRecordsRequest>(&layout::DELETE_RECORDS, delete_records::serve),
        row::<E, InitProducerIdRequest>(&layout::INIT_PRODUCER_ID, init_producer_id::serve),
        row::<E, OffsetForLeaderEpochRequest>(&layout::OFFSET_FOR_LEADER_EPOCH, leader_epoch::serve),
        row::<E, DescribeConfigsRequest>(&layout::DESCRIBE_CONFIGS, describe_configs::serve).of(Whose::Anyones),
        row::<E, AlterConfigsRequest>(&layout::ALTER_CONFIGS, legacy_alter_configs::serve).of(Whose::Controllers),
        row::<E, DescribeLogDirsRequest>(&layout::DESCRIBE_LOG_DIRS, describe_log_dirs::serve),
        row::<E, CreatePartitionsRequest>(&layout::CREATE_PARTITIONS, create_partitions::serve).of(Whose::Controllers),
        row::<E, DeleteGroupsRequest>(&layout::DELETE_GROUPS, delete_groups::serve),
        row::<E, ElectLeadersRequest>(&layout::ELECT_LEADERS, elect_leaders::serve).of(Whose::Controllers),
        row::<E, IncrementalAlterConfigsRequest>(&layout::INCREMENTAL_ALTER_CONFIGS, alter_configs::serve)
            .of(Whose::Controllers),
        row::<E, AlterPartitionReassignmentsRequest>(
            &layout::ALTER_PARTITION_REASSIGNMENTS,
            alter_reassignments::serve,
        )
        .of(Whose::Controllers),
        row::<E, ListPartitionReassignmentsRequest>(&layout::LIST_PARTITION_REASSIGNMENTS, list_reassignments::serve)
            .of(Whose::Controllers),
        row::<E, OffsetDeleteRequest>(&layout::OFFSET_DELETE, offset_delete::serve),
        row::<E, VoteRequest>(&layout::VOTE, vote::serve).of(Whose::Nodes),
        row::<E, BeginQuorumEpochRequest>(&layout::BEGIN_QUORUM_EPOCH, quorum_epochs::begin).of(Whose::Nodes),
        row::<E, EndQuorumEpochRequest>(&layout::END_QUORUM_EPOCH, quorum_epochs::end).of(Whose::Nodes),
        row::<E, DescribeQuorumRequest>(&layout::DESCRIBE_QUORUM, describe_quorum::serve).of(Whose::Controllers),
        row::<E, AlterPartitionRequest>(&layout::ALTER_PARTITION, alter_partition::serve).of(Whose::Nodes),
        row::<E, EnvelopeRequest>(&layout::ENVELOPE, forward::serve).of(Whose::Nodes),
        row::<E, FetchSnapshotRequest>(&layout::FETCH_SNAPSHOT, fetch_snapshot::serve).of(Whose::Nodes),
        row::<E, DescribeClusterRequest>(&layout::DESCRIBE_CLUSTER, describe_cluster::serve).of(Whose::Anyones),
        row::<E, BrokerRegistrationRequest>(&layout::BROKER_REGISTRATION, broker_registration::serve).of(Whose::Nodes),
        row::<E, BrokerHeartbeatRequest>(&layout::BROKER_HEARTBEAT, broker_heartbeat::serve).of(Whose::Nodes),
        row::<E, UnregisterBrokerRequest>(&layout::UNREGISTER_BROKER, unregister_broker::serve).of(Whose::Controllers),
        row::<E, AllocateProducerIdsRequest>(&layout::ALLOCATE_PRODUCER_IDS, allocate_producer_ids::serve)
            .of(Whose::Nodes),
        row::<E, ConsumerGroupHeartbeatRequest>(&layout::CONSUMER_GROUP_HEARTBEAT, consumer_group_heartbeat::serve),
        row::<E, ConsumerGroupDescribeRequest>(&layout::CONSUMER_GROUP_DESCRIBE, consumer_group_describe::serve),
        row::<E, AddRaftVoterRequest>(&layout::ADD_RAFT_VOTER, raft_voters::add).of(Whose::Controllers),
        row::<E, RemoveRaftVoterRequest>(&layout::REMOVE_RAFT_VOTER, raft_voters::remove).of(Whose::Controllers),
    ];
}

/// The APIs served, by key.
pub fn table<E: Env>() -> &'static [Api<E>] {
    Table::<E>::ROWS
}

/// Begins the request in `frame`.
pub fn start<E: Env>(node: &Rc<Node<E>>, frame: BytesMut) -> Started {
    match bounded(frame) {
        Bounded::Call(api, call) if api.whose == Whose::Controllers => {
            Started::later(forward::send(node.clone(), call.frame))
        }
        Bounded::Call(api, call) if api.is_of(node.config.process_roles) => (api.serve)(node, call),
        Bounded::UnknownApiVersions(head) => api_versions::refuse(node, head),
        Bounded::Call(..) | Bounded::Nothing => Started::Now(Answer::Close),
    }
}

/// Begins the request in `frame` at this node as the active controller. `None`: it is no request that is forwarded.
fn start_as_controller<E: Env>(node: &Rc<Node<E>>, frame: BytesMut) -> Option<Started> {
    match bounded(frame) {
        Bounded::Call(api, call) if api.whose == Whose::Controllers => Some((api.serve)(node, call)),
        _ => None,
    }
}

/// The API that a frame asks; one that is too short to say asks none.
pub fn key_of(frame: &[u8]) -> i16 {
    frame.first_chunk().copied().map_or(-1, i16::from_be_bytes)
}

/// Whether the request that begins with these bytes may begin while earlier ones of its connection go on: Produce, whose
/// appends are made in order before it waits.
pub fn overlaps(frame: &[u8]) -> bool {
    frame.starts_with(&ProduceRequest::KEY.to_be_bytes())
}

/// Whether `frame` holds a request that is served: bounded, and decoded.
pub fn understands<E: Env>(frame: BytesMut) -> bool {
    match bounded::<E>(frame) {
        Bounded::Call(api, call) => (api.decodes)(call),
        Bounded::UnknownApiVersions(_) => true,
        Bounded::Nothing => false,
    }
}

enum Bounded<E: Env> {
    /// Safe to decode.
    Call(&'static Api<E>, Call),
    /// ApiVersions, the only API that is answered in versions not known.
    UnknownApiVersions(RequestHead),
    /// Not to be understood.
    Nothing,
}

/// Kafka ignores bytes after the last field, and librdkafka relies on it: up to 2.16 at least it asks for the metadata of
/// all topics (version 9 and later) with three bytes too many.
fn bounded<E: Env>(frame: BytesMut) -> Bounded<E> {
    let Some(head) = RequestHead::parse(&frame) else { return Bounded::Nothing };
    let Some(api) = table::<E>().iter().find(|api| api.key == head.key) else { return Bounded::Nothing };
    if !(api.versions.min..=api.versions.max).contains(&head.version) {
        let asks_versions = head.key == ApiVersionsRequest::KEY;
        return if asks_versions { Bounded::UnknownApiVersions(head) } else { Bounded::Nothing };
    }
    let Ok(body) = guard::body_at(api.layout, head.version, &frame) else { return Bounded::Nothing };
    match guard::check(api.layout, head.version, &frame[body..]) {
        Ok(()) | Err(guard::Refused::Trailing(_)) => Bounded::Call(api, Call { head, frame, body }),
        Err(_) => Bounded::Nothing,
    }
}

/// The framed response to a request of type `R`.
fn respond<R: Request>(head: RequestHead, response: &R::Response) -> Answer {
    respond_as::<R>(head, head.version, response)
}

/// As [`respond`], in another version of the body.
fn respond_as<R: Request>(head: RequestHead, version: i16, response: &R::Response) -> Answer {
    let mut out = begin_frame(head, <R::Response as HeaderVersion>::header_version(version) >= 1);
    // An error would be a defect here: a field was set that this version cannot carry. It must not garble the stream.
    let encoded = response.encode(&mut out, version);
    match frame_length(out.len()).filter(|_| encoded.is_ok()) {
        Some(length) => {
            out[..4].copy_from_slice(&length);
            Answer::Parts(vec![out.freeze()])
        }
        None => Answer::Close,
    }
}

/// Room for the length, then the response's header.
fn begin_frame(head: RequestHead, flexible: bool) -> BytesMut {
    let mut out = BytesMut::with_capacity(256);
    out.put_i32(0);
    out.put_i32(head.correlation);
    if flexible {
        out.put_u8(0);
    }
    out
}

/// The prefix of a frame that takes `size` bytes with it.
fn frame_length(size: usize) -> Option<[u8; 4]> {
    Some(i32::try_from(size.checked_sub(4)?).ok()?.to_be_bytes())
}
