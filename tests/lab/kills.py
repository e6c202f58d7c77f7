"""``make kills N=200``: so many counted kills of real daemons against a real Kafka, and the verdict of an independent reader.

``--all-vendors`` (``VENDORS=all``): all six are polled, at the same rate of messages.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import anyio

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch
from poller.demo.simulator.profiles import EVERY_PROVIDER, FIRST_THREE
from tests.support.newest import wrong
from tests.support.trial import POINTS, Trial, faults


async def main() -> int:
    """Print progress and the verdict; 0 when it is good."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--all-vendors", action="store_true")
    given = parser.parse_args()
    vendors, kills = EVERY_PROVIDER if given.all_vendors else FIRST_THREE, given.kills
    by_point: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, Cluster(fetch(progress=print), Path(folder) / "kafka") as kafka:
        work = Path(folder) / "work"
        work.mkdir()
        topics = {"messages": "messages", "status": "status", "dead_letters": "dead", "latest": "latest", "state": "state"}
        trial = Trial(work, kafka.bootstrap, topics, seed=given.seed, vendors=vendors)
        async with trial.providers():
            attempt, restores = 0, 0
            while trial.kills < kills and attempt < 4 * kills:
                point = POINTS[attempt % len(POINTS)]
                if attempt % 5 == 4:
                    await trial.kill_at("restore")
                    restores += 1
                by_point[point] += await trial.kill_at(point)
                attempt += 1
                if attempt % 10 == 0:
                    print(f"{trial.kills} of {kills} kills", flush=True)
            verdict = await trial.settle(seconds=180)
    print(f"seed {given.seed}, {len(vendors)} vendors; counted kills {trial.kills} ({dict(by_point)}), {restores} more during restore")
    print(verdict.line)
    found = faults(trial.events + trial.latest) + wrong(trial.events, trial.latest)
    print(f"{len(trial.latest)} latest messages; audit: " + ("; ".join(found) or "nothing wrong"))
    return 0 if verdict.good and trial.kills >= kills and not found else 1


if __name__ == "__main__":
    raise SystemExit(anyio.run(main))
