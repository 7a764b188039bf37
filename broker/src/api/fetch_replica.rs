//! What a leader asks of a follower's fetch, and learns from it: the follower is a replica, the process it claims to be,
//! its log is a part of the leader's, and it has everything below the offset it asks for (KIP-595, KIP-903).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};

use super::fetch_answer::FetchedTopic;
use crate::controller::record::TopicId;
use crate::env::Env;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset};
use crate::node::Node;
use crate::node::partition::Partition;
use crate::planted::{Defect, planted};
use crate::replica::fetch_session::{Answering, Ask, Key, NoSession};
use crate::replica::leader::Input;
use crate::wire::guard::RequestHead;

/// The first version in which followers tell their registration (KIP-903). Those of this house speak it.
const FIRST: i16 = 15;
/// The first version with fetch sessions.
const FIRST_SESSION: i16 = 7;

/// A follower that fetches.
pub(super) struct Replica {
    /// Who.
    pub node: NodeId,
    /// Its registration.
    epoch: BrokerEpoch,
    /// Whether it may be in sync: that registration is in force, not fenced, and not about to end (KIP-841).
    eligible: bool,
}

impl Replica {
    /// Who sends this request, unless it is a consumer.
    pub fn of<E: Env>(node: &Node<E>, head: RequestHead, request: &FetchRequest) -> Option<Self> {
        let state = &request.replica_state;
        if head.version < FIRST || state.replica_id.0 < 0 {
            return None;
        }
        let replica = NodeId(state.replica_id.0);
        let image = node.image();
        let present = image.broker(replica).filter(|_| planted(Defect::ReStaleFetchIsr));
        let epoch = present.map_or(state.replica_epoch, |broker| broker.epoch);
        let eligible = image.broker(replica).is_some_and(|broker| broker.is_active() && broker.epoch == epoch);
        Some(Self { node: replica, epoch, eligible })
    }

    /// Whether it may fetch that partition.
    pub fn check<E: Env>(&self, node: &Node<E>, partition: &Partition<E>) -> Result<(), ResponseError> {
        let image = node.image();
        if !image.partition(&partition.tp).is_some_and(|state| state.replicas.contains(&self.node)) {
            // One of the two does not know yet where the replicas are.
            return Err(ResponseError::UnknownLeaderEpoch);
        }
        // A process that was replaced by another since says nothing of what that one has (KIP-903).
        let replaced = image.broker(self.node).is_some_and(|broker| self.epoch < broker.epoch);
        if replaced { Err(ResponseError::StaleBrokerEpoch) } else { Ok(()) }
    }

    /// Where its log parts from the leader's: it has an epoch that ended earlier here, or never was here.
    pub fn diverging<E: Env>(&self, partition: &Partition<E>, asked: &FetchPartition) -> Option<(LeaderEpoch, Offset)> {
        let last = asked.last_fetched_epoch;
        if last < 0 || planted(Defect::ReHwDivergence) {
            return None;
        }
        let (epoch, end, empty) = partition
            .with_log(|log| {
                let (epoch, end) = log.end_at_most(last);
                Ok((epoch, end, log.log_start() == log.log_end()))
            })
            .ok()?;
        if empty && end == asked.fetch_offset {
            // All of it was removed, and with it what its epochs were; the follower's ends at the same place.
            return None;
        }
        let epoch = if planted(Defect::ReFastFailoverDivergence) { last } else { epoch };
        (epoch < last || end < asked.fetch_offset).then_some((epoch, end))
    }

    /// Tells the leader how far the follower is. One whose log parts from the leader's is nowhere (KAFKA-13141), and so
    /// is one that asks for what is not there.
    pub fn note_position<E: Env>(&self, node: &Rc<Node<E>>, partition: &Rc<Partition<E>>, asked: &FetchPartition) {
        let offset = asked.fetch_offset;
        if node.image().broker(self.node).is_none_or(|broker| broker.epoch != self.epoch) {
            // Of a registration that is not known, or not yet: were it believed, that of the true follower might not be.
            return;
        }
        let known = partition.check_epoch(asked.current_leader_epoch).and_then(|()| self.check(node, partition));
        let within = partition.with_log(|log| Ok((log.log_start()..=log.log_end()).contains(&offset)));
        let parts = self.diverging(partition, asked).is_some() && !planted(Defect::ReDivergingFetchUpdatesState);
        if known.is_ok() && matches!(within, Ok(true)) && !parts {
            let (follower, epoch, eligible) = (self.node, self.epoch, self.eligible);
            partition.note_begin(follower, asked.log_start_offset);
            partition.step(node, Input::Fetched { follower, epoch, offset, eligible });
        }
    }
}

