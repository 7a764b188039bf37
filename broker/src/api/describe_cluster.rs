//! DescribeCluster (60): the brokers; or, of a node that is a controller alone, the controllers (KIP-919).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::ids::NodeId;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// `EndpointType` of KIP-919: brokers, whom every broker tells.
const BROKERS: i8 = 1;
/// The same: controllers, whom those tell that are nothing else.
const CONTROLLERS: i8 = 2;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DescribeClusterRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        if !node.ready_soon().await {
            return Answer::Close;
        }
        respond::<DescribeClusterRequest>(head, &answer(&node, head, &request))
    })
}

fn answer<E: Env>(node: &Node<E>, head: RequestHead, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let mut response =
        DescribeClusterResponse::default().with_error_message(None).with_cluster_authorized_operations(i32::MIN);
    if head.version >= 1 {
        response = response.with_endpoint_type(request.endpoint_type);
    }
    let own = if node.config.process_roles.serves() { BROKERS } else { CONTROLLERS };
    if request.endpoint_type != own {
        let why = text("The request was sent to an endpoint of another type.");
        return response.with_error_code(ResponseError::MismatchedEndpointType.code()).with_error_message(Some(why));
    }
    let told = if own == BROKERS { brokers(node, head, request.include_fenced_brokers) } else { controllers(node) };
    response
        .with_cluster_id(text(&node.config.cluster_id))
        .with_controller_id(BrokerId(node.config.node_id.0))
        .with_brokers(told)
}

fn brokers<E: Env>(node: &Node<E>, head: RequestHead, fenced_too: bool) -> Vec<DescribeClusterBroker> {
    let image = node.image();
    let known = image.brokers().filter(|broker| fenced_too || !broker.fenced);
    let brokers = known.map(|broker| {
        let answer = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(broker.node.0))
            .with_host(text(&broker.host))
            .with_port(i32::from(broker.port))
            .with_rack(broker.rack.as_deref().map(text));
        if head.version >= 2 { answer.with_is_fenced(broker.fenced) } else { answer }
    });
    brokers.collect()
}

fn controllers<E: Env>(node: &Node<E>) -> Vec<DescribeClusterBroker> {
    let voter = |(id, host, port): (NodeId, String, u16)| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(id.0))
            .with_host(text(&host))
            .with_port(i32::from(port))
            .with_rack(None)
    };
    node.voters().into_iter().map(voter).collect()
}
