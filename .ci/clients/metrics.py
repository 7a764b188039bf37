"""What `serve --metrics` tells Prometheus, read with Prometheus' own parser and held against what clients are told."""

import re
import urllib.request

from confluent_kafka import Consumer, TopicPartition
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from broker import Cluster
from librdkafka_client import WAIT, plain, produce, topic, values

PARTITIONS = 6


def pages(cluster):
    """All samples of all nodes: (name, labels) to its values."""
    seen = {}
    for node in cluster.nodes:
        url = re.search(r"metrics on (\S+)", node.said()).group(1)
        with urllib.request.urlopen(url, timeout=WAIT) as page:
            for family in text_string_to_metric_families(page.read().decode()):
                for sample in family.samples:
                    seen.setdefault((sample.name, tuple(sorted(sample.labels.items()))), []).append(sample.value)
    return seen


def told(seen, name, **labels):
    """Of one row, which only one node of the cluster must tell of."""
    [value] = seen[(name, tuple(sorted(labels.items())))]
    return value


def total(seen, name, label, value):
    """Over all rows with that label."""
    return sum(sum(told) for (what, labels), told in seen.items() if what == name and (label, value) in labels)


def lag_is_told_once_and_rightly(binary, _):
    """One replica of each partition: a coordinator has to ask others how far theirs have come."""
    cluster = Cluster(binary, group_initial_rebalance_delay_ms=300, offsets_topic_num_partitions=4)
    try:
        name = topic(cluster.addr, PARTITIONS)
        for partition in range(PARTITIONS):
            said = produce(cluster.addr, name, plain(values(100 + partition), partition))
            assert [error for error, *_ in said if error] == []
        group = "billing"
        member = Consumer({"bootstrap.servers": cluster.addr, "group.id": group, "auto.offset.reset": "earliest",
                           "enable.auto.commit": False, "log_level": 0})
        member.subscribe([name])
        while not member.assignment():
            member.poll(0.1)
        places = [TopicPartition(name, partition, 10 * partition) for partition in range(PARTITIONS)]
        member.commit(offsets=places, asynchronous=False)
        seen = pages(cluster)
        for partition in range(PARTITIONS):
            at = {"topic": name, "partition": str(partition)}
            ends = 100 + partition
            assert told(seen, "kafka_topic_partition_current_offset", **at) == ends
            assert told(seen, "kafka_consumergroup_current_offset", consumergroup=group, **at) == 10 * partition
            assert told(seen, "kafka_consumergroup_lag", consumergroup=group, **at) == ends - 10 * partition
        lags = sum(100 + partition - 10 * partition for partition in range(PARTITIONS))
        assert told(seen, "kafka_consumergroup_lag_sum", consumergroup=group, topic=name) == lags
        assert told(seen, "kafka_consumergroup_members", consumergroup=group) == 1
        assert told(seen, "logquake_consumergroup_rebalances_total", consumergroup=group) >= 1
        assert total(seen, "kafka_topic_partitions", "topic", name) == PARTITIONS
        records = total(seen, "kafka_server_brokertopicmetrics_messagesin_total", "topic", name)
        assert records == sum(100 + partition for partition in range(PARTITIONS))
        assert total(seen, "kafka_network_requestmetrics_totaltimems_count", "request", "Produce") >= PARTITIONS
        assert set(seen[("kafka_brokers", ())]) == {3.0}
        member.close()
        assert told(pages(cluster), "kafka_consumergroup_members", consumergroup=group) == 0
    finally:
        cluster.remove()


TESTS = [lag_is_told_once_and_rightly]
