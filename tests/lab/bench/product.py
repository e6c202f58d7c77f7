"""``poller run`` as users run it, watched from outside: CPU of its process, its own counters, marks after its start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Protocol

import psutil
from msgspec import Struct

from poller.demo.command import _free_port
from poller.demo.kafka.broker import die_with_parent

PATIENCE_S = 180.0


class Commanded(Protocol):
    """A provider that obeys lines; what it said first is its port."""

    said: str

    def ask(self, line: str) -> str:
        """A command and its answer."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Watched(Struct, frozen=True):
    """Between two marks."""

    cpu: float
    wall: float
    rows: int
    fresh: int
    requests: int


def figures(port: int) -> dict[str, float]:
    """Sums over the product's counters; created events by themselves."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    found: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            name += "/created" if "message.created" in line else ""
            found[name] = found.get(name, 0) + float(line.rpartition(" ")[2])
    return found


class Product:
    """One worker with one Heymarket account."""

    def __init__(self, folder: Path, bootstrap: str, provider: Commanded, mark: str, *, interval: str, overlap: str) -> None:
        self._folder, self._provider, self._port, self.mark = folder, provider, _free_port(), mark
        account: dict[str, Any] = {
            "name": "main", "provider": "heymarket", "base_url": f"http://127.0.0.1:{provider.said}", "rate_limit": "2000/s",
            "credentials": {"api_key": {"file": "key"}},
        }  # fmt: skip
        roles = ("messages", "status", "dead_letters", "state")
        value = {
            "kafka": {"bootstrap_servers": [bootstrap], "group": mark, "topics": {role: f"{mark}.{role}" for role in roles}},
            "state": {"directory": "state"}, "admin": {"listen": f"127.0.0.1:{self._port}"}, "log": {"level": "warning"},
            "defaults": {"interval": interval, "overlap": overlap, "start_from": "1d"}, "accounts": [account],
        }  # fmt: skip
        (folder / "key").write_text("bench")
        (folder / "poller.yaml").write_text(json.dumps(value))

    def __enter__(self) -> Product:
        command = [sys.executable, "-m", "poller", "run", "--config", str(self._folder / "poller.yaml")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent, env=os.environ.copy())
        self._watched = psutil.Process(self._process.pid)
        self._wait(lambda now: now.get("poller_last_success_timestamp_seconds", 0) > 0)
        time.sleep(2)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(25)
        self._provider.close()
        shutil.rmtree(self._folder)

    def memory_mib(self) -> float:
        """Resident memory."""
        return self._watched.memory_info().rss / 2**20

    def until_published(self, count: int, *, reveal: int) -> Watched:
        """From the moment that messages are listed to the moment that all are published."""
        before = self._mark()
        self._provider.ask(f"reveal {reveal}")
        self._wait(
            lambda now: (
                now.get("poller_events_published_total/created", 0) >= before[2].get("poller_events_published_total/created", 0) + count
            )
        )
        return self._since(before)

    def over_rows(self, rows: int, *, restless: bool) -> Watched:
        """Over that many re-listed rows."""
        self._provider.ask(f"restless {int(restless)}")
        time.sleep(1)
        before = self._mark()
        self._wait(lambda now: now["poller_rows_fetched_total"] >= before[2]["poller_rows_fetched_total"] + rows)
        return self._since(before)

    def over_time(self, seconds: float, *, flow: float, warm_s: float) -> Watched:
        """Over some time, while messages flow."""
        self._provider.ask(f"flow {flow}")
        time.sleep(warm_s)
        before = self._mark()
        time.sleep(seconds)
        return self._since(before)

    def _mark(self) -> tuple[float, float, dict[str, float]]:
        found = figures(self._port)
        return sum(self._watched.cpu_times()[:2]), time.monotonic(), found

    def _since(self, before: tuple[float, float, dict[str, float]]) -> Watched:
        cpu, wall, now = self._mark()

        def grown(name: str) -> int:
            return round(now.get(name, 0) - before[2].get(name, 0))

        return Watched(
            cpu - before[0],
            wall - before[1],
            grown("poller_rows_fetched_total"),
            grown("poller_events_published_total/created"),
            grown("poller_http_requests_total"),
        )

    def _wait(self, reached: Any) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"poller ended with {self._process.returncode}")
            now = figures(self._port)
            if now and reached(now):
                return
            time.sleep(0.2)
        raise RuntimeError("poller did not get there")
