"""``make large``: one answer as large as an answer may be, beside streams that are polled twice a second, on a real Kafka.

A thread suddenly lists 40,000 rows, then one 100,000 rows in 32 MiB. Prints how long it takes until all are published, how late other
streams' messages were meanwhile, how much memory a worker took, and whether anybody was fenced. Ends with 1 where a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from msgspec import Struct

from poller.demo.command import _free_port
from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch
from poller.model import SECOND
from poller.polling.client.bodies import RESPONSE_BYTES_MAX
from poller.times import format_rfc3339

PUBLISHED_S, LATE_S, RSS_MIB = 120.0, 1.0, 450.0
"""The bounds: all rows are published; another stream's messages are late, beyond the interval; a worker's resident memory."""

INTERVAL_S, NEW_S = 0.5, 1.0
"""How often the small streams are polled, and how often each has a new message."""

ACCOUNTS = 9
LARGE = "large"
SIZES = ((40_000, 13 << 20), (100_000, RESPONSE_BYTES_MAX))
"""Rows, and bytes of the answer that lists them."""


def _row(id_: str, created: float, body: str) -> bytes:
    """A message of the documented shape; the one number in it is invented."""
    return json.dumps(
        {"id": id_, "created_at": format_rfc3339(round(created * SECOND)), "direction": "outbound", "status": "delivered", "body": body,
         "from_number": "+14155550100", "to_number": "+14155550101"}, separators=(",", ":"),
    ).encode()  # fmt: skip


def large_answer(rows: int, size: int) -> bytes:
    """So many rows in one answer of just so many bytes, or a little less."""
    now = time.time() - 60
    bare = len(_row(f"large-{0:06}", now, "")) + 1
    body = "y" * max(0, size // rows - bare - 10)
    answer = b"[" + b",".join(_row(f"large-{number:06}", now, body) for number in range(rows)) + b"]"
    assert len(answer) <= size
    return answer


class Vendor:
    """Threads that get a message each second, and one that is empty until ``answer`` is set."""

    def __init__(self) -> None:
        self.answer, self.began = b"[]", time.time()

    def listed(self, path: str) -> bytes:
        """A thread, whole."""
        if f"/{LARGE}/" in path:
            return self.answer
        name, now = path.split("/")[1] + path.split("/")[-2], time.time()
        count = int((now - self.began) / NEW_S) + 1  # a message is listed from the moment on at which it says it was created
        created = {number: self.began + number * NEW_S for number in range(count)}
        return b"[" + b",".join(_row(f"{name}-{number}", at, "x") for number, at in created.items()) + b"]"


@contextmanager
def serving(vendor: Vendor) -> Iterator[str]:
    """The vendor on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = vendor.listed(self.path)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride]  # its names are not ours

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class Worker:
    """A daemon as a child process."""

    def __init__(self, folder: Path, name: str, shared: dict[str, object]) -> None:
        self.port, path = _free_port(), folder / f"{name}.yaml"
        path.write_text(json.dumps({**shared, "state": {"directory": name}, "admin": {"listen": f"127.0.0.1:{self.port}"}}))
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "poller", "run", "--config", str(path)]
            self.process = subprocess.Popen(command, stderr=log, preexec_fn=die_with_parent)

    def rss_mib(self) -> float:
        """Its largest resident memory so far (VmHWM of proc(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024

    def ready(self) -> bool:
        """Whether it says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False


class Outcome(Struct, frozen=True):
    """One trial."""

    published_s: float
    late_s: float
    """The latest message of another stream, beyond the interval."""
    before_s: float
    """The same, of the seconds before the large answer."""
    rss_mib: float
    troubled: float
    """Transactions that were aborted, fenced or left without an answer."""

    @property
    def good(self) -> bool:
        """Whether every bound holds."""
        return self.published_s <= PUBLISHED_S and self.late_s <= LATE_S and self.rss_mib <= RSS_MIB and not self.troubled


