"""`logquake serve` processes, alone or three that form a cluster: started, killed the hard way, started again on the same
data."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Broker:
    """One broker on a port and a directory of its own."""

    def __init__(self, binary, port=None, options=(), alone=True):
        self.binary = os.path.abspath(binary)
        self.root = tempfile.mkdtemp(prefix="logquake-clients-")
        self.addr = f"127.0.0.1:{port or free_ports(1)[0]}"
        self.options = list(options)
        self.alone = alone
        self.process = None
        self.start()

    def start(self):
        self.output = open(os.path.join(self.root, "output"), "ab")
        before = self.output.tell()
        command = [self.binary, "serve", "--data", os.path.join(self.root, "data"), "--listen", self.addr,
                   "--metrics", "127.0.0.1:0"]
        command += self.options
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.output)
        # One of several serves when enough of the others do. It listens before it serves; a client that comes in between may
        # be sent away, and kcat then gives up.
        deadline = time.monotonic() + 20
        while self.alone and "serving Kafka clients" not in self.said(before):
            if self.process.poll() is not None:
                raise SystemExit(f"the broker ended with {self.process.returncode}:\n{self.said()}")
            if time.monotonic() > deadline:
                raise SystemExit(f"the broker does not serve:\n{self.said()}")
            time.sleep(0.02)

    def kill(self):
        """As a crash: no handler runs, nothing is flushed that was not."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def alive(self):
        return self.process.poll() is None

    def said(self, since=0):
        with open(os.path.join(self.root, "output"), errors="replace") as f:
            f.seek(since)
            return f.read()[-4000:]

    def remove(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.root, ignore_errors=True)


class Cluster:
    """Three brokers that are controllers as well, a process each."""

    def __init__(self, binary, **settings):
        ports = free_ports(3)
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in enumerate(ports))
        options = ["--voters", voters]
        for name, value in settings.items():
            options += ["-o", f"{name.replace('_', '.')}={value}"]
        self.nodes = [Broker(binary, port, ["--node-id", str(node), *options], alone=False)
                      for node, port in enumerate(ports)]
        self.addr = ",".join(node.addr for node in self.nodes)
        deadline = time.monotonic() + 30
        while not all("the cluster is ready" in node.said() for node in self.nodes):
            if time.monotonic() > deadline or not self.alive():
                raise SystemExit(f"the cluster does not become ready:\n{self.said()}")
            time.sleep(0.02)

    def alive(self):
        return all(node.alive() for node in self.nodes)

    def said(self):
        return "\n".join(f"node {number}:\n{node.said()}" for number, node in enumerate(self.nodes))

    def remove(self):
        for node in self.nodes:
            if node.alive():
                node.process.terminate()
        for node in self.nodes:
            node.remove()
