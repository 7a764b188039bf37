//! DescribeLogDirs (35): how many bytes each partition takes. There is one log directory, named `data`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Call, Started, respond};
use crate::controller::record::text;
use crate::env::Env;
use crate::node::Node;

pub(super) fn serve<E: Env>(node: &Rc<Node<E>>, call: Call) -> Started {
    let head = call.head;
    let Some(request) = call.decode::<DescribeLogDirsRequest>() else { return Started::Now(Answer::Close) };
    let mut topics: BTreeMap<std::sync::Arc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    let wanted = request.topics.as_ref().map(|topics| {
        topics.iter().flat_map(|of| of.partitions.iter().map(|number| (of.topic.as_str(), *number))).collect()
    });
    let asked =
        |topic: &str, number: i32| wanted.as_ref().is_none_or(|all: &BTreeSet<_>| all.contains(&(topic, number)));
    for partition in node.all_partitions() {
        let tp = &partition.tp;
        if !asked(&tp.topic, tp.partition) {
            continue;
        }
        let size = partition.with_log(|log| Ok(log.size())).unwrap_or(0);
        let row = DescribeLogDirsPartition::default()
            .with_partition_index(tp.partition)
            .with_partition_size(i64::try_from(size).unwrap_or(i64::MAX));
        topics.entry(tp.topic.clone()).or_default().push(row);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        DescribeLogDirsTopic::default().with_name(TopicName(text(&name))).with_partitions(partitions)
    });
    let result =
        DescribeLogDirsResult::default().with_log_dir(StrBytes::from_static_str("data")).with_topics(topics.collect());
    let any_offline = node.all_partitions().iter().any(|partition| !partition.is_online());
    let code = if any_offline { ResponseError::KafkaStorageError.code() } else { 0 };
    let response = DescribeLogDirsResponse::default().with_results(vec![result.with_error_code(code)]);
    Started::Now(respond::<DescribeLogDirsRequest>(head, &response))
}
