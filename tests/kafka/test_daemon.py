"""One real daemon, real Kafka, and every kind of bad input: a clear answer each, and nothing good is lost."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.reader import Reader
from poller.demo.simulator.truth import Published
from tests.support import hostile_http
from tests.support.schema_tools import validate

WAIT_S = 30.0


def until(found: Callable[[], Any], what: str) -> Any:
    """Ask again until there is an answer."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        answer = found()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(what)


class Installation:
    """A folder with configurations, and the daemons started from it."""

    def __init__(self, folder: Path, bootstrap: str, names: dict[str, str], url: str) -> None:
        self.folder, self.bootstrap, self.names, self.url = folder, bootstrap, names, url
        (folder / "token").write_text(hostile_http.TOKEN)
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]

    def config(self, name: str, *, port: int = 0, state: str = "state", group: str = "one", partitions: int = 4) -> Path:
        """A configuration file."""
        kafka = {"bootstrap_servers": [self.bootstrap], "topics": self.names, "group": group, "partitions": partitions, "shards": 4}
        account = {
            "name": "c", "provider": "stuut", "base_url": self.url, "rate_limit": "50/s", "credentials": {"token": {"file": "token"}},
            "threads": list(hostile_http.THREADS),
        }  # fmt: skip
        value = {
            "kafka": kafka | {"session_timeout": "2s"}, "state": {"directory": state}, "admin": {"listen": f"127.0.0.1:{port}"},
            "log": {"level": "debug", "format": "json"}, "defaults": {"interval": "300ms", "timeout": "3s"}, "accounts": [account],
        }  # fmt: skip
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(value))
        return path

    def run(self, *arguments: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        return subprocess.run([sys.executable, "-m", "poller", *arguments], capture_output=True, text=True, timeout=timeout, check=False)

    def get(self, path: str) -> tuple[int, str]:
        """From the administration port."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def streams(self) -> dict[str, dict[str, Any]]:
        """The status of each stream by name."""
        shards = json.loads(self.get("/api/v1/status")[1] or '{"shards":[]}')["shards"]
        keys = [f"{account['provider']}/{account['account']}" for shard in shards for account in shard["accounts"]]
        found = [stream for key in keys for stream in json.loads(self.get(f"/api/v1/status?account={key}")[1])["streams"]]
        return {stream["id"].rpartition("/")[2]: stream for stream in found}

    def published(self, wanted: Callable[[list[Published]], bool]) -> list[Published]:
        """Read until what is wanted has come."""
        events: list[Published] = []
        with Reader(self.bootstrap, [self.names[role] for role in ("messages", "status", "dead_letters")]) as reader:
            end = time.monotonic() + WAIT_S
            while not wanted(events):
                assert time.monotonic() < end, "\n".join(sorted({e.id[-40:] + e.headers.get("poller_reason", "") for e in events}))
                events += reader.poll(0.3)
        return events


@pytest.fixture(scope="module")
def installation(kafka: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A daemon against the hostile provider."""
    server = hostile_http.serve()
    names = {role: f"daemon-{role}" for role in ("messages", "status", "dead_letters", "state", "requests")}
    folder = tmp_path_factory.mktemp("daemon")
    one = Installation(folder, kafka.bootstrap, names, f"http://127.0.0.1:{server.server_address[1]}")
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "poller", "run", "--config", str(one.config("main", port=one.port))]
        process = subprocess.Popen(command, stderr=log, stdout=log, preexec_fn=die_with_parent)
    try:
        until(lambda: one.get("/readyz")[0] == 200, "the daemon never became ready")
        yield one
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0
        server.shutdown()


def test_good_rows_are_published_and_bad_ones_become_dead_letters(installation: Installation) -> None:
    """Each good row among bad ones is published once; each bad row is a dead letter; all obey their schemas."""
    good = {"good-1", "good-2", "odd", "y9999", "only-fine", "only-..%2Fa%2Fb", "only-..."}

    def complete(events: list[Published]) -> bool:
        created = {e.value["message_id"] for e in events if "created" in e.type}
        return good <= created and sum("dead-letter" in e.type for e in events) >= 4

    events = installation.published(complete)
    dead = [event for event in events if "dead-letter" in event.type]
    assert sorted(event.headers["poller_reason"] for event in dead) == ["bad_time", "missing", "not_an_object", "too_large"]
    for event in events:
        validate(event.headers, event.value)
    assert len({event.id for event in events}) == len(events)


