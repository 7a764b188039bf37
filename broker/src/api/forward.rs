//! Envelope (58): requests about the cluster, which whoever is asked forwards to the active controller as they came
//! (KIP-590). The controller's answer goes back to the client as it is.

use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{EnvelopeRequest, EnvelopeResponse};

use super::{Answer, Call, Started, respond, start_as_controller};
use crate::env::Env;
use crate::node::Node;
use crate::wire::guard::RequestHead;

/// How long the active controller is looked for, and its answer waited for (`request.timeout.ms`). After that the
/// connection ends, and the client asks again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Has the active controller answer the request in `frame`, be it this node or another. One that was lost on the way, or
/// whose controller lost its office before it could tell what became of it, is sent again, as Kafka does: a change that was
/// made already is then answered as being so.
pub(super) async fn send<E: Env>(node: Rc<Node<E>>, frame: BytesMut) -> Answer {
    let deadline = node.env.now().after(PATIENCE);
    let frame = frame.freeze();
    loop {
        let left = deadline.since(node.env.now());
        if left.is_zero() || node.is_stopping() {
            return Answer::Close;
        }
        if node.raft.is_active() {
            let Some(begun) = start_as_controller(&node, BytesMut::from(&frame[..])) else { return Answer::Close };
            match finish(begun).await {
                Answer::Disowned => {}
                answer => return answer,
            }
        } else if let Some(leader) = node.raft.leader().filter(|leader| *leader != node.config.node_id) {
            let request = EnvelopeRequest::default().with_request_data(frame.clone()).with_request_principal(None);
            if let Ok(answer) = node.peers.call(leader, request, left).await
                && answer.error_code == 0
                && let Some(data) = answer.response_data
            {
                return framed(data);
            }
        }
        node.env.sleep(PAUSE.min(left)).await;
    }
}

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<EnvelopeRequest>() else { return Started::Now(Answer::Close) };
    let refuse = |error| Started::Now(refusal(head, error));
    if !node.raft.is_active() {
        return refuse(ResponseError::NotController);
    }
    let Some(begun) = start_as_controller(node, BytesMut::from(&request.request_data[..])) else {
        return refuse(ResponseError::InvalidRequest);
    };
    Started::later(async move {
        match finish(begun).await {
            Answer::Parts(parts) => {
                // Without the length of its frame.
                let data = Bytes::from(parts.concat()).slice(4..);
                respond::<EnvelopeRequest>(head, &EnvelopeResponse::default().with_response_data(Some(data)))
            }
            // So that it is forwarded to the next one, as Kafka has it (`RequestChannel.buildResponse`).
            Answer::Disowned => refusal(head, ResponseError::NotController),
            Answer::Nothing | Answer::Close => Answer::Close,
        }
    })
}

fn refusal(head: RequestHead, error: ResponseError) -> Answer {
    let answer = EnvelopeResponse::default().with_error_code(error.code()).with_response_data(None);
    respond::<EnvelopeRequest>(head, &answer)
}

async fn finish(begun: Started) -> Answer {
    match begun {
        Started::Now(answer) => answer,
        Started::Later { work, .. } => work.await,
    }
}

fn framed(data: Bytes) -> Answer {
    let Ok(length) = i32::try_from(data.len()) else { return Answer::Close };
    let mut prefix = BytesMut::with_capacity(4);
    prefix.put_i32(length);
    Answer::Parts(vec![prefix.freeze(), data])
}
