"""Apache Kafka as a child process, in a folder of its own, that dies with its parent.

One node or three, KRaft, everything on loopback. Used by ``poller demo`` and by the tests.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from ...errors import Unavailable
from .jars import Runtime

START_TIMEOUT_S = 60.0
"""Seconds that Kafka may take to start."""

STOP_GRACE_S = 10.0
"""Seconds that Kafka may take to end by itself; then it is killed."""

_JAVA_FLAGS = ("-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")

_SETTINGS: dict[str, object] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 500,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "log.cleaner.dedupe.buffer.size": 16 << 20,
    "num.network.threads": 2,
    "num.io.threads": 4,
}


class Node:
    """One broker process. Its methods block for at most their stated limits."""

    def __init__(self, cluster: Cluster, number: int, port: int, controller: int) -> None:
        self.cluster, self.number, self.port, self.controller = cluster, number, port, controller
        self.folder = cluster.folder / f"node-{number}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the Java process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def prepare(self, settings: Mapping[str, object]) -> None:
        """Write the configuration and format the folder."""
        self.folder.mkdir(parents=True)
        own = {
            "node.id": self.number,
            "log.dirs": self.folder / "data",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
        }
        lines = (f"{name}={value}\n" for name, value in {**own, **settings}.items())
        (self.folder / "server.properties").write_text("".join(lines))
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", self.cluster.id, "-c", str(self.folder / "server.properties")),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"Kafka could not format its folder: {done.stderr[-300:].decode(errors='replace')}")

    def start(self) -> None:
        """Start the process; :meth:`wait` tells when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self.folder / "server.properties")),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=None if self.cluster.may_outlive else die_with_parent,  # Linux only, and async-signal-safe
            )

    def wait(self, until: float) -> None:
        """Until the broker listens. Raises Unavailable with its last words."""
        while True:
            if self.pid is None:
                raise Unavailable(f"Kafka did not start: {self._last_words()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                if time.monotonic() > until:
                    raise Unavailable(f"Kafka did not start in {START_TIMEOUT_S:.0f} s: {self._last_words()}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Cleanly, or not after a grace."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """At once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """As a network partition would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """After :meth:`pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _java(self, *arguments: str) -> list[str]:
        runtime = self.cluster.runtime
        return [str(runtime.java), *_JAVA_FLAGS, "-cp", os.pathsep.join(map(str, runtime.jars)), *arguments]

    def _last_words(self) -> str:
        log = self.folder / "log"
        return log.read_bytes()[-500:].decode(errors="replace") if log.exists() else "no log"


class Cluster:
    """One broker, or three with replication. A context manager; its folder goes with it, unless it is left (:meth:`leave`)."""

    def __init__(
        self,
        runtime: Runtime,
        folder: Path,
        *,
        nodes: int = 1,
        overrides: Mapping[str, object] | None = None,
        may_outlive: bool = False,
    ) -> None:
        self.runtime, self.folder, self.may_outlive, self._left = runtime, folder, may_outlive, False
        number = uuid.uuid4().int >> 1  # so that the id begins with a letter: an argument that begins with "-" would be an option
        self.id = base64.urlsafe_b64encode(number.to_bytes(16, "big")).decode().rstrip("=")
        ports = _free_ports(2 * nodes)
        self.nodes = [Node(self, n + 1, ports[2 * n], ports[2 * n + 1]) for n in range(nodes)]
        replicas, in_sync = min(3, nodes), 2 if nodes >= 3 else 1
        self._settings: dict[str, object] = {
            **_SETTINGS,
            "controller.quorum.voters": ",".join(f"{node.number}@127.0.0.1:{node.controller}" for node in self.nodes),
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            **(overrides or {}),
        }

    def leave(self) -> None:
        """Let the nodes run on when the block ends; only those that may outlive us do."""
        assert self.may_outlive, "these nodes die with us"
        self._left = True

    def check(self) -> None:
        """Raises Unavailable when a node ended by itself."""
        if any(node.pid is None for node in self.nodes):
            raise Unavailable("Kafka ended by itself")

    @property
    def bootstrap(self) -> str:
        """For clients."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Cluster:
        """Format and start every node, and wait until all listen."""
        try:
            for node in self.nodes:
                node.prepare(self._settings)
            for node in self.nodes:
                node.start()
            until = time.monotonic() + START_TIMEOUT_S
            for node in self.nodes:
                node.wait(until)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End every node and remove the folder, unless they are left."""
        if self._left:
            return
        for node in self.nodes:
            node.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to kill this child when its parent dies, however that dies; elsewhere nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


PORTS = range(12_000, 32_000)
"""Where brokers listen: below what systems give to outgoing connections, of which one might take a port before its broker does."""

PORTS_APART = 97
"""Ports between where two processes with neighbouring ids begin to look."""

_next_ports = itertools.count(os.getpid() * PORTS_APART)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, and that this process was not given before. Raises Unavailable where there are none."""
    found = list[int]()
    for _ in PORTS:
        port = PORTS[next(_next_ports) % len(PORTS)]
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise Unavailable("no port is free for a broker", fix=f"free some of {PORTS.start} to {PORTS.stop}")
