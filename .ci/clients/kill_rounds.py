"""kill -9 under load, again and again: nothing that was acknowledged may be gone, or be anywhere else."""

import subprocess
import threading
import time

from confluent_kafka import Producer

from librdkafka_client import WAIT, consume, topic, watermarks

ROUNDS = 5


class Load:
    """A producer on a thread of its own that remembers what was acknowledged."""

    def __init__(self, addr, name, partitions, codec, **more):
        self.acked, self.sent, self.stop = {}, 0, threading.Event()
        self.producer = Producer({"bootstrap.servers": addr, "acks": "all", "linger.ms": 1, "compression.type": codec,
                                  "message.timeout.ms": 30000, "reconnect.backoff.max.ms": 200,
                                  "socket.timeout.ms": 5000, "log_level": 0, **more})
        self.name, self.partitions = name, partitions
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def done(self, error, message):
        if error is None:
            self.acked[(message.partition(), message.offset())] = message.value()

    def run(self):
        while not self.stop.is_set():
            for _ in range(50):
                value = f"{self.sent:08d}".encode() * 8
                self.producer.produce(self.name, value, partition=self.sent % self.partitions, callback=self.done)
                self.sent += 1
            self.producer.poll(0.002)
        assert self.producer.flush(30) == 0

    def end(self):
        self.stop.set()
        self.thread.join()


def killed_again_and_again(broker, load):
    before = 0
    for _ in range(ROUNDS):
        until = time.monotonic() + WAIT
        while len(load.acked) < before + 500:
            assert time.monotonic() < until, f"no progress: {len(load.acked)} acknowledged\n{broker.said()}"
            time.sleep(0.01)
        broker.kill()
        before = len(load.acked)
        broker.start()
    load.end()


def nothing_acknowledged_is_lost(broker):
    for codec in ["none", "lz4"]:
        name = topic(broker.addr, partitions=2, flush_messages=1)
        load = Load(broker.addr, name, 2, codec)
        killed_again_and_again(broker, load)
        compare(broker.addr, name, load.acked)


def idempotent_producers_lose_nothing_and_repeat_nothing(broker):
    """All that was sent is there, once, in the order sent."""
    name = topic(broker.addr, partitions=2, flush_messages=1)
    load = Load(broker.addr, name, 2, "none", **{"enable.idempotence": True})
    killed_again_and_again(broker, load)
    compare(broker.addr, name, load.acked)
    assert len(load.acked) == load.sent, f"{load.sent} sent, {len(load.acked)} acknowledged"
    for partition in range(2):
        low, high = watermarks(broker.addr, name, partition)
        numbers = [int(m.value()[:8]) for m in consume(broker.addr, name, high, partition=partition)]
        assert numbers == list(range(partition, load.sent, 2)), \
            f"{len(numbers)} stored, {len(set(numbers))} different, of {(load.sent + 1 - partition) // 2} sent"


def compare(addr, name, acked):
    stored = {}
    for partition in range(2):
        low, high = watermarks(addr, name, partition)
        assert low == 0
        for message in consume(addr, name, high, partition=partition):
            stored[(partition, message.offset())] = message.value()
    wrong = [(at, value, stored.get(at)) for at, value in acked.items() if stored.get(at) != value]
    assert not wrong, f"{len(wrong)} of {len(acked)} acknowledged records are gone or changed, first {wrong[:3]}"
    assert len(acked) > 1000


def kcat_s_acknowledged_lines_survive(broker):
    name = topic(broker.addr, flush_messages=1)
    for round in range(3):
        lines = b"".join(b"%d-%d\n" % (round, n) for n in range(200))
        done = subprocess.run(["kcat", "-b", broker.addr, "-P", "-t", name, "-p", "0", "-X", "acks=all"], input=lines,
                              timeout=20)
        assert done.returncode == 0
        broker.kill()
        broker.start()
    got = [m.value() for m in consume(broker.addr, name, 600)]
    assert got == [b"%d-%d" % (round, n) for round in range(3) for n in range(200)]


def topics_and_settings_survive(broker):
    from librdkafka_client import admin, configs
    name = topic(broker.addr, partitions=3, retention_ms=777777)
    gone = topic(broker.addr)
    admin(broker.addr).delete_topics([gone])[gone].result(WAIT)
    broker.kill()
    broker.start()
    topics = admin(broker.addr).list_topics(timeout=WAIT).topics
    assert (len(topics[name].partitions), gone in topics) == (3, False)
    assert configs(broker.addr, name)["retention.ms"] == "777777"


TESTS = [nothing_acknowledged_is_lost, idempotent_producers_lose_nothing_and_repeat_nothing,
         kcat_s_acknowledged_lines_survive, topics_and_settings_survive]
