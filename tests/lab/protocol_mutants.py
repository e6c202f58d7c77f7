"""``python -m tests.lab.protocol_mutants``: laws of the protocol broken on purpose in a copy of the code; the tests must find each.

Each mutant is one edit and the tests that hold that law. ``--only NAME`` tries one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ORDER, CLOCK, CONTAINED = (f"tests/unit/publishing/test_{name}.py" for name in ("order", "logical_clock", "containment"))
SEAT, OWNERSHIP, SWEEP = "tests/unit/kafka/test_membership.py", "tests/simulation/test_ownership.py", "tests/unit/polling/test_sweep.py"
STATE, COMMIT, SHARD = "poller/publishing/shard_state.py", "poller/publishing/commit.py", "poller/worker/shard.py"
MEMBER, ROWS, PAGE = "poller/kafka/membership.py", "poller/polling/rows.py", "poller/polling/page.py"
RESTORE, WORKER, FORGETTING = "poller/publishing/restore.py", "poller/worker/worker.py", "poller/worker/forgetting.py"
HISTORY, ASKED = "poller/providers/heymarket/history.py", "poller/providers/heymarket/options.py"
CONVERSATIONS, OPTIONS = "tests/providers/test_conversations.py", "tests/unit/config/test_options.py"
CLIENT = "tests/unit/kafka/test_client.py"
STRIDE, STRIDES = "poller/providers/heymarket/stride.py", "tests/providers/test_strides.py"
RESTORED, SHARD_STATE = (f"tests/unit/publishing/test_{name}.py" for name in ("restore", "shard_state"))


class Mutant(NamedTuple):
    """One law broken."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