def test_each_stream_in_trouble_says_why_and_the_others_go_on(installation: Installation) -> None:
    """HTML, a redirect, 404, 40 MB, cut JSON, a number: each has its reason on the status page; a thread id with dots is fine."""
    expected = {
        "html": "unreachable",
        "large": "bad_page",
        "redirect": "bad_page",
        "gone": "gone",
        "cut": "unreachable",
        "number": "bad_page",
    }
    until(
        lambda: all((installation.streams().get(name, {}).get("trouble") or {}).get("kind") == kind for name, kind in expected.items()),
        "reasons are missing",
    )
    streams = installation.streams()
    assert {name for name, stream in streams.items() if stream["state"] == "polling"} == {"null", "rows", "fine", "..%2Fa%2Fb", "..."}
    assert installation.get("/readyz")[0] == 200


def test_nothing_private_is_logged_or_shown(installation: Installation) -> None:
    """Not the token, not a text, not a number: in no log at debug level, no metric, no status, no page, no state."""
    until(lambda: installation.streams().get("rows", {}).get("last_success"), "nothing was polled")
    shown = (installation.folder / "log").read_text() + "".join(
        installation.get(path)[1] for path in ("/metrics", "/api/v1/status", "/", "/readyz?verbose")
    )
    files = b"".join(path.read_bytes() for path in (installation.folder / "state").rglob("*") if path.is_file())
    for secret in (hostile_http.TOKEN, hostile_http.TEXT, hostile_http.NUMBER, hostile_http.NUMBER.lstrip("+")):
        assert secret not in shown
        assert secret.encode() not in files


def test_a_state_folder_in_use_is_refused(installation: Installation) -> None:
    """By a kernel lock; the other worker is not disturbed."""
    done = installation.run("run", "--config", str(installation.config("same-folder")))
    assert done.returncode == 78
    assert "in use by another worker" in done.stderr


def test_another_group_on_the_same_state_is_refused_before_it_disturbs_anybody(installation: Installation) -> None:
    """The error names the group; the owner is not fenced."""
    before = installation.get("/metrics")[1]
    done = installation.run("run", "--config", str(installation.config("other-group", group="two", state="state-2")))
    assert done.returncode == 78
    assert "belongs to the group 'one'" in done.stderr
    fenced = 'poller_transactions_total{outcome="fenced"} 0.0'
    assert fenced in before
    assert fenced in installation.get("/metrics")[1]


def test_topics_that_are_wrong_are_refused_with_the_fix(installation: Installation) -> None:
    """Wrong partition counts: every topic is named, and one setting mends all."""
    path = installation.config("partitions", partitions=8, state="state-3")
    for command in ("run", "topics plan"):
        done = installation.run(*command.split(), "--config", str(path))
        assert done.returncode == 78
        assert done.stderr.count("fix: set kafka.partitions to 4") == 1
        assert all(f"daemon-{role} 4" in done.stderr for role in ("messages", "status", "dead_letters"))


def test_a_port_in_use_is_a_configuration_error(installation: Installation) -> None:
    """Said with the fix."""
    done = installation.run("run", "--config", str(installation.config("port", port=installation.port, state="state-4")))
    assert done.returncode == 78
    assert "set another admin.listen" in done.stderr


def test_tail_follows_and_check_online_tells(installation: Installation) -> None:
    """tail prints events without texts, on and on, or once what is there; check --online says what is wrong with an account."""
    process = subprocess.Popen(
        [sys.executable, "-m", "poller", "tail", "--config", str(installation.config("tail")), "--from-beginning"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.wait(10)
    assert "created stuut/c/" in line
    assert hostile_http.TEXT not in line
    dump = installation.run("tail", "--config", str(installation.config("tail")), "--once", "--json")
    assert (dump.returncode, dump.stderr) == (0, "")
    assert {json.loads(each)["value"]["message_id"] for each in dump.stdout.splitlines()} >= {"good-1", "good-2"}
    done = installation.run("check", "--online", "--config", str(installation.config("online")))
    assert done.returncode == 69
    assert "kafka: good" in done.stdout
    assert "web page" in done.stderr


def test_a_session_that_the_broker_refuses_names_its_setting(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Shorter than group.min.session.timeout.ms: an end with the key to change, not a silent retry."""
    installation = Installation(tmp_path, kafka.bootstrap, names, "http://127.0.0.1:9")
    path = installation.config("short")
    path.write_text(path.read_text().replace('"session_timeout": "2s"', '"session_timeout": "300ms"'))
    done = installation.run("run", "--config", str(path))
    assert done.returncode in (69, 78), done
    assert "kafka.session_timeout" in done.stderr
    assert "group.min.session.timeout.ms" in done.stderr
