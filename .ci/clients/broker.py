"""A `logquake serve` process: started, killed the hard way, started again on the same data."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """One broker on a port and a directory of its own."""

    def __init__(self, binary):
        self.binary = os.path.abspath(binary)
        self.root = tempfile.mkdtemp(prefix="logquake-clients-")
        self.addr = f"127.0.0.1:{free_port()}"
        self.process = None
        self.start()

    def start(self):
        self.output = open(os.path.join(self.root, "output"), "ab")
        command = [self.binary, "serve", "--data", os.path.join(self.root, "data"), "--listen", self.addr]
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.output)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"the broker ended with {self.process.returncode}:\n{self.said()}")
            try:
                host, port = self.addr.split(":")
                socket.create_connection((host, int(port)), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit(f"the broker does not listen:\n{self.said()}")

    def kill(self):
        """As a crash: no handler runs, nothing is flushed that was not."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def alive(self):
        return self.process.poll() is None

    def said(self):
        with open(os.path.join(self.root, "output"), errors="replace") as f:
            return f.read()[-4000:]

    def remove(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.root, ignore_errors=True)
