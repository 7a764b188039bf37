"""Groups of several clients on a three-broker cluster, whose members and brokers are killed with -9: each member notes
what it knows, and `logquake check` judges. Then what they noted is spoiled, and must be found broken."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

import more_clients
from broker import Cluster
from groups import BACK, NEWER, PASSING
from history import Recorder, merge
from leaders_killed import PARTITIONS, Python, Reading
from librdkafka_client import WAIT, admin, topic
from spoiled import SPOILED

MEMBERS = 3
GROUPS = [(strategy, ["librdkafka"] * MEMBERS) for strategy in ["range", "cooperative-sticky", NEWER]] + [
    ("range", ["static"] * MEMBERS)]
"""How each shares out, and whose clients its members are: `static` is librdkafka with a name that outlives it (KIP-345)."""
if more_clients.JARS and os.path.exists(f"{more_clients.INSTALLED}/js/node_modules"):
    GROUPS += [("roundrobin", ["librdkafka", "java", "kafkajs", "platformatic"])]
JS = {"kafkajs": "group_member.js", "platformatic": "group_platformatic.js"}
HISTORY = f"{more_clients.INSTALLED}/groups_judged.jsonl"
"""Stays where it is if it is not as it should be."""
RATE = 60
"""Records a second, each for every group."""
RECORDERS = 1024
ASKER, LAST, FIRST = 2, 9, 10
"""Clients: who looks up what the groups have committed, who reads everything in the end, the first member."""


def command(kind):
    here, classes = more_clients.HERE, f"{more_clients.INSTALLED}/classes"
    if kind == "java":
        jars = ":".join(more_clients.JARS)
        if not os.path.exists(classes):
            more_clients.run("javac", "-cp", jars, "-d", classes, f"{here}/java/Recorded.java",
                             f"{here}/java/GroupMember.java")
        return ["java", "-cp", f"{jars}:{classes}", "GroupMember"]
    return ["node", f"{here}/js/{JS[kind]}"] if kind in JS else [sys.executable, f"{here}/group_member.py"]


class Member:
    """A process that writes its own part of the history."""

    def __init__(self, trial, group, kind, client, instance):
        self.trial, self.group, self.kind, self.client, self.instance = trial, group, kind, client, instance
        self.path = trial.file(f"member-{client}")
        # It may be killed before it has written anything.
        open(self.path, "w").close()
        said = open(trial.file(f"said-{client}"), "w")
        args = [trial.cluster.addr, trial.name, trial.group(group), GROUPS[group][0], group, client, trial.base,
                RECORDERS]
        self.process = subprocess.Popen(
            [*command(kind), *map(str, args), self.path, *instance], stdin=subprocess.PIPE, stdout=said, stderr=said,
            env={**os.environ, "NODE_PATH": f"{more_clients.INSTALLED}/js/node_modules"})

    def steps(self):
        with open(self.path) as noted:
            lines = [line for line in noted if '"kind":"group"' in line and line.endswith("\n")]
        return [json.loads(line) for line in lines]

    def holds(self):
        held = set()
        for step in self.steps():
            if step["step"] == "assigned":
                held.add(step["tp"])
            if step["step"] in ("revoked", "lost"):
                held.discard(step["tp"])
        return held

    def generation(self):
        """The last that it knows it was in."""
        return next((step["generation"] for step in reversed(self.steps()) if step["step"] == "entered"), -1)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.trial.notes.note("quit", client=self.client, incarnation=0)

    def said(self):
        with open(self.trial.file(f"said-{self.client}")) as said:
            return said.read()[-2000:]

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0, self.said()


class Trial:
    def __init__(self, binary, rounds):
        self.binary, self.rounds = os.path.abspath(binary), rounds
        self.root = tempfile.mkdtemp(prefix="logquake-groups-")
        self.load, self.members, self.all, self.strikes = None, [], [], 0
        shutil.rmtree(f"{more_clients.INSTALLED}/classes", ignore_errors=True)
        self.cluster = Cluster(binary, broker_session_timeout_ms=3000, broker_heartbeat_interval_ms=500,
                               min_insync_replicas=2, offsets_topic_num_partitions=4,
                               group_initial_rebalance_delay_ms=300, group_consumer_heartbeat_interval_ms=500,
                               group_consumer_session_timeout_ms=6000)
        self.base = time.monotonic_ns()
        self.notes = Recorder(self.file("trial"), self.base, 0, RECORDERS)
        self.name = topic(self.cluster.addr, PARTITIONS, replicas=3)

    def file(self, name):
        return os.path.join(self.root, f"{name}.jsonl")

    def group(self, number):
        return f"{self.name}-{number}"

    def until(self, what, found, patience=BACK):
        until = time.monotonic() + patience
        while not found():
            if self.load and self.load.failed:
                raise self.load.failed
            for member in self.members:
                assert member.process.poll() is None, f"{member.kind} in {GROUPS[member.group][0]}: {member.said()}"
            assert time.monotonic() < until, f"{what}: {self.shares()}\n{self.said()}"
            time.sleep(0.1)

    def said(self):
        """By the members and by the brokers: what a failure is understood from."""
        members = (f"{member.client}, {member.kind}: {member.said()}" for member in self.members)
        return "\n".join([*members, self.cluster.said()])

    def shares(self):
        return [[sorted(m.holds()) for m in self.members if m.group == group] for group in range(len(GROUPS))]

    def shared(self, which=lambda strategy: True):
        """Every member of every group has its part, and all are in one generation: by their own accounts."""
        even = lambda count: sorted(PARTITIONS // count + (at < PARTITIONS % count) for at in range(count))
        of = lambda group: [member for member in self.members if member.group == group]
        return all(sorted(len(member.holds()) for member in of(group)) == even(len(kinds))
                   and len({member.generation() for member in of(group)}) == 1
                   for group, (strategy, kinds) in enumerate(GROUPS) if which(strategy))

    def in_sync(self, count):
        """The groups' own topic, too: whoever has what was committed must not be the next to go, alone."""
        try:
            topics = admin(self.cluster.addr).list_topics(timeout=WAIT).topics.values()
        except KafkaException as error:
            assert error.args[0].code() in PASSING, error
            return False
        return min(len(p.isrs) for topic in topics for p in topic.partitions.values()) == count

    def joins(self, group, kind, instance=None):
        client = FIRST + len(self.all)
        if instance is None:
            instance = [f"instance-{client}"] if kind == "static" else []
        member = Member(self, group, kind, client, instance)
        self.members.append(member)
        self.all.append(member)
        return member

    def gather(self):
        """One after the other: librdkafka 2.16.0 may say that it owns nothing in the moment in which it hands its
        application what it was just given; whoever joins then is given that too, by Kafka's rules: B19 is broken."""
        turns = itertools.zip_longest(*([(group, kind) for kind in kinds] for group, (_, kinds) in enumerate(GROUPS)))
        for group, kind in filter(None, itertools.chain(*turns)):
            mine = self.joins(group, kind)
            self.until("it is given nothing", mine.holds)
        self.until("the groups are not shared out", self.shared)

    def strikes_at(self, fault, on):
        self.strikes += 1
        self.notes.note("strike", strike=self.strikes, fault=fault, on=on, minority=True)
        return self.strikes

    def member_killed(self, group, number):
        members = [member for member in self.members if member.group == group]
        victim = members[number % len(members)]
        strike = self.strikes_at("process_crash", f"member {victim.client} of group {group}, killed")
        victim.kill()
        self.members.remove(victim)
        self.joins(group, victim.kind, victim.instance)
        self.notes.note("heal", strike=strike)

    def broker_killed(self, number):
        """Every member is there when it goes, and when it comes; it is missed before it comes: see groups.py."""
        at = number % 3
        node, host = self.cluster.nodes[at], f"broker-{at}"
        strike = self.strikes_at("process_crash", f"{host}, killed")
        node.kill()
        self.notes.note("down", host=host, node=at, power=False, why=f"strike {strike}")
        self.until("nobody misses it", lambda: self.in_sync(2))
        node.start()
        self.notes.note("up", host=host, node=at, incarnation=number // 3 + 1)
        self.until("it is not in sync again", lambda: self.in_sync(3))
        self.notes.note("heal", strike=strike)

    def round(self, number):
        began = time.monotonic()
        for group in range(len(GROUPS)):
            self.member_killed(group, number)
        # Half of the rounds: both at once. Not of the newer protocol: a member that its coordinator waits for, and that
        # does not know of that, may keep a partition from everyone for as long as `max.poll.interval.ms`.
        which = (lambda _: True) if number % 2 == 0 else (lambda strategy: strategy == NEWER)
        self.until("no new member takes the place of one that is gone", lambda: self.shared(which))
        self.broker_killed(number)
        self.until("not every member has its part", self.shared)
        print(f"      round {number}: a member of each group killed, broker-{number % 3} killed, shared out again "
              f"after {time.monotonic() - began:.1f} s", flush=True)

    def play(self):
        self.notes.note("phase", phase="steady")
        self.load = Python(self.cluster.addr, self.name, self.notes, RATE)
        try:
            self.gather()
            self.until("the topics are not in sync", lambda: self.in_sync(3))
            self.notes.note("phase", phase="strikes")
            for number in range(self.rounds):
                self.round(number)
            # kafkajs may take seconds over a commit to a coordinator that is gone, and be replaced meanwhile.
            self.until("a group stays behind", lambda: self.keeps_up() and self.shared())
            self.notes.note("phase", phase="heal")
            time.sleep(1)
            self.notes.note("phase", phase="drain")
        finally:
            self.load.end()
        self.until("not everything is committed", self.all_committed)
        last = Reading(self.cluster.addr, self.name, self.notes, LAST, last=True)
        last.to_the_end()
        last.close()
        for member in self.members:
            member.end()
        self.members = []
        # Nobody is there to say it again.
        assert self.all_committed()
        self.notes.close()
        assert self.cluster.alive(), self.cluster.said()

    def keeps_up(self):
        """No group is more than two seconds behind."""
        late = 2 * RATE // PARTITIONS
        acked = list(self.load.acked)
        behind = lambda group: max(due - at for at, due in zip(self.committed(group), acked))
        return all(behind(group) <= late for group in range(len(GROUPS)))

    def all_committed(self):
        """Looks that up as a client of no group's, and notes it."""
        return all([self.committed(group) == self.load.acked for group in range(len(GROUPS))])

    def committed(self, group):
        asker = Consumer({"bootstrap.servers": self.cluster.addr, "group.id": self.group(group), "log_level": 0})
        try:
            ops = [self.notes.call(ASKER, "fetch_offset", group=group, tp=tp) for tp in range(PARTITIONS)]
            found = asker.committed([TopicPartition(self.name, tp) for tp in range(PARTITIONS)], WAIT)
            for op, tp in zip(ops, found):
                self.notes.returned(op, "ok", 0, "offset", offset=max(tp.offset, -1))
            return [tp.offset for tp in found]
        finally:
            asker.close()

    def header(self):
        contract = {"acks": -1, "brokers": 3, "replication": 3, "min_insync": 2, "unclean": False, "flush": "never",
                    "max_in_flight": 5, "idempotent": True, "retries": True, "retention": False, "power_loss": False,
                    "bit_rot": False, "clock_faults": False, "groups": len(GROUPS), "call_deadline_ms": 130_000,
                    "drain_deadline_ms": 20_000, "failover_ms": 20_000}
        return {"scenario": "groups_judged", "seed": 0, "white_box": False, "least_strikes": self.strikes,
                "partitions": [f"{self.name}-{tp}" for tp in range(PARTITIONS)], "contract": contract}

    def judge(self):
        merge(HISTORY, self.header(), [self.file("trial"), *(member.path for member in self.all)])
        report, said = judged(self.binary, HISTORY)
        assert report["verdict"] == "pass", f"the history is in {HISTORY}\n{said}"
        told = {one["invariant"]: one["count"] for one in report["evidence"]}
        handed = sum(group["handoffs"] for group in report["groups"])
        print(f"      {self.strikes} strikes, {report['cost']['acked']} records, {handed} hand-offs; judged: "
              f"{told['B9']} records of groups (B9), {told['B11']} commits (B11, B18g), {told['B17']} look-ups (B17), "
              f"{told['B19']} assignments (B19), {told['L4']} ends (L4)", flush=True)

    def spoil(self):
        """What finds nothing must be able to find something."""
        with open(HISTORY) as history:
            header, *events = map(json.loads, history)
        for broken, spoils in SPOILED.items():
            with open(self.file("spoiled"), "w") as out:
                out.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in [header, *spoils(events)])
            report, said = judged(self.binary, self.file("spoiled"))
            found = {one["invariant"] for one in report["evidence"] if one["violations"]}
            assert broken in found and "M5" not in found, f"{spoils.__name__}: {found}\n{said}"
        print(f"      spoiled: {', '.join(s.__name__ for s in SPOILED.values())}; each found broken", flush=True)
        os.remove(HISTORY)

    def remove(self):
        for member in self.members:
            member.process.kill()
            member.process.wait()
        self.cluster.remove()
        shutil.rmtree(self.root, ignore_errors=True)


def judged(binary, history):
    done = subprocess.run([binary, "check", "--json", history], capture_output=True, text=True, timeout=300)
    assert done.stdout, f"{history} cannot be judged: {done.stderr}"
    return json.loads(done.stdout), done.stdout[:6000] + done.stderr


def groups_are_judged_by_what_members_know(binary, rounds):
    trial = Trial(binary, rounds)
    try:
        trial.play()
        trial.judge()
        trial.spoil()
    finally:
        trial.remove()


TESTS = [groups_are_judged_by_what_members_know]
