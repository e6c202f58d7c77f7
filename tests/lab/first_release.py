"""The first release, played in the cases of :mod:`tests.lab.freshness` against today's simulated vendors: ``python -m tests.lab.first_release`` prints its columns.

Its tree is taken from the repository's history into a folder of its own, and today's simulator and judge are laid beside it under other names,
so that one process holds both: the engine and the fake Kafka of then, the vendors and the cases of now.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

REVISION = "ee74b04e72769dfe56089f48232e936d398bec15"
"""The first release."""

ROOT = Path(__file__).parents[2]
ABSOLUTE = re.compile(r"^(\s*(?:from|import)) (poller|tests)\b", re.MULTILINE)


def lay(folder: Path) -> None:
    """Both trees in one folder; today's packages are called ``today_poller`` and ``today_tests`` there."""
    then = subprocess.run(["git", "-C", str(ROOT), "archive", REVISION], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(then)) as packed:
        packed.extractall(folder, filter="data")
    for package in ("poller", "tests"):
        for path in (ROOT / package).rglob("*.py"):
            to = folder / f"today_{path.relative_to(ROOT)}"
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(ABSOLUTE.sub(r"\1 today_\2", path.read_text(encoding="utf-8")), encoding="utf-8")


def play(word: str) -> None:
    """In that folder: play the cases whose name holds a word, and print a line for each."""
    now: Any = importlib.import_module("today_tests.lab.freshness")
    routes: Any = importlib.import_module("today_poller.demo.simulator.vendors.routes")
    answers: Any = importlib.import_module("today_poller.demo.simulator.vendors.answers")
    then, fake, command = (importlib.import_module(name) for name in ("tests.story", "tests.fake_kafka", "poller.demo.command"))
    command.__dict__["_SECRETS"].update(answers.SECRETS)
    base: Any = then.__dict__["Story"]

    class Fresh(base):
        """Its story, with today's world."""

        _answer, _settle, set_up = now.Story._answer, now.Fresh._settle, now.Fresh.set_up
        configured = lambda self: base.configured(self).replace(", ".join(now.PROPERTIES), now.PROPERTIES[0]).replace("50/s", self.rate)  # noqa: E731
        judge = lambda self: None  # noqa: E731

    print("| case | provider | interval | limit | new | unseen | p50 | p95 | max | late | requests/min |\n|" + " --- |" * 11)
    for run in now.runs(word):
        story = Fresh(7, now.CASES[run.case], crash_s=None, cluster=fake.__dict__["FakeCluster"](1))
        story.providers = routes.Providers(story.world, 7)
        story.set_up(run)
        story.play()
        found = now.judged(story, run, held={})
        print(
            f"| {run.case} | {run.provider} | {run.interval_s} s | {run.limit} | {found.messages} | {found.unseen} | {found.p50:.1f}",
            end=" | ",
        )
        print(f"{found.p95:.1f} | {found.worst:.1f} | {found.over} | {found.requests / now.SECONDS * 60:.0f} |", flush=True)


def main() -> int:
    """Lay the trees out and play in them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="", help="only those whose name holds it")
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.play:
        play(given.case)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay(folder)
        module = "today_tests.lab.first_release"
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(folder)}
        return subprocess.run(
            [sys.executable, "-m", module, "--play", "--case", given.case], cwd=folder, env=environment, check=False
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
