//! Administrative calls: thin, one request each, with the broker's code and whether the change happened.

use broker::env::{Env, Mono};
use broker::ids::{Offset, Timestamp, TopicPartition};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListOffsetsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::outcome::{self, Failure, Kind, Retry};
use super::{CallError, Client};
use crate::history::event::Outcome;

/// ListOffsets: the end of the log (one past the last committed record).
pub const LATEST: i64 = -1;
/// ListOffsets: the first record still there.
pub const EARLIEST: i64 = -2;
/// ListOffsets: the record with the greatest timestamp (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;

const TOPIC: i8 = 2;

/// What ListOffsets found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The offset, -1 for none.
    pub offset: Offset,
    /// Its timestamp, -1 for none or where the query has none.
    pub timestamp: Timestamp,
}

/// What DescribeConfigs says of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Its value, as text.
    pub value: Option<String>,
    /// Where the value comes from (1 is the topic's own, 5 the default).
    pub source: i8,
}

impl<E: Env> Client<E> {
    /// Creates `topic` with so many partitions and replicas of each, and settings by name.
    pub async fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        replication: i16,
        configs: &[(&str, &str)],
        deadline: Mono,
    ) -> Result<(), CallError> {
        let config = |(name, value): &(&str, &str)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        let new = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(replication)
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(self.left(deadline));
        let answer = self.call_controller(&request, deadline).await?;
        written(answer.topics.first().map(|t| t.error_code))
    }

    /// Deletes `topic`.
    pub async fn delete_topic(&self, topic: &str, deadline: Mono) -> Result<(), CallError> {
        let names = vec![name(topic)];
        let request = DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(self.left(deadline));
        let answer = self.call_controller(&request, deadline).await?;
        written(answer.responses.first().map(|t| t.error_code))
    }

    /// Raises the number of partitions of `topic` to `count`.
    pub async fn create_partitions(&self, topic: &str, count: i32, deadline: Mono) -> Result<(), CallError> {
        let more = CreatePartitionsTopic::default().with_name(name(topic)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![more]).with_timeout_ms(self.left(deadline));
        let answer = self.call_controller(&request, deadline).await?;
        written(answer.results.first().map(|t| t.error_code))
    }

    /// The settings of `topic`, by name.
    pub async fn describe_configs(&self, topic: &str, deadline: Mono) -> Result<Vec<Config>, CallError> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let mut answer = self.call_controller(&request, deadline).await?;
        checked(Kind::Read, answer.results.first().map(|r| r.error_code))?;
        let described = answer.results.swap_remove(0).configs.into_iter();
        let string = |value: StrBytes| value.to_string();
        Ok(described
            .map(|c| Config { name: string(c.name), value: c.value.map(string), source: c.config_source })
            .collect())
    }

    /// Changes settings of `topic`: to a value, or back to the default with `None`.
    pub async fn alter_configs(
        &self,
        topic: &str,
        configs: &[(&str, Option<&str>)],
        deadline: Mono,
    ) -> Result<(), CallError> {
        let config = |(name, value): &(&str, Option<&str>)| {
            let operation = i8::from(value.is_none());
            AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(operation)
                .with_value(value.map(text))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(configs.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.call_controller(&request, deadline).await?;
        written(answer.responses.first().map(|r| r.error_code))
    }

    /// Removes the records of a partition below `before` (-1: below the high watermark). Returns the new log start.
    pub async fn delete_records(
        &self,
        tp: &TopicPartition,
        before: Offset,
        deadline: Mono,
    ) -> Result<Offset, CallError> {
        let partition = DeleteRecordsPartition::default().with_partition_index(tp.partition).with_offset(before);
        let topic = DeleteRecordsTopic::default().with_name(name(&tp.topic)).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(self.left(deadline));
        let found = self.until(deadline, || self.leader(&tp.topic, tp.partition)).await;
        let (node, _) = found.ok_or(no_leader(self.topic_code(&tp.topic)))?;
        let answer = self.call(node, &request, deadline).await;
        let answer = answer.map_err(|failure| outcome::judge_failure(Kind::Write, failure))?;
        let said = answer.topics.first().and_then(|t| t.partitions.first());
        let code = said.map(|p| p.error_code);
        if code.is_some_and(|code| outcome::judge(Kind::Write, code).retry == Retry::Refresh) {
            self.refresh();
        }
        written(code)?;
        Ok(said.map_or(-1, |p| p.low_watermark))
    }

    /// Looks up an offset of a partition: [`LATEST`], [`EARLIEST`], [`MAX_TIMESTAMP`], or the first record at or after a
    /// timestamp in milliseconds. Retried until `deadline`, since it changes nothing.
    pub async fn list_offsets(&self, tp: &TopicPartition, query: i64, deadline: Mono) -> Result<Listed, CallError> {
        let mut failures = 0;
        loop {
            let found = self.until(deadline, || self.leader(&tp.topic, tp.partition)).await;
            let (node, epoch) = found.ok_or(no_leader(self.topic_code(&tp.topic)))?;
            let patience = self.env().now().after(self.settings().request_timeout).min(deadline);
            let asked = self.call(node, &list_request(tp, query, epoch), patience).await;
            let judged = match asked {
                Err(failure) => outcome::judge_failure(Kind::Read, failure),
                Ok(answer) => match answer.topics.first().and_then(|t| t.partitions.first()) {
                    None => outcome::judge_failure(Kind::Read, Failure::Garbled),
                    Some(said) if said.error_code == 0 => {
                        return Ok(Listed { offset: said.offset, timestamp: said.timestamp });
                    }
                    Some(said) => outcome::judge(Kind::Read, said.error_code),
                },
            };
            if judged.retry == Retry::No || self.env().now() >= deadline {
                return Err(judged.into());
            }
            if judged.retry == Retry::Refresh {
                self.refresh();
            }
            failures += 1;
            self.pause(failures, deadline).await;
        }
    }

    /// Milliseconds until `deadline`, as requests state their timeouts.
    pub(super) fn left(&self, deadline: Mono) -> i32 {
        i32::try_from(deadline.since(self.env().now()).as_millis()).unwrap_or(i32::MAX)
    }
}

fn list_request(tp: &TopicPartition, query: i64, epoch: i32) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(tp.partition)
        .with_current_leader_epoch(epoch)
        .with_timestamp(query);
    let topic = ListOffsetsTopic::default().with_name(name(&tp.topic)).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
}

fn no_leader(code: Option<i16>) -> CallError {
    CallError { outcome: Outcome::Fail, code: code.filter(|code| *code != 0).unwrap_or(outcome::NOT_SENT) }
}

pub(super) fn written(code: Option<i16>) -> Result<(), CallError> {
    checked(Kind::Write, code)
}

/// What the code of the one part that was asked about says; an answer without that part is no answer.
fn checked(kind: Kind, code: Option<i16>) -> Result<(), CallError> {
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(outcome::judge(kind, code).into()),
        None => Err(outcome::judge_failure(kind, Failure::Garbled).into()),
    }
}

fn text(from: &str) -> StrBytes {
    StrBytes::from_string(from.to_owned())
}

fn name(topic: &str) -> TopicName {
    TopicName(text(topic))
}
