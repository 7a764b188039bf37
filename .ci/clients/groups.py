"""Consumer groups of confluent-kafka (librdkafka), eager, cooperative and of the newer protocol (KIP-848), through members that come and go and brokers that
are killed: every record is handed out, no partition is two members' at once, and how far they have come is not forgotten."""

import math
import signal
import subprocess
import sys
import threading
import time
import uuid

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition

from broker import Cluster
from librdkafka_client import WAIT, admin, plain, produce, topic, values, watermarks

PARTITIONS = 6
RECORDS = 1200
NEWER = "consumer"
"""Stands for a strategy: `group.protocol=consumer`, in which the broker shares out."""
BACK = 60
"""Seconds that a group may take to have read everything."""
SILENT = 2
"""Seconds after which a member that is not heard of may be thrown out: a little less than the shortest session."""
PASSING = {
    KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.REQUEST_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._WAIT_COORD,
    KafkaError._ASSIGNMENT_LOST, KafkaError._STATE, KafkaError.STALE_MEMBER_EPOCH, KafkaError.FENCED_MEMBER_EPOCH,
}
"""Errors of a rebalance, or of a coordinator that is gone."""


def protocol(strategy):
    if strategy == NEWER:
        return {"group.protocol": "consumer"}
    return {"partition.assignment.strategy": strategy, "session.timeout.ms": 6000, "heartbeat.interval.ms": 300}


class Group:
    """Its members, and what they saw."""

    def __init__(self, addr, strategy, **config):
        self.addr, self.strategy, self.config = addr, strategy, config
        self.id, self.lock = f"g-{uuid.uuid4().hex[:8]}", threading.Lock()
        self.owner, self.seen, self.rebalances, self.failed = {}, {}, 0, None
        # Since when members are inside a commit that waits, or failed: they are told nothing, and librdkafka 2.16 may send no heartbeat either:
        # each time it tries a commit again whose connection broke, it forgets the coordinator that it has just found. The
        # group goes on without them, and what they had is another's before they hear of it.
        self.waiting, self.overtaken = {}, set()

    def member(self, name, **config):
        return Member(self, name, {**self.config, **config})

    def took(self, name, partitions):
        with self.lock:
            self.rebalances += 1
            for at in partitions:
                before = self.owner.get(at)
                if before != name and time.monotonic() - self.waiting.get(before, math.inf) > SILENT:
                    self.overtaken.add((before, at))
                else:
                    assert before in (None, name), f"partition {at} is {name}'s while it is {before}'s"
                self.owner[at] = name

    def gave(self, name, partitions):
        with self.lock:
            for at in partitions:
                if (name, at) in self.overtaken:
                    self.overtaken.remove((name, at))
                    continue
                assert self.owner.get(at) == name, f"{name} gives {at}, which is {self.owner.get(at)}'s"
                self.owner[at] = None

    def until(self, what, found):
        until = time.monotonic() + BACK
        while not found():
            if self.failed:
                raise self.failed
            assert time.monotonic() < until, f"{what}: owners {self.owner}, {len(self.seen)} records seen"
            time.sleep(0.02)

    def committed(self, name):
        """Asked as a consumer: librdkafka 2.16's admin client aborts the process when the coordinator dies meanwhile."""
        asker = Consumer({"bootstrap.servers": self.addr, "group.id": self.id, "log_level": 0,
                          "reconnect.backoff.max.ms": 300})
        until = time.monotonic() + BACK
        try:
            while True:
                try:
                    told = asker.committed([TopicPartition(name, at) for at in range(PARTITIONS)], WAIT)
                    return [tp.offset for tp in told]
                except KafkaException as error:
                    # Its coordinator was killed, and another is not found yet.
                    assert error.args[0].code() in PASSING and time.monotonic() < until, error
                    time.sleep(0.1)
        finally:
            asker.close()


