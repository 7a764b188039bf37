//! Asking the active controller: in this process if it is here, else over the network.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use kafka_protocol::messages::broker_registration_request::Listener;
use kafka_protocol::messages::{
    AllocateProducerIdsRequest, AlterPartitionRequest, BrokerHeartbeatRequest, BrokerId, BrokerRegistrationRequest,
};
use kafka_protocol::protocol::{Request as Message, StrBytes};

use super::Node;
use crate::controller::partition::PartitionState;
use crate::controller::record::text;
use crate::controller::request::{AlterPartition, Answer, Heartbeat, Registration, Request};
use crate::env::Env;
use crate::ids::{BrokerEpoch, NodeId};

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
            Request::Register(asked) => self.ask_register(leader, asked).await,
            Request::Heartbeat(asked) => self.ask_heartbeat(leader, asked).await,
            Request::AlterPartitions { node, epoch, partitions } => {
                self.ask_alter(leader, node, epoch, &partitions).await
            }
            Request::AllocateProducerIds { node, epoch } => self.ask_ids(leader, node, epoch).await,
            // Those are clients' requests, forwarded as they came.
            _ => Err(ResponseError::NotController),
        }
    }

    async fn call<R: Message>(&self, leader: NodeId, request: R) -> Result<R::Response, ResponseError> {
        // A broker that waits for a controller that is gone would be fenced by the next one meanwhile (KAFKA-14392).
        let patience = PATIENCE.min(self.config.broker_session_timeout / 2);
        let answer = self.peers.call(leader, request, patience).await;
        answer.map_err(|_| ResponseError::NotController)
    }

    async fn ask_register(&self, leader: NodeId, asked: Registration) -> Result<Answer, ResponseError> {
        let listener = Listener::default().with_name(LISTENER).with_host(text(&asked.host)).with_port(asked.port);
        let message = BrokerRegistrationRequest::default()
            .with_broker_id(BrokerId(asked.node.0))
            .with_cluster_id(text(&self.config.cluster_id))
            .with_incarnation_id(asked.incarnation.0)
            .with_listeners(vec![listener])
            .with_rack(asked.rack.as_deref().map(text))
            .with_previous_broker_epoch(asked.previous_epoch.unwrap_or(-1));
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        Ok(Answer::Registered { epoch: answer.broker_epoch })
    }

    async fn ask_heartbeat(&self, leader: NodeId, asked: Heartbeat) -> Result<Answer, ResponseError> {
        let message = BrokerHeartbeatRequest::default()
            .with_broker_id(BrokerId(asked.node.0))
            .with_broker_epoch(asked.epoch)
            .with_current_metadata_offset(asked.metadata_offset)
            .with_want_fence(asked.want_fence)
            .with_want_shut_down(asked.want_shut_down);
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        let (caught_up, fenced) = (answer.is_caught_up, answer.is_fenced);
        Ok(Answer::Heartbeat { caught_up, fenced, should_shut_down: answer.should_shut_down })
    }

    async fn ask_alter(
        &self,
        leader: NodeId,
        node: NodeId,
        epoch: BrokerEpoch,
        partitions: &[AlterPartition],
    ) -> Result<Answer, ResponseError> {
        let topics = partitions.iter().map(|asked| {
            let brokers = asked
                .in_sync
                .iter()
                .map(|(node, epoch)| BrokerState::default().with_broker_id(BrokerId(node.0)).with_broker_epoch(*epoch));
            let partition = PartitionData::default()
                .with_partition_index(asked.partition)
                .with_leader_epoch(asked.leader_epoch)
                .with_partition_epoch(asked.partition_epoch)
                .with_new_isr_with_epochs(brokers.collect());
            TopicData::default().with_topic_id(asked.topic.0).with_partitions(vec![partition])
        });
        let message = AlterPartitionRequest::default()
            .with_broker_id(BrokerId(node.0))
            .with_broker_epoch(epoch)
            .with_topics(topics.collect());
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        let altered = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|altered| {
            refused(altered.error_code)?;
            Ok(PartitionState {
                leader: Some(NodeId(altered.leader_id.0)).filter(|leader| leader.0 >= 0),
                leader_epoch: altered.leader_epoch,
                in_sync: altered.isr.iter().map(|id| NodeId(id.0)).collect(),
                partition_epoch: altered.partition_epoch,
                ..PartitionState::default()
            })
        });
        Ok(Answer::AlterPartitions(altered.collect()))
    }

    async fn ask_ids(&self, leader: NodeId, node: NodeId, epoch: BrokerEpoch) -> Result<Answer, ResponseError> {
        let message = AllocateProducerIdsRequest::default().with_broker_id(BrokerId(node.0)).with_broker_epoch(epoch);
        let answer = self.call(leader, message).await?;
        refused(answer.error_code)?;
        Ok(Answer::ProducerIds { first: answer.producer_id_start.0, count: answer.producer_id_len })
    }
}

fn refused(code: i16) -> Result<(), ResponseError> {
    ResponseError::try_from_code(code).map_or(Ok(()), Err)
}
