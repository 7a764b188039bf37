"""Histories as `logquake check` reads them: what clients asked, what they were answered, what was read, what was done to the
brokers. One JSON object a line, in the order of one clock (CLOCK_MONOTONIC, which Python and Java share)."""

import heapq
import json
import struct
import threading
import time

VALUE_BYTES = 64


def table():
    def entry(n):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        return n
    return [entry(n) for n in range(256)]


TABLE = table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def encode(producer, seq, tp):
    """A value that says which record it is, as harness/src/history/value.rs lays it out."""
    head = struct.pack(">4sIHQI", b"LQ1\0", producer, 0, seq, tp)
    filler = b"logquake" * (VALUE_BYTES // 8)
    filler = filler[:VALUE_BYTES - len(head) - 4]
    return head + struct.pack(">I", crc32c(head + filler)) + filler


def decode(value):
    """Which record a value says it is; None if it is none of ours or is damaged."""
    if value is None or len(value) < 26 or value[:4] != b"LQ1\0":
        return None
    if struct.unpack(">I", value[22:26])[0] != crc32c(value[:22] + value[26:]):
        return None
    producer, incarnation, seq = struct.unpack(">IHQ", value[4:18])
    return {"producer": producer, "incarnation": incarnation, "seq": seq}


def checksum(value, timestamp):
    """Over a record without key and headers."""
    return crc32c(struct.pack(">qqq", timestamp, -1, len(value)) + value)


class Recorder:
    """Notes events from any thread. Operations are numbered by when they began, so that several recorders can be merged."""

    def __init__(self, path, base, number, recorders, buffering=-1):
        """Whoever may be killed passes 1 for `buffering`, and leaves every line that it wrote."""
        self.file, self.base, self.number, self.recorders = open(path, "w", buffering), base, number, recorders
        self.path, self.last, self.lock = path, 0, threading.Lock()

    def now(self):
        self.last = max(self.last + 1, time.monotonic_ns() - self.base)
        return self.last

    def note(self, kind, **more):
        with self.lock:
            self.write(self.now(), kind, more)

    def write(self, at, kind, more):
        self.file.write(json.dumps({"at": at, "kind": kind, **more}, separators=(",", ":")) + "\n")

    def call(self, client, call, **more):
        with self.lock:
            at = self.now()
            op = at * self.recorders + self.number
            self.write(at, "call", {"op": op, "client": client, "incarnation": 0, "call": {"call": call, **more}})
            return op

    def returned(self, op, outcome, code, reply, **more):
        self.note("return", op=op, outcome=outcome, code=code, reply={"reply": reply, **more})

    def assign(self, client, tp, position, last):
        self.returned(self.call(client, "assign", tp=tp, position=position, last=last), "ok", 0, "none")

    def polled(self, client, tp, position, messages, high, last):
        """A poll of one partition and what it delivered; returns the next position."""
        op = self.call(client, "poll", tp=tp, position=position)
        for m in messages:
            timestamp, value = m.timestamp()[1], m.value() or b""
            self.note("deliver", op=op, client=client, tp=tp, offset=m.offset(), id=decode(value),
                      checksum=checksum(value, timestamp), timestamp=timestamp, epoch=m.leader_epoch() or 0, last=last)
            position = m.offset() + 1
        self.returned(op, "ok", 0, "polled", records=len(messages), position=position, high=max(high, position))
        return position

    def close(self):
        self.file.close()


def at(line):
    """When the event in a line was: it begins with {"at":"""
    return int(line[6:line.index(",")])


def merge(into, header, paths):
    with open(into, "w") as out:
        out.write(json.dumps({"format": "logquake-history", "version": 1, **header}) + "\n")
        files = [open(path) for path in paths]
        # Whoever was killed may have been at its last line.
        whole = [(line for line in file if line.endswith("\n")) for file in files]
        out.writelines(heapq.merge(*whole, key=at))
        for file in files:
            file.close()
