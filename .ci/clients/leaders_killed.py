"""Leaders of a three-broker cluster are killed with -9, one after the other, under the load of idempotent producers with
acks=all: nothing acknowledged may be lost, nothing duplicated, and the order must hold. `logquake check` is the judge."""

import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

import more_clients
from broker import Cluster
from history import Recorder, checksum, encode, merge
from librdkafka_client import WAIT, admin, topic

PARTITIONS = 6
RATE = 800
"""Records a second of each client."""
MOST_OPEN = 4000
"""Records without an answer, of each client."""
BACK = 60
"""Seconds that a cluster may take to be whole again."""


class Python:
    """confluent-kafka: a producer and a consumer that reads along, on a thread each."""

    PRODUCER, READER = 0, 1

    def __init__(self, addr, name, notes, rate=RATE):
        self.addr, self.name, self.notes, self.rate = addr, name, notes, rate
        self.acked, self.open, self.failed = [0] * PARTITIONS, 0, None
        self.stop, self.gone = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(work,)) for work in (self.produce, self.read)]
        for thread in self.threads:
            thread.start()

    def run(self, work):
        try:
            work()
        except BaseException as error:
            self.failed = error
            self.stop.set()

    def produce(self):
        producer = Producer({"bootstrap.servers": self.addr, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
                             "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 500, "log_level": 0,
                             "socket.timeout.ms": 10000, "topic.metadata.refresh.interval.ms": 5000})
        seqs, began, sent = [0] * PARTITIONS, time.monotonic(), 0
        while not self.stop.is_set():
            due = int((time.monotonic() - began) * self.rate)
            while sent < due and self.open < MOST_OPEN:
                tp = sent % PARTITIONS
                self.send(producer, tp, seqs[tp])
                seqs[tp] += 1
                sent += 1
            sent = due
            producer.poll(0.005)
        assert producer.flush(120) == 0, "records are left without an answer"
        self.notes.note("quit", client=self.PRODUCER, incarnation=0)
        self.gone.set()

    def send(self, producer, tp, seq):
        value, timestamp = encode(0, seq, tp), time.time_ns() // 1_000_000
        record = {"producer": 0, "incarnation": 0, "seq": seq}
        op = self.notes.call(self.PRODUCER, "send", tp=tp, id=record, checksum=checksum(value, timestamp),
                             timestamp=timestamp, acks=-1)

        def done(error, message):
            self.open -= 1
            if error is None:
                self.acked[tp] += 1
                return self.notes.returned(op, "ok", 0, "sent", offset=message.offset())
            # What a client gives up on may have been stored.
            return self.notes.returned(op, "info", error.code(), "none")

        self.open += 1
        producer.produce(self.name, value, partition=tp, on_delivery=done, timestamp=timestamp)

    def read(self):
        reader = Reading(self.addr, self.name, self.notes, self.READER, last=False)
        while not self.gone.is_set() and self.failed is None:
            reader.poll()
        reader.close()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if self.failed:
            raise self.failed


class Reading:
    """Reads every partition from its start."""

    def __init__(self, addr, name, notes, client, last):
        self.name, self.notes, self.client, self.last = name, notes, client, last
        self.consumer = Consumer({"bootstrap.servers": addr, "group.id": "none", "enable.auto.commit": False,
                                  "auto.offset.reset": "error", "check.crcs": True, "log_level": 0,
                                  "reconnect.backoff.max.ms": 500})
        self.next = [0] * PARTITIONS
        for tp in range(PARTITIONS):
            notes.assign(client, tp, 0, last)
        self.consumer.assign([TopicPartition(name, tp, 0) for tp in range(PARTITIONS)])

    def poll(self, highs=None):
        """Reads what there is within a moment."""
        found = [[] for _ in range(PARTITIONS)]
        for message in self.consumer.consume(1000, 0.2):
            if message.error():
                # Of a broker that was killed; the client finds the next leader by itself.
                assert message.error().retriable() or message.error().code() < 0, message.error()
                continue
            found[message.partition()].append(message)
        for tp, messages in enumerate(found):
            if messages:
                high = highs[tp] if highs else -1
                self.next[tp] = self.notes.polled(self.client, tp, self.next[tp], messages, high, self.last)

    def to_the_end(self):
        self.notes.note("phase", phase="final_read") if self.last else None
        highs = [self.consumer.get_watermark_offsets(TopicPartition(self.name, tp), WAIT)[1] for tp in range(PARTITIONS)]
        until = time.monotonic() + BACK
        while self.next != highs:
            assert time.monotonic() < until, f"read up to {self.next} of {highs}"
            self.poll(highs)

    def close(self):
        self.consumer.close()
        self.notes.note("quit", client=self.client, incarnation=0)


