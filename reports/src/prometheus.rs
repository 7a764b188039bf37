//! What running nodes say of themselves, in the text that Prometheus reads, under the names that dashboards know: those of
//! `kafka_exporter` for topics and consumer groups, those that Strimzi's rules give Kafka's own beans for brokers.
//!
//! Each row is told by one node of the cluster: of a partition by its leader, of a group by its coordinator. So the sums over
//! several processes are right.

use std::collections::BTreeMap;
use std::fmt;

use broker::group::GroupMeasured;
use broker::ids::{Offset, TopicPartition};
use broker::node::meter::{BOUNDS_MS, Measured, PartitionMeasured, ReplicaMeasured, Times};
use kafka_protocol::messages::ApiKey;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// The `Content-Type` of [`exposition`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How names of topics of dead letters begin or end, as Kafka Connect's documentation and Spring Kafka have them.
const DEAD_LETTERS: [&str; 2] = ["dlq", "dlt"];

/// What nodes of one process say.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Each of them.
    pub nodes: Vec<Measured>,
    /// High watermarks of partitions that groups have committed offsets of and that no node of these has a replica of.
    pub elsewhere: BTreeMap<TopicPartition, Offset>,
}

type Labels = Vec<(&'static str, String)>;
type Rows = Vec<(Labels, f64)>;

/// A metric with all its labels.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    rows: fn(&Seen) -> Rows,
}

const fn gauge(name: &'static str, help: &'static str, rows: fn(&Seen) -> Rows) -> Family {
    Family { name, help, kind: MetricType::Gauge, rows }
}

/// Its name is given `_total`.
const fn counter(name: &'static str, help: &'static str, rows: fn(&Seen) -> Rows) -> Family {
    Family { name, help, kind: MetricType::Counter, rows }
}