MUTANTS = (
    Mutant("queued-before-dirty", STATE, "for queued in (self._dirty, self._queued)", "for queued in (self._queued, self._dirty)", ORDER),
    Mutant("applied-drops-newer", STATE, "key in self._queued and self._queued[key] is value", "key in self._queued", ORDER),
    Mutant("older-cursor-overrides", STATE, "            self._dirty.pop(key, None)\n", "", ORDER),
    Mutant("cursor-before-its-page", COMMIT, "self._queue.append(queued)", "self._queue.insert(0, queued)", ORDER),
    Mutant("forgets-what-is-queued", STATE, "key in self._queued or position", "position", ORDER),
    Mutant("forgets-in-a-backfill", STATE, " or self._backfilled(bound.stream_id, state.position * SECOND)", "", SWEEP),
    Mutant("clock-counts-transactions", COMMIT, "clock=self.shard_state.tick()", "clock=old.clock + 1", CLOCK),
    Mutant("clock-begins-anew", STATE, "self._clock = meta.clock", "self._clock = 0", CLOCK),
    Mutant("row-ends-the-shard", STATE, "        except Exception as error:\n", "        except ValueError as error:\n", CONTAINED),
    Mutant("fresh-for-a-session", MEMBER, "else self._session_s / 2", "else self._session_s", SEAT),
    Mutant("no-turn-between-portions", ROWS, "await self._clock.turn()", "pass", "tests/unit/polling/test_portions.py"),
    Mutant("nonce-is-not-asked-for", RESTORE, "if position.nonce and not nonce and end.end > position.last:", "if False:", RESTORED),
    Mutant("another-nonce-is-accepted", RESTORE, "if position.nonce and nonce != position.nonce:", "if False:", RESTORED),
    Mutant("goes-on-after-a-lost-end", RESTORE, "if await _lost_its_end(", "if False and await _lost_its_end(", RESTORED),
    Mutant("a-new-log-is-a-lost-end", RESTORE, "return nonce == position.nonce", "return True", RESTORED),
    Mutant("goes-on-after-a-lost-beginning", RESTORE, "end.begin > meta.begin", "False", RESTORED),
    Mutant("first-page-not-durable", PAGE, "always=begun or (", "always=(", SWEEP),
    Mutant("complete-when-answered", "poller/polling/sweep.py", "provider_clock.earliest(sent)", "now_earliest()", SWEEP),
    Mutant("forgets-without-a-floor", STATE, "floor=max(cursor.floor, bound.until)", "floor=cursor.floor", SHARD_STATE),
    Mutant("forgets-what-is-polled", FORGETTING, "stream_tag(stream_id) not in polled and ", "", SHARD_STATE),
    Mutant("does-not-wait-for-the-predecessor", WORKER, "await earlier.closed.wait()", "pass", OWNERSHIP),
    Mutant("no-drain-at-a-stop", SHARD, "        await committer.drain()\n", "", OWNERSHIP),
    Mutant("opens-unconfirmed", SHARD, "not self._hold.confirmed()", "False", OWNERSHIP),
    Mutant(
        "belongs-to-its-first-stream",
        "poller/publishing/diff.py",
        "seen == (old.stamp, old.position, old.stream)",
        "seen[:2] == (old.stamp, old.position)",
        "tests/unit/publishing/test_diff.py",
    ),
    Mutant(
        "timestamps-in-seconds-only", HISTORY, "if not at.sure and not probing(at) and at.cursor is not None:", "if False:", CONVERSATIONS
    ),
    Mutant(
        "the-unit-is-never-unlearned",
        HISTORY,
        "if at.unit != MILLISECOND:\n            raise",
        "if True:\n            raise",
        CONVERSATIONS,
    ),
    Mutant("an-empty-page-is-the-end", HISTORY, "if not at.empty and min(", "if False and min(", CONVERSATIONS),
    Mutant("a-full-second-is-not-told", HISTORY, "if len(rows) >= max(FULL_ROWS, at.most) else ()", "if False else ()", CONVERSATIONS),
    Mutant("pages-come-in-order", HISTORY, "key=lambda row: -row.created", "key=lambda row: 0", "tests/providers/test_exam.py"),
    Mutant("restores-below-what-is-open", "poller/kafka/client.py", "if stable >= end or not settled:", "if True:", CLIENT),
    Mutant("commits-without-its-batches", "poller/kafka/writer.py", "        await asyncio.gather(*sent)\n", "", CLIENT),
    Mutant("stale-copies-are-known", ROWS, " and row.id not in changes.stale", "", "tests/unit/polling/test_portions.py"),
    Mutant("a-stride-jumps", STRIDE, "if fewer > len(at.listed):", "if False:", STRIDES),
    Mutant("lagging-counts-are-believed", STRIDE, "if lacking > walk.fewer else ()", "if False else ()", STRIDES),
    Mutant("other-inboxes-stay", ASKED, "if inbox in wanted]", "]", CONVERSATIONS),
    Mutant("a-name-may-be-a-number", ASKED, "(?!(?:[^0-9]*[0-9]){{7}})", "", OPTIONS),
    Mutant("a-name-may-be-the-team", ASKED, "(?!{TEAM}$)", "", OPTIONS),
    Mutant("streams-as-they-are-written", ASKED, "tuple(sorted(self.conversations))", "tuple(self.conversations)", OPTIONS),
    Mutant(
        "fault-ends-the-worker", SHARD, "        except* Exception as group:\n", "        except* ZeroDivisionError as group:\n", OWNERSHIP
    ),
)


def edited(mutant: Mutant) -> str:
    """Its file with the edit. Raises ValueError where the edit fits no place of the code, or more than one."""
    text = (ROOT / mutant.file).read_text()
    if text.count(mutant.right) != 1:
        raise ValueError(f"{mutant.name}: {mutant.file} has {text.count(mutant.right)} places for this edit")
    return text.replace(mutant.right, mutant.wrong)


def found(mutant: Mutant) -> bool:
    """Whether the tests turn red on a copy with this edit. Raises ValueError where it fits no place."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("poller", "tests", "schemas"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        path = copy / mutant.file
        path.write_text(edited(mutant))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests.split()]
        environment = {"PYTHONPATH": str(copy), "PYTHONHASHSEED": "0", "PATH": ""}
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode == 1


def main() -> None:
    """Try each; 1 where one survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[mutant.name for mutant in MUTANTS])
    given = parser.parse_args()
    survivors = []
    for mutant in MUTANTS:
        if given.only in (None, mutant.name):
            dead = found(mutant)
            print(f"{mutant.name}: {'found' if dead else 'SURVIVES'}", flush=True)
            survivors += [] if dead else [mutant.name]
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