class Member:
    """A consumer on a thread of its own. It commits what it has been handed out, one by one."""

    def __init__(self, group, name, config):
        self.group, self.name, self.stop = group, name, threading.Event()
        self.consumer = Consumer({
            "bootstrap.servers": group.addr, "group.id": group.id, "client.id": name, "log_level": 0,
            **protocol(group.strategy), "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 300, "topic.metadata.refresh.interval.ms": 2000, **config})
        self.thread = threading.Thread(target=self.run)

    def begin(self, topic):
        ids = lambda partitions: [tp.partition for tp in partitions]
        self.consumer.subscribe([topic], on_assign=lambda _, all: self.group.took(self.name, ids(all)),
                                on_revoke=lambda _, all: self.group.gave(self.name, ids(all)),
                                on_lost=lambda _, all: self.group.gave(self.name, ids(all)))
        self.thread.start()
        return self

    def run(self):
        try:
            while not self.stop.is_set():
                message = self.consumer.poll(0.1)
                if message is None:
                    continue
                if message.error():
                    assert message.error().retriable() or message.error().code() < 0, message.error()
                    continue
                with self.group.lock:
                    at = (message.partition(), message.offset())
                    self.group.seen[at] = self.group.seen.get(at, 0) + 1
                self.commit(message)
            self.consumer.close()
        except BaseException as error:
            self.group.failed = error

    def commit(self, message):
        """A commit that a rebalance or a dead broker came in between is made good by the next."""
        self.group.waiting.setdefault(self.name, time.monotonic())
        try:
            self.consumer.commit(message, asynchronous=False)
            del self.group.waiting[self.name]
        except KafkaException as error:
            if error.args[0].code() not in PASSING:
                raise

    def end(self):
        self.stop.set()
        self.thread.join()
        if self.group.failed:
            raise self.group.failed


def fill(addr, name, rounds=1):
    for _ in range(rounds):
        for at in range(PARTITIONS):
            said = produce(addr, name, plain(values(RECORDS // PARTITIONS), at), message_timeout_ms=60000)
            assert all(error is None for error, *_ in said)


def all_read(group, name, rounds=1):
    each = rounds * RECORDS // PARTITIONS
    group.until("not everything is read", lambda: len(group.seen) == rounds * RECORDS)
    group.until("not everything is committed", lambda: group.committed(name) == [each] * PARTITIONS)


def members_come_and_go(addr):
    for strategy in ["range", "roundrobin", "cooperative-sticky", NEWER]:
        name, group = topic(addr, PARTITIONS), Group(addr, strategy)
        share = lambda: sorted(list(group.owner.values()).count(name) for name in "abc")
        fill(addr, name)
        members = [group.member(member).begin(name) for member in "abc"]
        group.until("three do not share", lambda: share() == [2, 2, 2])
        members.pop(1).end()
        group.until("two do not share", lambda: share() == [0, 3, 3])
        all_read(group, name)
        again = sum(group.seen.values()) - len(group.seen)
        # Of what a member that gives a partition had been handed out, all was committed but the last.
        assert again <= PARTITIONS * group.rebalances, f"{again} records came again"
        for member in members:
            member.end()
        assert set(group.owner.values()) == {None}


def a_static_member_comes_back_without_a_rebalance(addr):
    name, group = topic(addr, PARTITIONS), Group(addr, "range")
    one = group.member("a", **{"group.instance.id": "first"}).begin(name)
    two = group.member("b", **{"group.instance.id": "second"}).begin(name)
    group.until("two do not share", lambda: sorted(list(group.owner.values()).count(m) for m in "ab") == [3, 3])
    before = group.rebalances
    one.end()
    one = group.member("a", **{"group.instance.id": "first"}).begin(name)
    group.until("it does not come back", lambda: list(group.owner.values()).count("a") == 3)
    assert group.rebalances == before + 1, "only the one that came back was assigned anything"
    one.end()
    two.end()


def a_group_of_the_newer_protocol_is_told_what_it_is(addr):
    """By a regular expression that the broker reads, a static member that comes back, and what administrators see."""
    name, other = topic(addr, PARTITIONS), topic(addr, 1)
    group = Group(addr, NEWER)
    fixed = {"group.instance.id": "first", "group.remote.assignor": "range"}
    one = group.member("a", **fixed).begin(name)
    two = group.member("b").begin(f"^{name[:-1]}.$")
    halves = lambda: sorted(list(group.owner.values()).count(m) for m in "ab") == [3, 3]
    group.until("two do not share", halves)
    told = admin(addr).describe_consumer_groups([group.id])[group.id].result(WAIT)
    assert (told.state.name, told.type.name, told.partition_assignor) == ("STABLE", "CONSUMER", "range"), told.state
    assert sorted(len(m.assignment.topic_partitions) for m in told.members) == [3, 3] and other
    listed = admin(addr).list_consumer_groups().result(WAIT).valid
    assert [one.type.name for one in listed if one.group_id == group.id] == ["CONSUMER"]
    before = group.rebalances
    one.end()
    one = group.member("a", **fixed).begin(name)
    group.until("it does not come back", halves)
    assert group.rebalances == before + 1, "only the one that came back was assigned anything"
    one.end()
    two.end()
    # A group without members may be of the other protocol; one that said it would be back is a member for a while.
    state = lambda: admin(addr).describe_consumer_groups([group.id])[group.id].result(WAIT).state.name
    group.until("somebody is there", lambda: state() == "EMPTY")
    group.strategy = "range"
    old = group.member("c").begin(name)
    group.until("it is not assigned everything", lambda: list(group.owner.values()).count("c") == PARTITIONS)
    old.end()


LONER = """
import sys
from confluent_kafka import Consumer
one = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[2], "group.protocol": "consumer"})
one.subscribe([sys.argv[3]], on_assign=lambda _, all: print(len(all), flush=True))
while True:
    one.poll(0.1)
"""


def a_killed_member_is_replaced(broker):
    name, group = topic(broker.addr, PARTITIONS), Group(broker.addr, NEWER)
    loner = subprocess.Popen([sys.executable, "-c", LONER, broker.addr, group.id, name], stdout=subprocess.PIPE)
    assert loner.stdout.readline().strip() == str(PARTITIONS).encode()
    member = group.member("a").begin(name)
    mine = lambda: list(group.owner.values()).count("a")
    group.until("it is not given its half", lambda: mine() == PARTITIONS // 2)
    loner.send_signal(signal.SIGKILL)
    loner.wait()
    fill(broker.addr, name)
    group.until("it is not given the rest", lambda: mine() == PARTITIONS)
    all_read(group, name)
    member.end()


def a_group_is_described_and_deleted(addr):
    name, group = topic(addr, PARTITIONS), Group(addr, "range")
    fill(addr, name)
    member = group.member("a").begin(name)
    all_read(group, name)
    told = admin(addr).describe_consumer_groups([group.id])[group.id].result(WAIT)
    assert (told.state.name, told.partition_assignor, len(told.members)) == ("STABLE", "range", 1)
    assert (told.members[0].client_id, len(told.members[0].assignment.topic_partitions)) == ("a", PARTITIONS)
    listed = admin(addr).list_consumer_groups().result(WAIT).valid
    assert group.id in [one.group_id for one in listed]
    try:
        admin(addr).delete_consumer_groups([group.id])[group.id].result(WAIT)
        raise AssertionError("a group with members was deleted")
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.NON_EMPTY_GROUP
    member.end()
    back = ConsumerGroupTopicPartitions(group.id, [TopicPartition(name, 0, 7)])
    admin(addr).alter_consumer_group_offsets([back])[group.id].result(WAIT)
    assert group.committed(name)[0] == 7
    admin(addr).delete_consumer_groups([group.id])[group.id].result(WAIT)
    assert group.committed(name) == [-1001] * PARTITIONS


def a_group_survives_a_killed_broker(broker):
    # Before any kill: an administrator that has just lost its broker may take long to try again.
    names = {strategy: topic(broker.addr, PARTITIONS) for strategy in ["range", "cooperative-sticky", NEWER]}
    for strategy, name in names.items():
        group = Group(broker.addr, strategy)
        members = [group.member(member).begin(name) for member in "ab"]
        for round in range(1, 4):
            fill(broker.addr, name)
            group.until("nothing is read", lambda: len(group.seen) > (round - 1) * RECORDS + RECORDS // 4)
            broker.kill()
            broker.start()
            all_read(group, name, round)
        for member in members:
            member.end()
        assert watermarks(broker.addr, name) == (0, 3 * RECORDS // PARTITIONS)
        # Nobody is there to say it again.
        broker.kill()
        broker.start()
        assert group.committed(name) == [3 * RECORDS // PARTITIONS] * PARTITIONS


def a_group_survives_its_coordinators(binary, rounds):
    for strategy in ["cooperative-sticky", NEWER]:
        survives_its_coordinators(binary, rounds, strategy)


def survives_its_coordinators(binary, rounds, strategy):
    """Brokers of a cluster are killed one after the other, whoever coordinates."""
    cluster = Cluster(binary, broker_session_timeout_ms=3000, broker_heartbeat_interval_ms=500, min_insync_replicas=2,
                      offsets_topic_num_partitions=4, group_initial_rebalance_delay_ms=300,
                      group_consumer_heartbeat_interval_ms=500)

    def in_sync(count):
        """The groups' own topic, too: whoever has what was committed must not be the next to go, alone."""
        try:
            topics = admin(cluster.addr).list_topics(timeout=WAIT).topics.values()
        except KafkaException as error:
            # It kept to the broker that was killed.
            assert error.args[0].code() in PASSING, error
            return False
        return min(len(p.isrs) for topic in topics for p in topic.partitions.values()) == count

    def back():
        return in_sync(3)

    def kill(node):
        """And waits until the others know: a broker that is there again before they do is in sync only by name, and the
        next one that is killed may have been the last to have what was committed."""
        node.kill()
        group.until("nobody misses it", lambda: in_sync(2))

    # A member whose session ends while it looks for its coordinator is replaced before it can hear of that.
    patient = {} if strategy == NEWER else {"session.timeout.ms": 30000}
    try:
        name, group = topic(cluster.addr, PARTITIONS, replicas=3), Group(cluster.addr, strategy, **patient)
        members = [group.member(member).begin(name) for member in "abc"]
        for number in range(1, rounds + 2):
            fill(cluster.addr, name)
            group.until("nothing is read", lambda: len(group.seen) > (number - 1) * RECORDS + RECORDS // 4)
            node = cluster.nodes[number % 3]
            kill(node)
            began = time.monotonic()
            all_read(group, name, number)
            print(f"      broker-{number % 3} killed and missed, everything read and committed after "
                  f"{time.monotonic() - began:.1f} s", flush=True)
            node.start()
            group.until("it is not in sync again", back)
        for member in members:
            member.end()
        # Nobody is there to say it again.
        for node in cluster.nodes:
            kill(node)
            assert group.committed(name) == [(rounds + 1) * RECORDS // PARTITIONS] * PARTITIONS
            node.start()
            group.until("it is not in sync again", back)
        assert cluster.alive(), cluster.said()
    finally:
        cluster.remove()


TESTS = [members_come_and_go, a_static_member_comes_back_without_a_rebalance, a_group_is_described_and_deleted,
         a_group_of_the_newer_protocol_is_told_what_it_is]
KILLED = [a_group_survives_a_killed_broker, a_killed_member_is_replaced]
CLUSTER = [a_group_survives_its_coordinators]