/// Every metric but the time of requests.
const FAMILIES: &[Family] = &[
    gauge("kafka_brokers", "Brokers that serve", |seen| {
        let brokers = seen.nodes.iter().map(|node| node.brokers).max();
        brokers.map(|brokers| (Vec::new(), brokers as f64)).into_iter().collect()
    }),
    gauge("kafka_topic_partitions", "Partitions of a topic", |seen| seen.by_topic(|_| 1.0)),
    gauge("kafka_topic_partition_leader", "Node id of a partition's leader; -1: none", |seen| {
        seen.by_partition(|part| Some(part.leader.map_or(-1.0, |node| f64::from(node.0))))
    }),
    gauge("kafka_topic_partition_leader_is_preferred", "1: the preferred replica leads", |seen| {
        seen.by_partition(|part| Some(flag(part.leader.is_some() && part.leader.as_ref() == part.replicas.first())))
    }),
    gauge("kafka_topic_partition_replicas", "Replicas of a partition", |seen| {
        seen.by_partition(|part| Some(part.replicas.len() as f64))
    }),
    gauge("kafka_topic_partition_in_sync_replica", "Replicas of a partition that are in sync", |seen| {
        seen.by_partition(|part| Some(part.in_sync as f64))
    }),
    gauge("kafka_topic_partition_under_replicated_partition", "1: some replicas are not in sync", |seen| {
        seen.by_partition(|part| Some(flag(under_replicated(part))))
    }),
    gauge("kafka_topic_partition_current_offset", "High watermark of a partition", |seen| {
        seen.by_partition(|part| part.here.as_ref().map(|here| here.high as f64))
    }),
    gauge("kafka_topic_partition_oldest_offset", "Log start offset of a partition", |seen| {
        seen.by_partition(|part| part.here.as_ref().map(|here| here.start as f64))
    }),
    gauge("kafka_consumergroup_members", "Members of a group", |seen| seen.by_group(|group| group.members as f64)),
    gauge("kafka_consumergroup_current_offset", "Offset that a group has committed", |seen| {
        seen.by_commit(|_, offset| Some(offset as f64))
    }),
    gauge("kafka_consumergroup_current_offset_sum", "The same, over a topic's partitions", |seen| {
        seen.by_group_and_topic(|_, offset| Some(offset as f64))
    }),
    gauge("kafka_consumergroup_lag", "Records that a group has not committed yet", |seen| seen.by_commit(seen.lag())),
    gauge("kafka_consumergroup_lag_sum", "The same, over a topic's partitions", |seen| {
        seen.by_group_and_topic(seen.lag())
    }),
    counter(
        "logquake_consumergroup_rebalances",
        "How often a group was shared out, since its coordinator began",
        |seen| seen.by_group(|group| group.rebalances.count as f64),
    ),
    counter("logquake_consumergroup_rebalance_seconds", "How long that took, all together", |seen| {
        seen.by_group(|group| group.rebalances.total.as_secs_f64())
    }),
    gauge("logquake_dead_letters", "Records in a topic whose name begins or ends with dlq or dlt", |seen| {
        let mut rows = seen.by_topic(|part| part.here.as_ref().map_or(0.0, |here| (here.high - here.start) as f64));
        rows.retain(|(labels, _)| labels.iter().any(|(_, topic)| holds_dead_letters(topic)));
        rows
    }),
    gauge("kafka_server_replicamanager_partitioncount", "Replicas that a broker has", |seen| {
        seen.by_node(|node| node.partitions.iter().filter(|part| part.here.is_some()).count() as f64)
    }),
    gauge("kafka_server_replicamanager_leadercount", "Partitions that a broker leads", |seen| {
        seen.by_node(|node| led(node).count() as f64)
    }),
    gauge("kafka_server_replicamanager_underreplicatedpartitions", "Led by it, some replicas not in sync", |seen| {
        seen.by_node(|node| led(node).filter(|part| under_replicated(part)).count() as f64)
    }),
    gauge("kafka_server_replicamanager_underminisrpartitioncount", "Led by it, below min.insync.replicas", |seen| {
        let under = |part: &&PartitionMeasured| part.min_in_sync.is_some_and(|least| part.in_sync < least);
        seen.by_node(|node| led(node).filter(under).count() as f64)
    }),
    gauge("kafka_server_replicamanager_offlinereplicacount", "Replicas that a broker cannot use", |seen| {
        let offline = |part: &&PartitionMeasured| part.here.as_ref().is_some_and(|here| !here.online);
        seen.by_node(|node| node.partitions.iter().filter(offline).count() as f64)
    }),
    gauge("kafka_controller_kafkacontroller_activecontrollercount", "1: it is the active controller", |seen| {
        seen.by_node(|node| flag(node.controls))
    }),
    gauge("kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions nobody leads", |seen| {
        let offline = |node: &Measured| node.partitions.iter().filter(|part| part.leader.is_none()).count();
        seen.by_node(|node| if node.controls { offline(node) as f64 } else { 0.0 })
    }),
    counter("kafka_server_brokertopicmetrics_messagesin", "Records appended by leaders", |seen| {
        seen.by_node_and_topic(|here| here.records_in)
    }),
    counter("kafka_server_brokertopicmetrics_bytesin", "Bytes appended by leaders, as stored", |seen| {
        seen.by_node_and_topic(|here| here.bytes_in)
    }),
    counter("kafka_server_brokertopicmetrics_bytesout", "Bytes read, by consumers and followers", |seen| {
        seen.by_node_and_topic(|here| here.bytes_out)
    }),
    gauge("kafka_log_log_size", "Bytes that a replica takes on disk", |seen| {
        let of = |node: &Measured, part: &PartitionMeasured| {
            let mut labels = partition(&part.tp);
            labels.insert(0, broker(node));
            Some((labels, part.here.as_ref()?.size as f64))
        };
        seen.nodes.iter().flat_map(|node| node.partitions.iter().filter_map(move |part| of(node, part))).collect()
    }),
];

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn under_replicated(part: &PartitionMeasured) -> bool {
    part.in_sync < part.replicas.len()
}

fn led(node: &Measured) -> impl Iterator<Item = &PartitionMeasured> {
    node.partitions.iter().filter(|part| part.leader == Some(node.node))
}

fn holds_dead_letters(topic: &str) -> bool {
    let topic = topic.to_ascii_lowercase();
    DEAD_LETTERS.iter().any(|word| topic.starts_with(word) || topic.ends_with(word))
}

fn broker(node: &Measured) -> (&'static str, String) {
    ("broker", node.node.0.to_string())
}

fn partition(tp: &TopicPartition) -> Labels {
    vec![("topic", tp.topic.to_string()), ("partition", tp.partition.to_string())]
}

impl Seen {
    /// Each partition once in the cluster: as its leader sees it, or the active controller if it has none.
    fn partitions(&self) -> impl Iterator<Item = &PartitionMeasured> {
        let tells = |node: &Measured, part: &PartitionMeasured| match part.leader {
            Some(leader) => leader == node.node,
            None => node.controls,
        };
        self.nodes.iter().flat_map(move |node| node.partitions.iter().filter(move |part| tells(node, part)))
    }

    fn groups(&self) -> impl Iterator<Item = &GroupMeasured> {
        self.nodes.iter().flat_map(|node| &node.groups)
    }

