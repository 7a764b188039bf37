"""A member of a consumer group (librdkafka) that notes for `logquake check` what it knows: a process, to be killed.

    group_member.py ADDR TOPIC GROUP STRATEGY GROUP-NUMBER CLIENT BASE RECORDERS FILE [INSTANCE]

It processes records one by one and commits each. With an instance it is a static member (KIP-345). It leaves the group
when its standard input ends."""

import struct
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from groups import BACK, NEWER, PASSING, protocol
from history import Recorder
from librdkafka_client import WAIT


class Member:
    def __init__(self, addr, topic, group, strategy, number, client, notes, instance=None):
        self.topic, self.group, self.client, self.notes = topic, number, client, notes
        self.newer, self.cooperative = strategy == NEWER, strategy in (NEWER, "cooperative-sticky")
        self.told, self.next = -1, {}
        self.consumer = Consumer({
            "bootstrap.servers": addr, "group.id": group, "client.id": f"member-{client}", "log_level": 0,
            **protocol(strategy), **({"group.instance.id": instance} if instance else {}), "auto.offset.reset": "error",
            "enable.auto.commit": False, "reconnect.backoff.max.ms": 300, "topic.metadata.refresh.interval.ms": 2000})

    def generation(self):
        """The one it is in by now; -1 in none. librdkafka tells it only within what transactions take, as
        rd_kafka_consumer_group_metadata_write lays it out."""
        told = self.consumer.consumer_group_metadata()
        assert told[:7] == b"CGMDv2:", told
        number = struct.unpack_from("=i", told, 7)[0]
        # Of the newer protocol: 0 while it asks to be let in.
        return -1 if self.newer and number <= 0 else number

    def step(self, generation, step, **more):
        self.notes.note("group", client=self.client, incarnation=0, group=self.group, generation=generation, step=step,
                        **more)

    def hears(self, generation):
        """It is a member in that generation, and the coordinator has what its members own on record."""
        if generation < 0:
            return
        if generation != self.told:
            self.step(generation, "entered", leads=False)
            if not self.newer:
                self.step(generation, "synced")
            self.told = generation
        if self.newer:
            self.step(generation, "told")

    def assigned(self, _, partitions):
        generation = self.generation()
        self.hears(generation)
        begin = []
        for tp, found in self.looked_up([tp.partition for tp in partitions]):
            # Nothing was ever committed: from the start, as `auto.offset.reset=earliest`.
            position = max(found, 0)
            self.step(generation, "assigned", tp=tp, position=position)
            self.notes.assign(self.client, tp, position, False)
            self.next[tp] = position
            begin.append(TopicPartition(self.topic, tp, position))
        (self.consumer.incremental_assign if self.cooperative else self.consumer.assign)(begin)

    def looked_up(self, tps):
        """Asks itself where the group left off, because what librdkafka finds it does not tell."""
        until = time.monotonic() + BACK
        while tps:
            ops = [self.notes.call(self.client, "fetch_offset", group=self.group, tp=tp) for tp in tps]
            try:
                found = self.consumer.committed([TopicPartition(self.topic, tp) for tp in tps], WAIT)
            except KafkaException as error:
                code = error.args[0].code()
                for op in ops:
                    self.notes.returned(op, "info", code, "none")
                assert code in PASSING and time.monotonic() < until, error
                time.sleep(0.1)
                continue
            assert not any(tp.error for tp in found), found
            for op, tp in zip(ops, found):
                self.notes.returned(op, "ok", 0, "offset", offset=max(tp.offset, -1))
            return [(tp.partition, tp.offset) for tp in found]
        return []

    def revoked(self, _, partitions):
        for tp in partitions:
            self.step(self.told, "revoked", tp=tp.partition)

    def lost(self, _, partitions):
        self.told = -1
        for tp in partitions:
            self.step(-1, "lost", tp=tp.partition)

    def run(self, stopped):
        self.consumer.subscribe([self.topic], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.lost)
        while not stopped.is_set():
            message = self.consumer.poll(0.1)
            if self.newer and self.generation() != self.told:
                # An epoch comes by a heartbeat that was accepted, and by nothing else.
                self.hears(self.generation())
            if message is None:
                continue
            if message.error():
                assert message.error().retriable() or message.error().code() < 0, message.error()
                continue
            self.process(message)
        self.consumer.close()
        self.step(-1, "left")
        self.notes.note("quit", client=self.client, incarnation=0)

    def process(self, message):
        tp = message.partition()
        self.next[tp] = self.notes.polled(self.client, tp, self.next[tp], [message], -1, False)
        generation = self.generation()
        self.step(generation, "processed", tp=tp, position=self.next[tp])
        self.commit(message, tp, generation)

    def commit(self, message, tp, generation):
        """Which generation it stated is known if that is the same before and after, because none comes back."""
        op = self.notes.call(self.client, "commit", group=self.group, tp=tp, offset=self.next[tp],
                             generation=generation)
        try:
            self.consumer.commit(message, asynchronous=False)
            code = 0
        except KafkaException as error:
            code = error.args[0].code()
            assert code in PASSING, error
        known = code == 0 and generation == self.generation()
        # Of a failure only the last attempt is told; and what was not stated as noted did not happen as noted.
        self.notes.returned(op, "ok" if known else "info", code, "none")
        if known:
            # What only a member may it may: this proves it as an accepted heartbeat does.
            self.hears(generation)


def main():
    addr, topic, group, strategy, number, client, base, recorders, path, *instance = sys.argv[1:]
    notes = Recorder(path, int(base), int(client), int(recorders), buffering=1)
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    Member(addr, topic, group, strategy, int(number), int(client), notes, *instance).run(stopped)
    notes.close()


if __name__ == "__main__":
    main()
