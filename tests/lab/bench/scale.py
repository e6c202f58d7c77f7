"""``make bench-scale``: ten thousand threads of fifty accounts in one worker, one account of them hanging.

Prints, for a steady minute: CPU of one core, memory, requests, transactions, connections to the
broker, and the longest time that any thread of a healthy account was left alone.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from poller.demo.command import _free_port
from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch
from tests.lab.bench.product import figures

THREADS, ACCOUNTS, INTERVAL_S, STEADY_S = 10_000, 50, 30, 60
ROWS = 3
SICK = "account-0"


class Provider:
    """Stuut threads of three finished messages; requests of one account are never answered."""

    def __init__(self) -> None:
        self.created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.asked: dict[bytes, float] = {}
        self.longest, self.requests = 0.0, 0

    def report(self) -> dict[str, float]:
        """Since the last report."""
        found = {"longest": self.longest, "requests": self.requests, "threads": len(self.asked)}
        self.longest, self.requests = 0.0, 0
        return found

    def rows(self, thread: bytes) -> bytes:
        """The thread's messages."""
        row = '{"id":"%s-%d","created_at":"%s","direction":"outbound","status":"delivered","body":"Your invoice is attached","from_number":"+14155550100","to_number":"+14155550101"}'
        return ("[" + ",".join(row % (thread.decode(), number, self.created) for number in range(ROWS)) + "]").encode()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client closes."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                if SICK.encode() + b"/" in path:
                    await asyncio.sleep(3600)
                thread, now = path.split(b"/")[-2], time.monotonic()
                self.longest = max(self.longest, now - self.asked.get(thread, now))
                self.asked[thread] = now
                self.requests += 1
                body, date = self.rows(thread), datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: %b\r\ncontent-length: %d\r\n\r\n%b"
                    % (date, len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def serve() -> None:
    """A process of its own: a line on standard input asks for a report."""
    provider = Provider()
    server = await asyncio.start_server(provider.connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        print(json.dumps(provider.report()), flush=True)


def configure(folder: Path, bootstrap: str, url: str, port: int) -> Path:
    """Fifty accounts of two hundred threads."""
    each = THREADS // ACCOUNTS
    (folder / "token").write_text("bench")
    accounts: list[dict[str, Any]] = [
        {
            "name": f"account-{number}", "provider": "stuut", "base_url": f"{url}/account-{number}", "rate_limit": "20/s",
            "credentials": {"token": {"file": "token"}}, "threads": [f"t-{number}-{n}" for n in range(each)],
        }
        for number in range(ACCOUNTS)
    ]  # fmt: skip
    value = {
        "kafka": {"bootstrap_servers": [bootstrap]}, "state": {"directory": "state"}, "admin": {"listen": f"127.0.0.1:{port}"},
        "log": {"level": "error"}, "defaults": {"interval": f"{INTERVAL_S}s"}, "accounts": accounts,
    }  # fmt: skip
    path = folder / "poller.yaml"
    path.write_text(json.dumps(value))
    return path


def measure(process: psutil.Process, kafka: Cluster, port: int, ask: Callable[[], dict[str, float]]) -> None:
    """Wait until every healthy thread was asked twice, then a steady minute."""
    healthy = THREADS - THREADS // ACCOUNTS
    while figures(port).get("poller_events_published_total_created", 0) < healthy * ROWS:
        time.sleep(1)
    time.sleep(INTERVAL_S)
    ask()
    before, cpu = figures(port), sum(process.cpu_times()[:2])
    time.sleep(STEADY_S)
    used, after, seen = sum(process.cpu_times()[:2]) - cpu, figures(port), ask()
    brokers = {node.port for node in kafka.nodes}
    connections = sum(
        c.status == psutil.CONN_ESTABLISHED and bool(c.raddr) and c.raddr.port in brokers for c in process.net_connections("tcp")
    )
    transactions = after["poller_transactions_total"] - before["poller_transactions_total"]
    print(f"{THREADS} threads of {ACCOUNTS} accounts every {INTERVAL_S} s, one account hanging:")
    print(
        f"{used / STEADY_S * 100:.0f} % of one core, {process.memory_info().rss / 2**20:.0f} MiB resident, {seen['requests'] / STEADY_S:.0f} requests/s"
    )
    print(
        f"{transactions / STEADY_S:.1f} transactions/s without news, {connections} connections to the broker for {int(after['poller_shards_owned'])} shards"
    )
    print(f"no healthy thread was left alone for longer than {seen['longest']:.1f} s")


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as name, Cluster(fetch(progress=print), Path(name) / "kafka") as kafka:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.bench.scale", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        assert server.stdout is not None
        assert server.stdin is not None
        told, asked = server.stdout, server.stdin

        def ask() -> dict[str, float]:
            asked.write("\n")
            asked.flush()
            return json.loads(told.readline())

        url, port = f"http://127.0.0.1:{int(told.readline())}", _free_port()
        config = configure(Path(name), kafka.bootstrap, url, port)
        command = [sys.executable, "-m", "poller", "run", "--config", str(config)]
        process = subprocess.Popen(command, preexec_fn=die_with_parent)
        try:
            measure(psutil.Process(process.pid), kafka, port, ask)
        finally:
            process.terminate()
            process.wait(25)
            server.terminate()


if __name__ == "__main__":
    asyncio.run(serve()) if sys.argv[1:] == ["serve"] else main()
