//! OffsetDelete (47): forgets how far a group has come in topics that none of its members subscribes to (KIP-496).

use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::group::{Answer as Told, Asked};
use crate::ids::TopicPartition;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<OffsetDeleteRequest>() else { return Started::Now(Answer::Close) };
    let node = node.clone();
    Started::later(async move {
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|part| TopicPartition::new(topic.name.as_str(), part.partition_index))
        });
        let answer = OffsetDeleteResponse::default();
        let ends = match node.ask_group(Asked::Forget(text(&request.group_id), named.collect())).await {
            Ok(Told::Offsets(ends)) => ends,
            Ok(Told::No(error)) | Err(error) => {
                return respond::<OffsetDeleteRequest>(head, &answer.with_error_code(error.code()));
            }
            Ok(_) => {
                let error = ResponseError::UnknownServerError.code();
                return respond::<OffsetDeleteRequest>(head, &answer.with_error_code(error));
            }
        };
        let mut ends = ends.into_iter();
        let topics = request.topics.iter().map(|topic| {
            let parts = topic.partitions.iter().zip(&mut ends).map(|(part, end)| {
                let code = end.err().map_or(0, |error| error.code());
                let answer = OffsetDeleteResponsePartition::default().with_partition_index(part.partition_index);
                answer.with_error_code(code)
            });
            OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(parts.collect())
        });
        respond::<OffsetDeleteRequest>(head, &answer.with_topics(topics.collect()))
    })
}