    /// How far a group is behind that has committed an offset. The leader knows best; a follower is one fetch behind it.
    fn lag(&self) -> impl Fn(&TopicPartition, Offset) -> Option<f64> {
        let mut ends: BTreeMap<&TopicPartition, (u8, Offset)> =
            self.elsewhere.iter().map(|(tp, end)| (tp, (0, *end))).collect();
        for node in &self.nodes {
            for part in &node.partitions {
                let Some(here) = &part.here else { continue };
                let told = (if part.leader == Some(node.node) { 2 } else { 1 }, here.high);
                ends.entry(&part.tp).and_modify(|known| *known = told.max(*known)).or_insert(told);
            }
        }
        move |tp, offset| ends.get(tp).map(|(_, end)| (end - offset).max(0) as f64)
    }

    fn by_node(&self, value: impl Fn(&Measured) -> f64) -> Rows {
        self.nodes.iter().map(|node| (vec![broker(node)], value(node))).collect()
    }

    fn by_partition(&self, value: impl Fn(&PartitionMeasured) -> Option<f64>) -> Rows {
        self.partitions().filter_map(|part| Some((partition(&part.tp), value(part)?))).collect()
    }

    fn by_topic(&self, value: impl Fn(&PartitionMeasured) -> f64) -> Rows {
        sum(self.partitions().map(|part| (vec![("topic", part.tp.topic.to_string())], value(part))))
    }

    fn by_node_and_topic(&self, value: impl Fn(&ReplicaMeasured) -> u64) -> Rows {
        let of = |node: &Measured, part: &PartitionMeasured| {
            let labels = vec![broker(node), ("topic", part.tp.topic.to_string())];
            Some((labels, value(part.here.as_ref()?) as f64))
        };
        sum(self.nodes.iter().flat_map(|node| node.partitions.iter().filter_map(move |part| of(node, part))))
    }

    fn by_group(&self, value: impl Fn(&GroupMeasured) -> f64) -> Rows {
        self.groups().map(|group| (vec![("consumergroup", group.group.to_string())], value(group))).collect()
    }

    fn by_commit(&self, value: impl Fn(&TopicPartition, Offset) -> Option<f64>) -> Rows {
        let of = |group: &GroupMeasured, tp: &TopicPartition, offset: Offset| {
            let mut labels = partition(tp);
            labels.insert(0, ("consumergroup", group.group.to_string()));
            Some((labels, value(tp, offset)?))
        };
        let all = self.groups().flat_map(|group| group.committed.iter().map(move |(tp, offset)| (group, tp, *offset)));
        all.filter_map(|(group, tp, offset)| of(group, tp, offset)).collect()
    }

    fn by_group_and_topic(&self, value: impl Fn(&TopicPartition, Offset) -> Option<f64>) -> Rows {
        sum(self.by_commit(value).into_iter().map(|(mut labels, value)| {
            labels.pop();
            (labels, value)
        }))
    }
}

/// One row for all of the same labels.
fn sum(rows: impl Iterator<Item = (Labels, f64)>) -> Rows {
    let mut sums: BTreeMap<Labels, f64> = BTreeMap::new();
    rows.for_each(|(labels, value)| *sums.entry(labels).or_default() += value);
    sums.into_iter().collect()
}

/// All of it, as a body of [`CONTENT_TYPE`].
pub fn exposition(seen: Seen) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(seen));
    let mut text = String::new();
    let encoded = prometheus_client::encoding::text::encode(&mut text, &registry);
    // Writing to a string cannot fail.
    debug_assert!(encoded.is_ok());
    text
}

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, kind, rows } in FAMILIES {
            let mut family = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in rows(self) {
                let mut metric = family.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => metric.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
                    _ => metric.encode_gauge(&value)?,
                }
            }
        }
        self.encode_requests(&mut encoder)
    }
}

