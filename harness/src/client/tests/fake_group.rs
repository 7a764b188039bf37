//! The group that the scripted broker coordinates: the plain coordinator of the membership's tests, spoken to in bytes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use broker::env::Env;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{OffsetFetchResponsePartition, OffsetFetchResponseTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Request, StrBytes};
use tokio::sync::oneshot;

use super::fake::answer;
use super::ms;
use super::world::World;
use crate::client::group::assign::Assignor;
use crate::client::group::member::tests::coordinator::{Ask, Coordinator};
use crate::client::group::member::words::{Answer, Joined};

/// The group.
pub struct FakeGroup {
    world: World,
    pub coordinator: RefCell<Coordinator>,
    waiting: RefCell<BTreeMap<u64, oneshot::Sender<Answer>>>,
    asked: Cell<u64>,
    /// By partition of topic `t`.
    pub committed: RefCell<BTreeMap<i32, i64>>,
    /// The leader epoch that it says was committed with each.
    pub committed_epoch: Cell<i32>,
    /// Every commit accepted: partition, offset.
    pub commits: RefCell<Vec<(i32, i64)>>,
    /// The codes to answer to the next commits and offset fetches, without doing anything.
    pub refuse_commits: RefCell<VecDeque<i16>>,
    pub refuse_fetches: RefCell<VecDeque<i16>>,
}

impl FakeGroup {
    pub fn new(world: &World) -> Rc<Self> {
        Rc::new(Self {
            world: world.clone(),
            coordinator: RefCell::new(Coordinator::new()),
            waiting: RefCell::default(),
            asked: Cell::new(0),
            committed: RefCell::default(),
            committed_epoch: Cell::new(-1),
            commits: RefCell::default(),
            refuse_commits: RefCell::default(),
            refuse_fetches: RefCell::default(),
        })
    }

    pub fn knows(key: i16) -> bool {
        (8..=14).contains(&key)
    }

    pub async fn answer(self: &Rc<Self>, header: &RequestHeader, mut frame: Bytes, out: &mut BytesMut) {
        let (version, from) = (header.request_api_version, &mut frame);
        match header.request_api_key {
            FindCoordinatorRequest::KEY => {
                let Answer::Found(code) = self.ask(Ask::Find).await else { panic!() };
                let said = FindCoordinatorResponse::default().with_error_code(code).with_node_id(BrokerId(1));
                let said = said.with_host(StrBytes::from_static_str("n1")).with_port(9092);
                answer::<FindCoordinatorRequest>(header, &said, out);
            }
            JoinGroupRequest::KEY => {
                let said = self.join(JoinGroupRequest::decode(from, version).unwrap()).await;
                answer::<JoinGroupRequest>(header, &said, out);
            }
            SyncGroupRequest::KEY => {
                let asked = SyncGroupRequest::decode(from, version).unwrap();
                let plan = asked.assignments.into_iter().map(|a| (a.member_id.as_str().into(), a.assignment));
                let ask = Ask::Sync(asked.member_id.as_str().into(), asked.generation_id, plan.collect());
                let Answer::Synced(code, assignment) = self.ask(ask).await else { panic!() };
                let said = SyncGroupResponse::default().with_error_code(code).with_assignment(assignment);
                answer::<SyncGroupRequest>(header, &said, out);
            }
            HeartbeatRequest::KEY => {
                let asked = HeartbeatRequest::decode(from, version).unwrap();
                let ask = Ask::Beat(asked.member_id.as_str().into(), asked.generation_id);
                let Answer::Beat(code) = self.ask(ask).await else { panic!() };
                answer::<HeartbeatRequest>(header, &HeartbeatResponse::default().with_error_code(code), out);
            }
            LeaveGroupRequest::KEY => {
                let asked = LeaveGroupRequest::decode(from, version).unwrap();
                let ask = Ask::Leave(asked.members[0].member_id.as_str().into());
                self.coordinator.borrow_mut().ask(self.world.ms(), (0, 0, 0), ask);
                answer::<LeaveGroupRequest>(header, &LeaveGroupResponse::default(), out);
            }
            OffsetCommitRequest::KEY => {
                let said = self.commit(OffsetCommitRequest::decode(from, version).unwrap());
                answer::<OffsetCommitRequest>(header, &said, out);
            }
            _ => {
                let said = self.fetch(OffsetFetchRequest::decode(from, version).unwrap());
                answer::<OffsetFetchRequest>(header, &said, out);
            }
        }
    }

