"""Kafka's Java client, kafkajs and @platformatic/kafka, where they are installed (`run.sh --all` installs them)."""

import glob
import json
import os
import re
import subprocess

from librdkafka_client import consume

HERE = os.path.dirname(os.path.abspath(__file__))
INSTALLED = os.path.abspath("target/clients")
JARS = glob.glob(f"{INSTALLED}/jars/*.jar")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, timeout=90, text=True, **options)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def java_version():
    """Of Kafka's client."""
    return next(re.search(r"kafka-clients-([0-9.]+)\.jar", jar)[1] for jar in JARS if "kafka-clients-" in jar)


def java(addr):
    classpath = ":".join(JARS)
    run("java", "-cp", classpath, f"{HERE}/java/Interop.java", addr)


def javascript(addr):
    modules = f"{INSTALLED}/js/node_modules"
    script = f"{INSTALLED}/js/interop.js"
    with open(f"{HERE}/js/interop.js") as source, open(script, "w") as copy:
        copy.write(source.read())
    wrote = json.loads(run("node", script, addr, env={**os.environ, "NODE_PATH": modules}))
    assert len(wrote["topics"]) >= 6
    for topic in wrote["topics"]:
        got = consume(addr, topic, wrote["records"])
        assert [m.value() for m in got] == [f"value {n}".encode() for n in range(wrote["records"])], topic
        assert got[0].headers() == [("h", b"v")], topic


TESTS = [test for test, there in [(java, JARS), (javascript, os.path.exists(f"{INSTALLED}/js/node_modules"))] if there]
