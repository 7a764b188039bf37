"""kcat (an old librdkafka from Debian): what a person types at a prompt."""

import json
import subprocess

from librdkafka_client import consume, produce, topic


def kcat(addr, *args, stdin=b""):
    done = subprocess.run(["kcat", "-b", addr, "-m", "10", *args], input=stdin, capture_output=True, timeout=20)
    assert done.returncode == 0, f"kcat {args}: {done.stderr.decode()}"
    return done.stdout


def every_codec_round_trips(addr):
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        name = topic(addr)
        lines = b"".join(b"key%d:%s-%d\n" % (n, codec.encode(), n) for n in range(1000))
        kcat(addr, "-P", "-t", name, "-K:", "-z", codec, "-X", "linger.ms=20", stdin=lines)
        assert kcat(addr, "-C", "-t", name, "-o", "beginning", "-e", "-q", "-K:") == lines, codec


def reads_by_offset_and_by_time(addr):
    name = topic(addr)
    produce(addr, name, [(None, b"v%d" % n, None, 1_600_000_000_000 + n, 0) for n in range(10)])
    read = lambda where: kcat(addr, "-C", "-t", name, "-p", "0", "-o", where, "-e", "-q").split()
    assert read("7") == [b"v7", b"v8", b"v9"]
    assert read("-2") == [b"v8", b"v9"]
    assert read("s@1600000000008") == [b"v8", b"v9"]
    queried = kcat(addr, "-Q", "-t", f"{name}:0:1600000000004").decode()
    assert queried.strip() == f"{name} [0] offset 4", queried


def lists_what_is_there(addr):
    name = topic(addr, partitions=3)
    listed = json.loads(kcat(addr, "-L", "-J", "-t", name))
    assert [len(t["partitions"]) for t in listed["topics"] if t["topic"] == name] == [3]
    assert [b["name"] for b in listed["brokers"]] == [addr]


def headers_survive_between_clients(addr):
    name = topic(addr)
    kcat(addr, "-P", "-t", name, "-H", "a=1", "-H", "b=2", "-H", "a=3", "-k", "k", stdin=b"full\n")
    got = consume(addr, name, 1)[0]
    assert (got.key(), got.value(), got.headers()) == (b"k", b"full", [("a", b"1"), ("b", b"2"), ("a", b"3")])
    produce(addr, name, [(b"x", b"y", [("h", b"v")], 5, 0)])
    said = kcat(addr, "-C", "-t", name, "-o", "1", "-e", "-q", "-f", "%k %s %h %T %o\n")
    assert said == b"x y h=v 5 1\n", said


TESTS = [
    every_codec_round_trips,
    reads_by_offset_and_by_time,
    lists_what_is_there,
    headers_survive_between_clients,
]