impl Seen {
    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = "kafka_network_requestmetrics_totaltimems";
        let help = "Milliseconds from when a request was begun until its answer was ready";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for node in &self.nodes {
            for (key, Times { buckets, total }) in &node.requests {
                let request = ApiKey::try_from(*key).map_or_else(|()| key.to_string(), |api| format!("{api:?}"));
                let bounds = BOUNDS_MS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
                let counts: Vec<_> = bounds.zip(buckets.iter().copied()).collect();
                let labels = vec![broker(node), ("request", request)];
                let mut metric = family.encode_family(&labels)?;
                let ms = total.as_secs_f64() * 1000.0;
                metric.encode_histogram::<NoLabelSet>(ms, buckets.iter().sum(), &counts, None)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use broker::group::Rebalances;
    use broker::ids::NodeId;

    use super::*;

    fn part(topic: &str, leader: Option<i32>, here: Option<(Offset, Offset)>) -> PartitionMeasured {
        let here = here.map(|(start, high)| ReplicaMeasured {
            start,
            high,
            size: 77,
            online: true,
            records_in: 5,
            bytes_in: 50,
            bytes_out: 500,
        });
        PartitionMeasured {
            tp: TopicPartition::new(topic, 0),
            leader: leader.map(NodeId),
            replicas: vec![NodeId(0), NodeId(1)],
            in_sync: 1,
            min_in_sync: Some(2),
            here,
        }
    }

    /// Two nodes: topic a is led by 0, b by 1, c by a node that is not here, d by nobody; 1 is the controller.
    fn seen() -> Seen {
        let parts = |zero, one| {
            let (a, b) = (part("a", Some(0), Some((2, zero))), part("b-dlq", Some(1), Some((1, one))));
            vec![a, b, part("c", Some(9), None), part("d", None, None)]
        };
        let times =
            Times { buckets: [3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], total: Duration::from_millis(31_500) };
        let at = |topic: &str, offset| (TopicPartition::new(topic, 0), offset);
        let group = GroupMeasured {
            group: kafka_protocol::protocol::StrBytes::from_static_str("g\"1"),
            members: 3,
            rebalances: Rebalances { count: 4, total: Duration::from_millis(2500) },
            committed: vec![at("a", 7), at("b-dlq", 4), at("c", 1), at("d", 6)],
        };
        let zero = Measured {
            node: NodeId(0),
            brokers: 2,
            requests: [(0, times)].into(),
            partitions: parts(10, 3),
            groups: vec![group],
            ..Measured::default()
        };
        let one = Measured { node: NodeId(1), controls: true, brokers: 3, partitions: parts(9, 5), ..zero.clone() };
        let one = Measured { groups: Vec::new(), requests: BTreeMap::new(), ..one };
        Seen { nodes: vec![zero, one], elsewhere: [at("c", 21)].into() }
    }

    fn value(text: &str, row: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{row} is not in\n{text}")).parse().unwrap()
    }

    #[test]
    fn a_group_lags_by_what_the_leader_or_else_anyone_knows() {
        let text = exposition(seen());
        let lag = |topic| {
            value(&text, &format!(r#"kafka_consumergroup_lag{{consumergroup="g\"1",topic="{topic}",partition="0"}}"#))
        };
        assert_eq!((lag("a"), lag("b-dlq"), lag("c")), (3.0, 1.0, 20.0));
        // Nobody knows where it ends.
        assert!(!text.contains(r#"kafka_consumergroup_lag{consumergroup="g\"1",topic="d""#));
        assert_eq!(value(&text, r#"kafka_consumergroup_current_offset_sum{consumergroup="g\"1",topic="d"}"#), 6.0);
        assert_eq!(value(&text, r#"logquake_consumergroup_rebalance_seconds_total{consumergroup="g\"1"}"#), 2.5);
    }

    #[test]
    fn each_partition_is_told_of_once() {
        let text = exposition(seen());
        let told = |name: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
        assert_eq!(told("kafka_topic_partition_leader"), 3, "c is for the node that leads it to tell");
        assert_eq!(value(&text, r#"kafka_topic_partition_leader{topic="d",partition="0"}"#), -1.0);
        assert_eq!(value(&text, r#"kafka_topic_partition_current_offset{topic="a",partition="0"}"#), 10.0);
        assert_eq!(value(&text, r#"logquake_dead_letters{topic="b-dlq"}"#), 4.0);
        assert_eq!(told("logquake_dead_letters"), 1);
        assert_eq!(value(&text, "kafka_brokers{}"), 3.0);
        assert_eq!(value(&text, r#"kafka_controller_kafkacontroller_offlinepartitionscount{broker="1"}"#), 1.0);
        assert_eq!(value(&text, r#"kafka_server_replicamanager_underminisrpartitioncount{broker="0"}"#), 1.0);
    }

    #[test]
    fn buckets_count_up_and_the_text_ends() {
        let text = exposition(seen());
        let bucket = |le| {
            value(
                &text,
                &format!(
                    r#"kafka_network_requestmetrics_totaltimems_bucket{{le="{le}",broker="0",request="Produce"}}"#
                ),
            )
        };
        assert_eq!((bucket("1.0"), bucket("5.0"), bucket("30000.0"), bucket("+Inf")), (3.0, 4.0, 4.0, 5.0));
        assert_eq!(
            value(&text, r#"kafka_network_requestmetrics_totaltimems_sum{broker="0",request="Produce"}"#),
            31_500.0
        );
        assert!(text.ends_with("# EOF\n"));
        assert!(FAMILIES.iter().all(|family| text.contains(&format!("# HELP {} ", family.name))));
    }
}
