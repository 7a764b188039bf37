//! BrokerRegistration (62): a broker joins the cluster (KIP-500, KIP-631).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{BrokerRegistrationRequest, BrokerRegistrationResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::Incarnation;
use crate::controller::request::{self, Registration, Request};
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<BrokerRegistrationRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let response = match register(&node, &request).await {
            Ok(epoch) => BrokerRegistrationResponse::default().with_broker_epoch(epoch),
            Err(error) => BrokerRegistrationResponse::default().with_broker_epoch(-1).with_error_code(error.code()),
        };
        respond::<BrokerRegistrationRequest>(head, &response)
    })
}

async fn register<E: Env>(node: &Node<E>, asked: &BrokerRegistrationRequest) -> Result<i64, ResponseError> {
    if *asked.cluster_id != *node.config.cluster_id {
        return Err(ResponseError::InconsistentClusterId);
    }
    let Some(listener) = asked.listeners.first() else { return Err(ResponseError::InvalidRegistration) };
    let request = Request::Register(Registration {
        node: NodeId(asked.broker_id.0),
        incarnation: Incarnation(asked.incarnation_id),
        host: listener.host.to_string(),
        port: listener.port,
        rack: asked.rack.as_deref().map(str::to_owned),
        previous_epoch: Some(asked.previous_broker_epoch).filter(|epoch| *epoch >= 0),
    });
    match node.raft.decide(request).await? {
        request::Answer::Registered { epoch } => Ok(epoch),
        _ => Err(ResponseError::UnknownServerError),
    }
}
