"""What only the operator can mend ends a start with 78, in the form of every error of the configuration."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.commands.test_cli import called

LINE = re.compile(r"(?P<file>.+):(?P<line>\d+): (?P<key>[\w.]+): (?P<what>.+); expected (?P<expected>.+); fix: (?P<fix>.+)")
TEXT = """\
kafka: {{bootstrap_servers: ["127.0.0.1:9"]}}
state: {{directory: {directory}}}
admin:
  listen: {listen}
log: {{level: error}}
accounts: [{{name: c, provider: stuut, base_url: "http://127.0.0.1:9", credentials: {{token: {{file: token}}}}, threads: [t]}}]
"""


def started(folder: Path, *, command: str = "run", directory: str = "state", listen: str = "127.0.0.1:0") -> re.Match[str]:
    """The one line that a command says of a configuration which it refuses with 78."""
    (folder / "token").write_text("invented")
    (folder / "p.yaml").write_text(TEXT.format(directory=directory, listen=listen))
    done = called(*command.split(), "--config", str(folder / "p.yaml"))
    assert (done.returncode, done.stdout) == (78, ""), done
    found = LINE.fullmatch(done.stderr.rstrip("\n"))
    assert found is not None, done.stderr
    assert found["file"] == str(folder / "p.yaml")
    return found


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("directory", ["token", "token/inner/deep", "link", '"a\\0b"'])
def test_a_folder_for_state_that_cannot_be_one_is_said_by_check_and_by_run(tmp_path: Path, directory: str, command: str) -> None:
    """A file in its place, a file on the way to it, a link to nowhere, a name that no folder can have."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found = started(tmp_path, command=command, directory=directory)
    assert (found["line"], found["key"]) == ("2", "state.directory")


@pytest.mark.parametrize("directory", ["x" * 300, "/proc/self/state"])
def test_a_folder_that_only_its_making_shows_to_be_none_is_said_by_run(tmp_path: Path, directory: str) -> None:
    """What the disk refuses at last has the same form and the same code."""
    found = started(tmp_path, directory=directory)
    assert (found["line"], found["key"]) == ("2", "state.directory")


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_topic_that_has_no_name_cannot_be_followed(tmp_path: Path) -> None:
    """Kafka is not asked for it: the configuration says that there is none."""
    found = started(tmp_path, command="tail --topic latest --once")
    assert (found["key"], found["fix"]) == ("kafka.topics", "set kafka.topics.latest")


def test_an_address_that_cannot_be_listened_at_is_said(tmp_path: Path, taken: str) -> None:
    """Taken, of another machine, of a host that does not exist, of one that no name can be."""
    for listen in (taken, "192.0.2.1:80", "no-host.invalid:80", "a..b:80"):
        found = started(tmp_path, listen=listen)
        assert (found["line"], found["key"]) == ("4", "admin.listen"), listen