def configuration(folder: Path, bootstrap: str, url: str) -> dict[str, object]:
    """Nine accounts, one of which has the large thread beside a small one."""
    (folder / "token").write_text("invented")
    mark = uuid.uuid4().hex[:8]
    accounts = [
        {"name": f"a{number}", "provider": "stuut", "base_url": f"{url}/a{number}", "rate_limit": "20/s",
         "credentials": {"token": {"file": "token"}}, "threads": ["small", LARGE] if number == 0 else ["small"]}
        for number in range(ACCOUNTS)
    ]  # fmt: skip
    roles = ("messages", "status", "dead_letters", "state", "requests")
    kafka = {
        "bootstrap_servers": [bootstrap],
        "group": mark,
        "session_timeout": "6s",
        "partitions": 4,
        "topics": {r: f"{mark}.{r}" for r in roles},
    }
    return {"kafka": kafka, "log": {"level": "warning"}, "defaults": {"interval": f"{INTERVAL_S}s"}, "accounts": accounts}


class Lateness:
    """How late messages of the small streams were, beyond the interval: before the large answer, and from then on."""

    def __init__(self) -> None:
        self.since = float("inf")
        self.before, self.beside, self.large = 0.0, dict[str, float](), 0

    def read(self, consumer: Consumer) -> None:
        """What was published meanwhile; messages from before this began say nothing."""
        for message in consumer.consume(5000, 0.2):
            value = json.loads(message.value() or b"{}") if message.error() is None else {}
            if str(value.get("message_id", "")).startswith(f"{LARGE}-"):
                self.large += 1
            elif value:
                created = datetime.fromisoformat(value["created_at"]).timestamp()
                late = message.timestamp()[1] / 1000 - created - INTERVAL_S
                if created < self.since:
                    self.before = max(self.before, late)
                else:
                    self.beside[value["account"]] = max(self.beside.get(value["account"], 0.0), late)


def trial(bootstrap: str, rows: int, size: int, workers: int) -> Outcome:
    """Let the workers settle, list the rows, and watch until all are published and some seconds more."""
    vendor, late = Vendor(), Lateness()
    answer = large_answer(rows, size)
    with tempfile.TemporaryDirectory(prefix="poller-large-") as name, serving(vendor) as url:
        shared = configuration(Path(name), bootstrap, url)
        fleet = [Worker(Path(name), f"w{number}", shared) for number in range(workers)]
        topic = shared["kafka"]["topics"]["messages"]  # pyright: ignore[reportIndexIssue]
        consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "large", "isolation.level": "read_committed", "enable.auto.commit": False}
        )
        try:
            while not all(worker.ready() for worker in fleet):
                time.sleep(0.2)
            consumer.assign([TopicPartition(topic, part, OFFSET_END) for part in range(4)])
            for _ in range(60):
                late.read(consumer)
            before = sum(_troubled(worker) for worker in fleet)
            vendor.answer, late.since = answer, time.time()
            while late.large < rows and time.time() < late.since + 2 * PUBLISHED_S:
                late.read(consumer)
            published = time.time() - late.since if late.large >= rows else float("inf")
            for _ in range(30):
                late.read(consumer)
            troubled = sum(_troubled(worker) for worker in fleet) - before
            rss = max(worker.rss_mib() for worker in fleet)
        finally:
            consumer.close()
            for worker in fleet:
                worker.process.terminate()
            for worker in fleet:
                worker.process.wait(25)
                sys.stderr.write(worker.log.read_text()[-2000:])
    return Outcome(published, max(late.beside.values()), late.before, rss, troubled)


def _troubled(worker: Worker) -> float:
    """Transactions that did not end as they should."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("poller_transactions_total") and "committed" not in line)


def main() -> int:
    """Both sizes, or the one that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="only 40,000 rows")
    given, good = parser.parse_args(), True
    with tempfile.TemporaryDirectory(prefix="poller-large-") as folder, Cluster(fetch(progress=print), Path(folder) / "kafka") as kafka:
        for rows, size in SIZES[: 1 if given.small else len(SIZES)]:
            found = trial(kafka.bootstrap, rows, size, given.workers)
            good &= found.good
            print(
                f"{rows} rows in {size >> 20} MiB, {given.workers} workers: published after {found.published_s:.1f} s, other streams at most "
                f"{found.late_s:.2f} s late ({found.before_s:.2f} s before), {found.rss_mib:.0f} MiB, {found.troubled:.0f} transactions in trouble: {'good' if found.good else 'BAD'}",
                flush=True,
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
