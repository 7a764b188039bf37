//! Asking the active controller: in this process if it is here, else over the network.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::broker_registration_request::Listener;
use kafka_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use kafka_protocol::messages::{
    AllocateProducerIdsRequest, AlterPartitionRequest, BrokerHeartbeatRequest, BrokerId, BrokerRegistrationRequest,
};
use kafka_protocol::protocol::{Request as Message, StrBytes};

use super::Node;
use crate::controller::record::text;
use crate::controller::{Altered, Answer, Request};
use crate::env::Env;
use crate::ids::NodeId;

/// How long an answer is waited for, beside what the network itself gives up after.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kafka's name for the listener that nodes use among themselves.
const LISTENER: StrBytes = StrBytes::from_static_str("PLAINTEXT");

impl<E: Env> Node<E> {
    /// What the active controller answers to a broker's request. NOT_CONTROLLER: there is none that can be reached now.
    pub async fn ask_controller(self: &Rc<Self>, request: Request) -> Result<Answer, ResponseError> {
        if self.raft.is_active() {
            return self.raft.decide(request).await;
        }
        let Some(leader) = self.raft.leader().filter(|leader| *leader != self.config.node_id) else {
            return Err(ResponseError::NotController);
        };
        match request {
            Request::Register { .. } => self.ask_register(leader, request).await,
            Request::Heartbeat { .. } => self.ask_heartbeat(leader, request).await,
            Request::AlterPartition { .. } => self.ask_alter(leader, request).await,
            Request::AllocateProducerIds { .. } => self.ask_ids(leader, request).await,
            // Those are clients' requests, forwarded as they came.
            _ => Err(ResponseError::NotController),
        }
    }

    async fn call<R: Message>(&self, leader: NodeId, request: R) -> Result<R::Response, ResponseError> {
        let answer = self.peers.call(leader, request, PATIENCE).await;
        answer.map_err(|_| ResponseError::NotController)
    }

    async fn ask_register(&self, leader: NodeId, request: Request) -> Result<Answer, ResponseError> {
        let Request::Register { node, incarnation, host, port, rack, previous } = request else {
            return Err(ResponseError::UnknownServerError);
        };
        let listener = Listener::default().with_name(LISTENER).with_host(text(&host)).with_port(port);
        let message = BrokerRegistrationRequest::default()
            .with_broker_id(BrokerId(node.0))
            .with_cluster_id(text(&self.config.cluster_id))
            .with_incarnation_id(incarnation)
            .with_listeners(vec![listener])
            .with_rack(rack.as_deref().map(text))
            .with_previous_broker_epoch(previous);
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        Ok(Answer::Registered { epoch: answer.broker_epoch })
    }

    async fn ask_heartbeat(&self, leader: NodeId, request: Request) -> Result<Answer, ResponseError> {
        let Request::Heartbeat { node, epoch, metadata_offset, want_fence, want_shutdown } = request else {
            return Err(ResponseError::UnknownServerError);
        };
        let message = BrokerHeartbeatRequest::default()
            .with_broker_id(BrokerId(node.0))
            .with_broker_epoch(epoch)
            .with_current_metadata_offset(metadata_offset)
            .with_want_fence(want_fence)
            .with_want_shut_down(want_shutdown);
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        let (caught_up, fenced, shut_down) = (answer.is_caught_up, answer.is_fenced, answer.should_shut_down);
        Ok(Answer::Heartbeat { caught_up, fenced, shut_down })
    }

    async fn ask_alter(&self, leader: NodeId, request: Request) -> Result<Answer, ResponseError> {
        let Request::AlterPartition { node, epoch, topic, partition, leader_epoch, partition_epoch, in_sync } = request
        else {
            return Err(ResponseError::UnknownServerError);
        };
        let brokers = in_sync.iter().map(|(node, epoch)| {
            BrokerState::default().with_broker_id(BrokerId(node.0)).with_broker_epoch(*epoch)
        });
        let asked = PartitionData::default()
            .with_partition_index(partition)
            .with_leader_epoch(leader_epoch)
            .with_partition_epoch(partition_epoch)
            .with_new_isr_with_epochs(brokers.collect());
        let message = AlterPartitionRequest::default()
            .with_broker_id(BrokerId(node.0))
            .with_broker_epoch(epoch)
            .with_topics(vec![TopicData::default().with_topic_id(topic.0).with_partitions(vec![asked])]);
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        let altered = answer.topics.first().and_then(|topic| topic.partitions.first());
        let Some(altered) = altered else { return Err(ResponseError::UnknownServerError) };
        refused(altered.error_code)?;
        Ok(Answer::Altered(Altered {
            leader: Some(NodeId(altered.leader_id.0)).filter(|leader| leader.0 >= 0),
            leader_epoch: altered.leader_epoch,
            in_sync: altered.isr.iter().map(|id| NodeId(id.0)).collect(),
            partition_epoch: altered.partition_epoch,
        }))
    }

    async fn ask_ids(&self, leader: NodeId, request: Request) -> Result<Answer, ResponseError> {
        let Request::AllocateProducerIds { node, epoch } = request else {
            return Err(ResponseError::UnknownServerError);
        };
        let message = AllocateProducerIdsRequest::default().with_broker_id(BrokerId(node.0)).with_broker_epoch(epoch);
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        Ok(Answer::ProducerIds { first: answer.producer_id_start.0, count: answer.producer_id_len })
    }
}

fn refused(code: i16) -> Result<(), ResponseError> {
    ResponseError::try_from_code(code).map_or(Ok(()), Err)
}