class Java:
    """Kafka's own client: a process that writes its own part of the history."""

    def __init__(self, addr, name, path, base):
        self.path = path
        command = ["java", "-cp", ":".join(more_clients.JARS), f"{more_clients.HERE}/java/Recorded.java"]
        self.process = subprocess.Popen([*command, addr, name, str(PARTITIONS), str(RATE), str(base), path],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "begun\n", self.process.communicate()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        out, errors = self.process.communicate("stop\n", timeout=180)
        assert self.process.returncode == 0, f"{out}\n{errors[-4000:]}"


class Trial:
    """The cluster, its clients, and the rounds."""

    def __init__(self, binary, rounds):
        self.binary, self.rounds = os.path.abspath(binary), rounds
        self.python, self.java = None, None
        self.root = tempfile.mkdtemp(prefix="logquake-history-")
        self.cluster = Cluster(binary, broker_session_timeout_ms=3000, broker_heartbeat_interval_ms=500,
                               min_insync_replicas=2)
        self.base = time.monotonic_ns()
        self.notes = Recorder(self.file("python"), self.base, 0, 2)
        self.name = topic(self.cluster.addr, PARTITIONS, replicas=3)
        self.whole()
        self.producers = [f"confluent-kafka {confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}"]

    def file(self, name):
        return os.path.join(self.root, f"{name}.jsonl")

    def partitions(self):
        return admin(self.cluster.addr).list_topics(self.name, WAIT).topics[self.name].partitions

    def until(self, what, found):
        until = time.monotonic() + BACK
        while not found():
            if self.python and self.python.failed:
                raise self.python.failed
            assert time.monotonic() < until, f"{what}: {self.partitions()}\n{self.cluster.said()}"
            time.sleep(0.05)

    def whole(self):
        def found():
            partitions = self.partitions().values()
            return len(partitions) == PARTITIONS and all(len(p.isrs) == 3 and p.leader in p.isrs for p in partitions)
        self.until("the in-sync sets are not whole", found)

    def round(self, number):
        at = random.Random(number).randrange(PARTITIONS)
        leader = self.partitions()[at].leader
        node, host = self.cluster.nodes[leader], f"broker-{leader}"
        began = time.monotonic()
        self.notes.note("strike", strike=number, fault="process_crash", on=f"{host}, leader of {self.name}-{at}, killed",
                        minority=True)
        node.kill()
        self.notes.note("down", host=host, node=leader, power=False, why=f"strike {number}")
        before = list(self.python.acked)
        self.until("nothing is acknowledged any more",
                   lambda: min(now - old for now, old in zip(self.python.acked, before)) > 20)
        over = time.monotonic()
        node.start()
        self.notes.note("up", host=host, node=leader, incarnation=number + 1)
        self.whole()
        self.notes.note("heal", strike=number)
        print(f"      round {number}: {host} killed, every partition written to again after {over - began:.1f} s, "
              f"in sync again {time.monotonic() - over:.1f} s after its start", flush=True)

    def play(self):
        self.notes.note("phase", phase="steady")
        self.python = Python(self.cluster.addr, self.name, self.notes)
        try:
            if more_clients.JARS:
                self.java = Java(self.cluster.addr, self.name, self.file("java"), self.base)
                self.producers.append(f"kafka-clients {more_clients.java_version()}")
            self.until("nothing is acknowledged", lambda: min(self.python.acked) > 50)
            self.notes.note("phase", phase="strikes")
            for number in range(self.rounds):
                self.round(number)
            self.notes.note("phase", phase="heal")
            time.sleep(1)
            self.notes.note("phase", phase="drain")
        finally:
            self.python.end()
        if self.java:
            self.java.end()
        last = Reading(self.cluster.addr, self.name, self.notes, 9, last=True)
        last.to_the_end()
        last.close()
        self.notes.close()
        assert self.cluster.alive(), self.cluster.said()

    def judge(self):
        paths = [self.file("python")] + ([self.file("java")] if self.java else [])
        merge(self.file("history"), self.header(), paths)
        done = subprocess.run([self.binary, "check", self.file("history")], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            kept = os.path.abspath("target/clients/leaders_killed.jsonl")
            shutil.copy(self.file("history"), kept)
            raise AssertionError(f"exit code {done.returncode}, the history is in {kept}\n{done.stdout}\n{done.stderr}")
        told = done.stdout.split("\n\n")
        print("\n".join(f"      {line}" for part in told[2:4] + told[-1:] for line in part.strip().split("\n")), flush=True)

    def header(self):
        contract = {"acks": -1, "brokers": 3, "replication": 3, "min_insync": 2, "unclean": False, "flush": "never",
                    "max_in_flight": 5, "idempotent": True, "retries": True, "retention": False, "power_loss": False,
                    "bit_rot": False, "clock_faults": False, "call_deadline_ms": 130_000, "drain_deadline_ms": 20_000,
                    "failover_ms": 20_000}
        return {"scenario": "leaders_killed", "seed": 0, "white_box": False, "least_strikes": self.rounds,
                "partitions": [f"{self.name}-{tp}" for tp in range(PARTITIONS)], "contract": contract,
                "producers": self.producers}

    def remove(self):
        if self.java:
            self.java.kill()
        self.cluster.remove()
        shutil.rmtree(self.root, ignore_errors=True)


def acknowledged_records_survive_killed_leaders(binary, rounds):
    trial = Trial(binary, rounds)
    try:
        trial.play()
        trial.judge()
    finally:
        trial.remove()


TESTS = [acknowledged_records_survive_killed_leaders]
