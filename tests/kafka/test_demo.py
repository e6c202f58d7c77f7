"""The demo as users run it: it proves its result, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.xdist_group("kafka")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`poller demo`, with its temporary folder inside ours."""
    command = [sys.executable, "-m", "poller", "demo", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder)})


def children(process: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """Wait until so many children run."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        found = psutil.Process(process.pid).children(recursive=True)
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError("the demo did not start its children")


@pytest.mark.parametrize("arguments", [("--seconds", "10"), ("--seconds", "10", "--hostile")])
def test_the_demo_proves_its_result(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """One plain line on stdout, everything published once across a SIGKILL, exit 0, and an empty folder."""
    process = start(tmp_path, *arguments)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    found = re.fullmatch(r"published (\d+) of (\d+) messages, (\d+) of (\d+) statuses, 0 missing, 0 duplicates\n", out)
    assert found, out
    assert found[1] == found[2]
    assert found[3] == found[4]
    assert "SIGKILL" in err
    assert not list(tmp_path.glob("poller-demo-*"))


def test_what_is_kept_runs_on_and_can_be_read(tmp_path: Path) -> None:
    """With --keep: Kafka, its topics and the configuration stay after the proof, and the end says how to end them."""
    process = start(tmp_path, "--seconds", "6", "--keep")
    out, err = process.communicate(timeout=150)
    found = re.search(r"kill ([\d ]+); rm -r (\S+)", err)
    assert found, err
    try:
        assert process.returncode == 0, err
        assert "0 missing, 0 duplicates" in out
        command = [sys.executable, "-m", "poller", "audit", "--config", f"{found[2]}/poller.yaml"]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
        assert Path(re.search(r"the daemon's log: (\S+)", err)[1]).read_text().startswith('{"timestamp"')  # type: ignore[index]
    finally:
        for pid in found[1].split():
            psutil.Process(int(pid)).kill()


@pytest.mark.parametrize("victim", ["itself", "java", "run"])
def test_whatever_dies_nothing_is_left_behind(tmp_path: Path, victim: str) -> None:
    """Ctrl-C, a dead Kafka, a dead daemon: it ends within seconds, not with 0, and no process and no folder stays."""
    process = start(tmp_path, "--seconds", "60")
    family = children(process, 2)
    if victim == "itself":
        process.send_signal(signal.SIGINT)
    else:
        next(child for child in family if victim in " ".join(child.cmdline())).kill()
    _, err = process.communicate(timeout=45)
    assert process.returncode != 0
    assert "unexpected" not in err
    assert victim == "itself" or "ended by itself" in err
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
    assert not list(tmp_path.glob("poller-demo-*"))
