"""confluent-kafka (librdkafka): produce, consume by offset and by time, and administer."""

import functools
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

WAIT = 10


@functools.cache
def admin(addr):
    """One for each address: its futures are void once it is dropped."""
    return AdminClient({"bootstrap.servers": addr, "socket.timeout.ms": 8000, "reconnect.backoff.max.ms": 300, "log_level": 0})


def topic(addr, partitions=1, replicas=1, **config):
    """A new topic; settings are written with underscores."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    admin(addr).create_topics([NewTopic(name, partitions, replicas, config=config)])[name].result(WAIT)
    return name


def producer(addr, **config):
    config = {key.replace("_", "."): value for key, value in config.items()}
    return Producer({"bootstrap.servers": addr, "message.timeout.ms": 8000, "log_level": 0, **config})


def produce(addr, name, records, **config):
    """Sends (key, value, headers, timestamp, partition) tuples; returns what the broker said of each."""
    said = []
    sender = producer(addr, **config)
    for key, value, headers, timestamp, partition in records:
        done = lambda error, message: said.append((error, message.partition(), message.offset(), message.value()))
        sender.produce(name, value, key, partition, done, timestamp=timestamp, headers=headers)
    assert sender.flush(WAIT) == 0
    return said


def values(count, size=100):
    return [f"{n:06d}".encode().ljust(size, b".") for n in range(count)]


def plain(payloads, partition=0):
    return [(None, value, None, 1_000_000 + n, partition) for n, value in enumerate(payloads)]


def consume(addr, name, count, offset=0, partition=0, **config):
    """`count` messages from `offset` on, by assignment."""
    config = {key.replace("_", "."): value for key, value in config.items()}
    consumer = Consumer({"bootstrap.servers": addr, "group.id": "none", "enable.auto.commit": False,
                         "auto.offset.reset": "error", "check.crcs": True, "log_level": 0, **config})
    consumer.assign([TopicPartition(name, partition, offset)])
    got = []
    while len(got) < count:
        batch = consumer.consume(count - len(got), WAIT)
        assert batch, f"{len(got)} of {count} messages came"
        for message in batch:
            if message.error():
                raise KafkaException(message.error())
            got.append(message)
    consumer.close()
    return got


def code_of(call):
    """The code of the error that `call` raises."""
    try:
        call()
    except KafkaException as error:
        return error.args[0].code()
    return None


def every_codec_round_trips(addr):
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        name = topic(addr)
        sent = [(f"k{n}".encode(), value, [("h", b"1"), ("h", None)], 1_000_000 + n, 0)
                for n, value in enumerate(values(2000))]
        said = produce(addr, name, sent, compression_type=codec, linger_ms=20)
        assert [(error, offset) for error, _, offset, _ in said] == [(None, n) for n in range(2000)], codec
        got = consume(addr, name, 2000)
        assert [(m.key(), m.value(), m.headers(), m.timestamp()[1], m.offset()) for m in got] == [
            (key, value, headers, time, n) for n, (key, value, headers, time, _) in enumerate(sent)], codec


def every_level_of_acks_stores(addr):
    for acks in [0, 1, -1]:
        name = topic(addr)
        said = produce(addr, name, plain(values(100)), acks=acks)
        assert all(error is None for error, *_ in said)
        assert [m.value() for m in consume(addr, name, 100)] == values(100)


def reads_from_the_middle_of_a_batch(addr):
    name = topic(addr)
    produce(addr, name, plain(values(1000)), linger_ms=50)
    got = consume(addr, name, 1, offset=567)
    assert (got[0].offset(), got[0].value()) == (567, values(568)[567])


def reads_from_a_time(addr):
    name = topic(addr)
    for part in range(10):
        produce(addr, name, plain(values(10)[part:part + 1] * 10))
    consumer = Consumer({"bootstrap.servers": addr, "group.id": "none"})
    at = lambda time: consumer.offsets_for_times([TopicPartition(name, 0, time)], WAIT)[0].offset
    assert [at(0), at(1_000_000), at(1_000_001), at(1_000_009)] == [0, 0, 1, 9]
    assert at(2_000_000) == -1  # librdkafka's OFFSET_END: there is none
    consumer.close()


def watermarks(addr, name, partition=0):
    consumer = Consumer({"bootstrap.servers": addr, "group.id": "none"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(name, partition), WAIT)
    finally:
        consumer.close()


def watermarks_and_offsets(addr):
    name = topic(addr)
    tp = TopicPartition(name, 0)
    assert watermarks(addr, name) == (0, 0)
    produce(addr, name, [(None, b"a", None, 30, 0), (None, b"b", None, 50, 0), (None, b"c", None, 40, 0)])
    assert watermarks(addr, name) == (0, 3)
    offsets = lambda spec: admin(addr).list_offsets({tp: spec})[tp].result(WAIT)
    assert offsets(OffsetSpec.earliest()).offset == 0
    assert offsets(OffsetSpec.latest()).offset == 3
    assert (offsets(OffsetSpec.max_timestamp()).offset, offsets(OffsetSpec.max_timestamp()).timestamp) == (1, 50)
    deleted = admin(addr).delete_records([TopicPartition(name, 0, 2)])
    assert [f.result(WAIT).low_watermark for f in deleted.values()] == [2]
    assert offsets(OffsetSpec.earliest()).offset == 2
    assert [m.value() for m in consume(addr, name, 1, offset=2)] == [b"c"]


def a_position_out_of_range_is_told(addr):
    name = topic(addr)
    produce(addr, name, plain(values(3)))
    assert code_of(lambda: consume(addr, name, 1, offset=77)) == KafkaError._AUTO_OFFSET_RESET
    assert [m.offset() for m in consume(addr, name, 3, offset=77, auto_offset_reset="earliest")] == [0, 1, 2]


def keys_go_where_murmur2_says(addr):
    name = topic(addr, partitions=7)
    said = produce(addr, name, [(b"foobar", b"x", None, 1, -1)], partitioner="murmur2_random")
    assert said[0][1] == (-790332482 & 0x7FFFFFFF) % 7


def topics_are_created_listed_and_deleted(addr):
    name = topic(addr, partitions=3)
    listed = admin(addr).list_topics(timeout=WAIT).topics[name]
    assert sorted(listed.partitions) == [0, 1, 2]
    again = lambda: admin(addr).create_topics([NewTopic(name, 1, 1)])[name].result(WAIT)
    assert code_of(again) == KafkaError.TOPIC_ALREADY_EXISTS
    assert code_of(lambda: admin(addr).create_topics([NewTopic("no/good", 1, 1)])["no/good"].result(WAIT)) \
        == KafkaError.TOPIC_EXCEPTION
    too_many = lambda: admin(addr).create_topics([NewTopic(name + "x", 1, 3)])[name + "x"].result(WAIT)
    assert code_of(too_many) == KafkaError.INVALID_REPLICATION_FACTOR
    produce(addr, name, plain(values(10)))
    admin(addr).delete_topics([name])[name].result(WAIT)
    assert name not in admin(addr).list_topics(timeout=WAIT).topics
    assert code_of(lambda: admin(addr).delete_topics([name])[name].result(WAIT)) == KafkaError.UNKNOWN_TOPIC_OR_PART
    admin(addr).create_topics([NewTopic(name, 1, 1)])[name].result(WAIT)
    produce(addr, name, plain([b"new"]))
    assert [(m.offset(), m.value()) for m in consume(addr, name, 1)] == [(0, b"new")], "the old topic's records are gone"


def partitions_are_added(addr):
    name = topic(addr, partitions=2)
    admin(addr).create_partitions([NewPartitions(name, 4)])[name].result(WAIT)
    assert sorted(admin(addr).list_topics(timeout=WAIT).topics[name].partitions) == [0, 1, 2, 3]
    fewer = lambda: admin(addr).create_partitions([NewPartitions(name, 3)])[name].result(WAIT)
    assert code_of(fewer) == KafkaError.INVALID_PARTITIONS
    produce(addr, name, plain(values(5), partition=3))
    assert [m.value() for m in consume(addr, name, 5, partition=3)] == values(5)


def configs(addr, name):
    resource = ConfigResource(ResourceType.TOPIC, name)
    described = admin(addr).describe_configs([resource])[resource].result(WAIT)
    return {key: entry.value for key, entry in described.items()}


def settings_are_described_and_altered(addr):
    name = topic(addr, retention_ms=123456, segment_bytes=1048576)
    described = configs(addr, name)
    assert (described["retention.ms"], described["segment.bytes"]) == ("123456", "1048576")
    assert described["cleanup.policy"] == "delete"
    change = lambda key, value, how: admin(addr).incremental_alter_configs([ConfigResource(
        ResourceType.TOPIC, name,
        incremental_configs=[ConfigEntry(key, value, incremental_operation=how)])])
    for future in change("retention.ms", "999999", AlterConfigOpType.SET).values():
        future.result(WAIT)
    assert configs(addr, name)["retention.ms"] == "999999"
    for future in change("retention.ms", None, AlterConfigOpType.DELETE).values():
        future.result(WAIT)
    assert configs(addr, name)["retention.ms"] == "604800000"
    for future in change("retention.ms", "soon", AlterConfigOpType.SET).values():
        assert code_of(lambda: future.result(WAIT)) == KafkaError.INVALID_CONFIG


def what_is_too_large_is_refused(addr):
    name = topic(addr, max_message_bytes=2000)
    said = produce(addr, name, plain([b"x" * 5000, b"small"]), message_max_bytes=10_000_000, linger_ms=0)
    refused = {value: error.code() for error, _, _, value in said if error}
    assert refused.get(b"x" * 5000) == KafkaError.MSG_SIZE_TOO_LARGE


def large_answers_are_cut_to_what_was_asked(addr):
    name = topic(addr)
    produce(addr, name, plain(values(300, size=50_000)), linger_ms=5)
    got = consume(addr, name, 300, fetch_max_bytes=1_000_000, max_partition_fetch_bytes=200_000,
                  receive_message_max_bytes=3_000_000, fetch_message_max_bytes=200_000)
    assert [m.value()[:6] for m in got] == [value[:6] for value in values(300)]


def an_unknown_topic_is_said_to_be_unknown_and_not_made(addr):
    name = f"none-{uuid.uuid4().hex}"
    described = admin(addr).describe_topics(TopicCollection([name]))[name]
    assert code_of(lambda: described.result(WAIT)) == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert name not in admin(addr).list_topics(timeout=WAIT).topics


def nulls_and_empties_are_not_the_same(addr):
    name = topic(addr)
    sent = [(b"", b"", None, 1, 0), (None, None, None, 2, 0), (b"k", None, [("h", b"")], 3, 0)]
    produce(addr, name, sent)
    got = [(m.key(), m.value(), m.headers()) for m in consume(addr, name, 3)]
    assert got == [(b"", b"", None), (None, None, None), (b"k", None, [("h", b"")])], got


TESTS = [
    every_codec_round_trips,
    every_level_of_acks_stores,
    reads_from_the_middle_of_a_batch,
    reads_from_a_time,
    watermarks_and_offsets,
    a_position_out_of_range_is_told,
    keys_go_where_murmur2_says,
    topics_are_created_listed_and_deleted,
    partitions_are_added,
    settings_are_described_and_altered,
    what_is_too_large_is_refused,
    large_answers_are_cut_to_what_was_asked,
    an_unknown_topic_is_said_to_be_unknown_and_not_made,
    nulls_and_empties_are_not_the_same,
]