    async fn ask(self: &Rc<Self>, ask: Ask) -> Answer {
        let ticket = self.asked.get() + 1;
        if self.asked.replace(ticket) == 0 {
            self.world.spawn("fake group", self.clone().tell_time());
        }
        let (sender, answered) = oneshot::channel();
        self.waiting.borrow_mut().insert(ticket, sender);
        self.coordinator.borrow_mut().ask(self.world.ms(), (0, 0, ticket), ask);
        self.hand_out();
        answered.await.unwrap()
    }

    async fn tell_time(self: Rc<Self>) {
        loop {
            self.world.sleep(ms(10)).await;
            self.coordinator.borrow_mut().tick(self.world.ms());
            self.hand_out();
        }
    }

    fn hand_out(&self) {
        for ((.., ticket), said) in std::mem::take(&mut self.coordinator.borrow_mut().answers) {
            if let Some(waiting) = self.waiting.borrow_mut().remove(&ticket) {
                // Whoever has gone does not want it.
                let _ = waiting.send(said);
            }
        }
    }

    async fn join(self: &Rc<Self>, asked: JoinGroupRequest) -> JoinGroupResponse {
        let protocol = &asked.protocols[0];
        let name = Assignor::named(&protocol.name).unwrap().name();
        let ask = Ask::Join(asked.member_id.as_str().into(), name, protocol.metadata.clone());
        let Answer::Joined(joined) = self.ask(ask).await else { panic!() };
        let Joined { code, generation, protocol, leader, member_id, members, .. } = *joined;
        let text = StrBytes::from_string;
        let member = |m: crate::client::group::member::words::Told| {
            JoinGroupResponseMember::default().with_member_id(text(m.id)).with_metadata(m.metadata)
        };
        JoinGroupResponse::default()
            .with_error_code(code)
            .with_generation_id(generation)
            .with_protocol_name(Some(text(protocol)))
            .with_leader(text(leader))
            .with_member_id(text(member_id))
            .with_members(members.into_iter().map(member).collect())
    }

    fn commit(&self, asked: OffsetCommitRequest) -> OffsetCommitResponse {
        let generation = asked.generation_id_or_member_epoch;
        let refused = self.refuse_commits.borrow_mut().pop_front();
        let check = || self.coordinator.borrow_mut().check(self.world.ms(), &asked.member_id, generation);
        let code = refused.unwrap_or_else(check);
        let topics = asked.topics.iter().map(|topic| {
            let parts = topic.partitions.iter().map(|part| {
                if code == 0 {
                    self.committed.borrow_mut().insert(part.partition_index, part.committed_offset);
                    self.commits.borrow_mut().push((part.partition_index, part.committed_offset));
                }
                let said = OffsetCommitResponsePartition::default().with_partition_index(part.partition_index);
                said.with_error_code(code)
            });
            OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(parts.collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    fn fetch(&self, asked: OffsetFetchRequest) -> OffsetFetchResponse {
        if let Some(code) = self.refuse_fetches.borrow_mut().pop_front() {
            return OffsetFetchResponse::default().with_error_code(code);
        }
        let topics = asked.topics.unwrap().into_iter().map(|topic| {
            let parts = topic.partition_indexes.iter().map(|index| {
                let offset = self.committed.borrow().get(index).copied().unwrap_or(-1);
                let part = OffsetFetchResponsePartition::default().with_partition_index(*index);
                part.with_committed_offset(offset).with_committed_leader_epoch(self.committed_epoch.get())
            });
            OffsetFetchResponseTopic::default().with_name(topic.name.clone()).with_partitions(parts.collect())
        });
        OffsetFetchResponse::default().with_topics(topics.collect())
    }
}
