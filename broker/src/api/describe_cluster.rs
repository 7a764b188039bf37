//! DescribeCluster (60): the brokers, or the controllers (KIP-919), which here is one and the same.

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// `EndpointType` of KIP-919: brokers. Controllers do not listen for clients.
const BROKERS: i8 = 1;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DescribeClusterRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        node.ready().await;
        respond::<DescribeClusterRequest>(head, &answer(&node, head, &request))
    })
}

fn answer<E: Env>(node: &Node<E>, head: RequestHead, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let mut response =
        DescribeClusterResponse::default().with_error_message(None).with_cluster_authorized_operations(i32::MIN);
    if head.version >= 1 {
        response = response.with_endpoint_type(request.endpoint_type);
    }
    if request.endpoint_type == BROKERS {
        let image = node.image();
        let known = image.brokers().filter(|broker| request.include_fenced_brokers || !broker.fenced);
        let brokers = known.map(|broker| {
            let answer = DescribeClusterBroker::default()
                .with_broker_id(BrokerId(broker.node.0))
                .with_host(text(&broker.host))
                .with_port(i32::from(broker.port))
                .with_rack(broker.rack.as_deref().map(text));
            if head.version >= 2 { answer.with_is_fenced(broker.fenced) } else { answer }
        });
        response
            .with_cluster_id(text(&node.config.cluster_id))
            .with_controller_id(BrokerId(node.config.node_id.0))
            .with_brokers(brokers.collect())
    } else {
        let why = text("The request was sent to an endpoint of another type.");
        response.with_error_code(ResponseError::MismatchedEndpointType.code()).with_error_message(Some(why))
    }
}
