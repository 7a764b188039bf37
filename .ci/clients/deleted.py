"""What is said to be deleted does not come back with the next leader."""

import time

from confluent_kafka import KafkaException, TopicPartition

from broker import Cluster
from librdkafka_client import WAIT, admin, plain, produce, topic, values, watermarks

BACK = 30
"""Seconds that the others may take to notice that a leader is gone."""


def partition(cluster, name):
    until = time.monotonic() + BACK
    while True:
        try:
            return admin(cluster.addr).list_topics(name, WAIT).topics[name].partitions[0]
        except KafkaException:
            # It kept to the broker that was killed.
            assert time.monotonic() < until, cluster.said()


def what_is_deleted_stays_deleted(binary, rounds):
    cluster = Cluster(binary, broker_session_timeout_ms=3000, broker_heartbeat_interval_ms=500, min_insync_replicas=2)
    try:
        name = topic(cluster.addr, replicas=3)
        count = 10 * rounds + 10
        assert all(error is None for error, *_ in produce(cluster.addr, name, plain(values(count)), acks="all"))
        for below in range(10, 10 * rounds + 1, 10):
            deleted = admin(cluster.addr).delete_records([TopicPartition(name, 0, below)])
            assert [one.result(WAIT).low_watermark for one in deleted.values()] == [below]
            leader = partition(cluster, name).leader
            cluster.nodes[leader].kill()
            until = time.monotonic() + BACK
            while partition(cluster, name).leader in (leader, -1):
                assert time.monotonic() < until, f"nobody leads after node {leader}:\n{cluster.said()}"
                time.sleep(0.05)
            assert watermarks(cluster.addr, name) == (below, count), f"node {leader} had deleted what is below {below}"
            cluster.nodes[leader].start()
            while len(partition(cluster, name).isrs) < 3:
                assert time.monotonic() < until + BACK, f"node {leader} does not come back:\n{cluster.said()}"
                time.sleep(0.05)
    finally:
        cluster.remove()


TESTS = [what_is_deleted_stays_deleted]
