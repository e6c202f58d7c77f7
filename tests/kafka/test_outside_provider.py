"""A package that adds a vendor without touching ours: built, installed, examined by its own tests, and polled through ``kill -9``s."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.reader import Reader
from poller.demo.simulator.truth import Published
from tests.support.pigeonpost import ID, SECRET, Flying, serve

EXAMPLE = Path(__file__).parents[2] / "examples" / "provider"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
ROWS = 30
"""Messages that there are at least."""

WAIT_S = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package was installed from its wheel, by pip alone and without a network."""
    folder = tmp_path_factory.mktemp("package")
    source = shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source]
    subprocess.run(command, check=True, capture_output=True, timeout=WAIT_S)
    [wheel] = folder.glob("*.whl")
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True, timeout=WAIT_S)
    return folder / "site"


def environment(site: Path, **more: str) -> dict[str, str]:
    """Of a process that finds the package, and poller, but not the package's source."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(EXAMPLE.parents[1]))), **more}


def test_the_installed_package_passes_its_own_tests(site: Path) -> None:
    """Its tests are run where the source is not, and know only what was installed."""
    tests = shutil.copytree(EXAMPLE / "tests", site.parent / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    done = subprocess.run(command, env=environment(site), cwd=site.parent, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


class Polled:
    """The package's vendor, and workers that poll it."""

    def __init__(self, folder: Path, site: Path, config: Path, pigeons: Flying) -> None:
        self.folder, self.site, self.config, self.pigeons = folder, site, config, pigeons

    def start(self, crash: str = "") -> subprocess.Popen[bytes]:
        """A worker; with the name of a point in a transaction it kills itself there."""
        command = [sys.executable, "-m", "tests.support.crash_worker", "run", "--config", str(self.config)]
        told = environment(self.site, COMMITS=str(self.folder / "commits"), CRASH=crash, SEED="3")
        return subprocess.Popen(command, env=told, preexec_fn=die_with_parent)


@pytest.fixture
def polled(kafka: Cluster, names: dict[str, str], site: Path, tmp_path: Path) -> Iterator[Polled]:
    """Messages come to be while they are polled."""
    pigeons = Flying(forgotten=0.02)
    (tmp_path / "id").write_text(ID)
    (tmp_path / "secret").write_text(SECRET)
    with serve(pigeons) as url:
        config = tmp_path / "poller.yaml"
        settings = {"partitions": 2, "shards": 2, "group": names["state"], "session_timeout": "2s", "instance_id": "worker"}
        account = {
            "name": "main", "provider": "pigeonpost", "base_url": url, "rate_limit": "200/s", "lofts": ["north", "south"],
            "credentials": {"client_id": {"file": "id"}, "client_secret": {"file": "secret"}},
        }  # fmt: skip
        value = {
            "kafka": {"bootstrap_servers": [kafka.bootstrap], "topics": names, **settings}, "state": {"directory": "state"},
            "admin": {"listen": "127.0.0.1:0"}, "log": {"level": "error"}, "accounts": [account],
            "defaults": {"interval": "200ms", "overlap": "1m", "start_from": "24h", "reconcile": {"every": "6h", "back": "24h"}, "timeout": "5s"},
        }  # fmt: skip
        config.write_text(json.dumps(value))
        yield Polled(tmp_path, site, config, pigeons)


def test_its_vendor_is_polled_through_kills_exactly_once(polled: Polled, kafka: Cluster, names: dict[str, str]) -> None:
    """Killed while it commits, and after it: each message and each status once, and a deletion says nothing."""
    for point in ("in_commit", "after_commit"):
        assert polled.start(point).wait(WAIT_S) == -signal.SIGKILL
    worker, events = polled.start(), list[Published]()
    topics = [names[role] for role in ("messages", "status", "dead_letters")]
    with Reader(kafka.bootstrap, topics) as reader:
        end = time.monotonic() + WAIT_S
        while len(polled.pigeons.rows) <= ROWS:
            assert time.monotonic() < end
            events += reader.poll(0.2)
        polled.pigeons.rest()
        while len({each.key for each in events if each.value["status"] == "delivered"}) < len(polled.pigeons.rows):
            assert time.monotonic() < end
            events += reader.poll(0.2)
        polled.pigeons.delete(time.time_ns() // 1000)
        read = polled.pigeons.asked
        while polled.pigeons.asked < read + len(polled.pigeons.rows):
            events += reader.poll(0.2)
            assert time.monotonic() < end
        worker.terminate()
        assert worker.wait(WAIT_S) == 0
        while found := reader.poll(1.0):
            events += found
    created = [each.value["message_id"] for each in events if "created" in each.type]
    assert sorted(created) == sorted(row["id"] for _, _, row in polled.pigeons.rows)
    statuses = [(each.key, each.value["status"]) for each in events if each.of_status]
    assert len(statuses) == len(set(statuses))
    assert {each.value["status"] for each in events} == {"sent", "delivered"}
    assert len(created) > ROWS
    assert polled.pigeons.deleted