/// The fetch session a request is of. Only followers have any: for consumers it is legal to decline them all (KIP-227).
#[derive(Default)]
pub(super) struct Session {
    /// Its id; 0: none.
    pub id: i32,
    of: Option<NodeId>,
    /// The answer holds news only.
    goes_on: bool,
}

impl Session {
    /// Finds or begins the session that a request asks for, and completes the request to all that is asked for with it.
    pub fn of<E: Env>(
        node: &Node<E>,
        replica: Option<&Replica>,
        head: RequestHead,
        request: &mut FetchRequest,
    ) -> Result<Self, ResponseError> {
        if head.version < FIRST_SESSION {
            return Ok(Self::default());
        }
        let epoch = request.session_epoch;
        let known = replica.map(|replica| replica.node).filter(|replica| node.image().broker(*replica).is_some());
        let Some(of) = known else {
            return if matches!(epoch, 0 | -1) {
                Ok(Self::default())
            } else {
                Err(ResponseError::FetchSessionIdNotFound)
            };
        };
        let mut sessions = node.fetch_sessions.borrow_mut();
        if matches!(epoch, 0 | -1) {
            sessions.remove(&of);
            let id = i32::try_from(node.env.draw() >> 33).unwrap_or(0).max(1);
            let begun = if epoch == 0 { Answering::begin(id, asked(&request.topics)) } else { None };
            let Some(begun) = begun else { return Ok(Self::default()) };
            sessions.insert(of, begun);
            return Ok(Self { id, of: Some(of), goes_on: false });
        }
        let session = sessions.get_mut(&of).ok_or(ResponseError::FetchSessionIdNotFound)?;
        let forgotten = request.forgotten_topics_data.iter();
        let forgotten =
            forgotten.flat_map(|topic| topic.partitions.iter().map(|number| (TopicId(topic.topic_id), *number)));
        let (news, forgotten) = (asked(&request.topics), forgotten.collect());
        session.go_on(Ask { id: request.session_id, epoch, news, forgotten }).map_err(|error| match error {
            NoSession::Unknown => ResponseError::FetchSessionIdNotFound,
            NoSession::Epoch => ResponseError::InvalidFetchSessionEpoch,
        })?;
        request.topics = topics(session);
        Ok(Self { id: session.id(), of: Some(of), goes_on: true })
    }

    /// Leaves out what is no news to the follower. An answer to one that has begun another session since is left whole.
    pub fn leave_news<E: Env>(&self, node: &Node<E>, topics: &mut Vec<FetchedTopic>) {
        let mut sessions = node.fetch_sessions.borrow_mut();
        let Some(session) = self.of.and_then(|of| sessions.get_mut(&of)).filter(|session| session.id() == self.id)
        else {
            return;
        };
        for topic in topics.iter_mut() {
            let id = TopicId(topic.id);
            topic.partitions.retain(|fetched| {
                // A follower that has to cut its log first does not take them in.
                let taken_in = fetched.error == 0 && fetched.diverging.is_none();
                let marks = taken_in.then_some((fetched.high, fetched.log_start));
                if !fetched.records.is_empty() {
                    session.serves((id, fetched.index));
                }
                let more = !fetched.records.is_empty() || fetched.diverging.is_some();
                session.tells((id, fetched.index), marks, more) || !self.goes_on
            });
        }
        topics.retain(|topic| !topic.partitions.is_empty());
    }
}

fn asked(topics: &[FetchTopic]) -> Vec<(Key, FetchPartition)> {
    let all = topics.iter().flat_map(|topic| topic.partitions.iter().map(|asked| (TopicId(topic.topic_id), asked)));
    all.map(|(topic, asked)| ((topic, asked.partition), asked.clone())).collect()
}

fn topics(session: &Answering<FetchPartition>) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for ((topic, _), asked) in session.asked() {
        match topics.last_mut().filter(|last| last.topic_id == topic.0) {
            Some(last) => last.partitions.push(asked.clone()),
            None => topics.push(FetchTopic::default().with_topic_id(topic.0).with_partitions(vec![asked.clone()])),
        }
    }
    topics
}
