"""``make bench``: CPU per new message and per re-listed row, in one run on loopback against real Kafka, as ratios.

The floor fetches, parses and forwards the same rows without any logic; the hand-written loop is
what one writes in an afternoon; the product is ``poller run`` as users run it. CPU seconds are
those of the client process only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from poller.demo.command import _free_port
from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch

COUNT, ROUNDS = 20_000, 4


def peer(name: str, url: str, bootstrap: str, topic: str) -> tuple[float, float]:
    """CPU microseconds per new message and per re-listed row of a peer."""
    command = [sys.executable, "-m", f"tests.lab.bench.{name}", f"{url}/v1/messages/all", bootstrap, topic, str(COUNT), str(ROUNDS)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rounds = [(float(line.split()[1]), int(line.split()[2])) for line in lines]
    new = rounds[0][0] / rounds[0][1] * 1e6
    again = sum(cpu for cpu, _ in rounds[1:]) / sum(rows for _, rows in rounds[1:]) * 1e6
    return new, again


def figures(port: int) -> dict[str, float]:
    """Sums over the product's counters."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    found: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0] + ("_created" if "created" in line else "")
            found[name] = found.get(name, 0) + float(line.rpartition(" ")[2])
    return found


def wait_for(port: int, name: str, value: float) -> dict[str, float]:
    """Until a counter has come so far."""
    while (found := figures(port)).get(name, 0) < value:
        time.sleep(0.2)
    return found


def product(url: str, bootstrap: str, folder: Path) -> tuple[float, float, float]:
    """CPU microseconds per new message and per re-listed row of the product, and its peak memory in MiB."""
    port = _free_port()
    account: dict[str, Any] = {
        "name": "main",
        "provider": "heymarket",
        "base_url": url,
        "rate_limit": "1000/s",
        "credentials": {"api_key": {"file": "key"}},
    }
    value = {
        "kafka": {"bootstrap_servers": [bootstrap]}, "state": {"directory": "state"}, "admin": {"listen": f"127.0.0.1:{port}"},
        "log": {"level": "warning"}, "defaults": {"interval": "100ms", "overlap": "1h", "start_from": "1d"}, "accounts": [account],
    }  # fmt: skip
    (folder / "key").write_text("bench")
    (folder / "poller.yaml").write_text(json.dumps(value))
    command = [sys.executable, "-m", "poller", "run", "--config", str(folder / "poller.yaml")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    watched = psutil.Process(process.pid)
    try:
        while not figures(port).get("poller_shards_owned"):
            time.sleep(0.02)
        start = sum(watched.cpu_times()[:2])
        first = wait_for(port, "poller_events_published_total_created", COUNT)
        cpu_new = sum(watched.cpu_times()[:2])
        again = wait_for(port, "poller_rows_fetched_total", first["poller_rows_fetched_total"] + (ROUNDS - 1) * COUNT)
        cpu_again = sum(watched.cpu_times()[:2])
        rows = again["poller_rows_fetched_total"] - first["poller_rows_fetched_total"]
        return (cpu_new - start) / COUNT * 1e6, (cpu_again - cpu_new) / rows * 1e6, watched.memory_info().rss / 2**20
    finally:
        process.terminate()
        process.wait(25)


def main() -> None:
    """Measure all three in one run, and print the table."""
    with tempfile.TemporaryDirectory() as name, Cluster(fetch(progress=print), Path(name) / "kafka") as kafka:
        from confluent_kafka.admin import AdminClient, NewTopic

        topics = ["floor", "handwritten"]
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        for future in admin.create_topics([NewTopic(topic, 16, 1) for topic in topics]).values():
            future.result()
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.bench.provider", str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        floor = peer("floor", url, kafka.bootstrap, "floor")
        loop = peer("handwritten", url, kafka.bootstrap, "handwritten")
        new, again, memory = product(url, kafka.bootstrap, Path(name))
        server.terminate()
    print(f"{'CPU microseconds':28}{'per new message':>18}{'ratio':>8}{'per re-listed row':>20}{'ratio':>8}")
    for label, values in (("floor, no logic", floor), ("hand-written loop", loop), ("poller", (new, again))):
        print(f"{label:28}{values[0]:18.1f}{values[0] / floor[0]:8.2f}{values[1]:20.1f}{values[1] / floor[1]:8.2f}")
    print(f"poller: {1e6 / new:.0f} new messages a second on one core, {memory:.0f} MiB resident")


if __name__ == "__main__":
    main()
