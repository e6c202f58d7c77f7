"""``make kills N=200``: so many counted kills of real daemons against a real Kafka, and the verdict of an independent reader."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import anyio

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch
from tests.support.newest import wrong
from tests.support.trial import POINTS, Trial, faults


async def main(kills: int, seed: int) -> int:
    """Print progress and the verdict; 0 when it is good."""
    by_point: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, Cluster(fetch(progress=print), Path(folder) / "kafka") as kafka:
        work = Path(folder) / "work"
        work.mkdir()
        topics = {"messages": "messages", "status": "status", "dead_letters": "dead", "latest": "latest", "state": "state"}
        trial = Trial(work, kafka.bootstrap, topics, seed=seed)
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
    print(f"seed {seed}; counted kills {trial.kills} ({dict(by_point)}), {restores} more during restore")
    print(verdict.line)
    found = faults(trial.events + trial.latest) + wrong(trial.events, trial.latest)
    print(f"{len(trial.latest)} latest messages; audit: " + ("; ".join(found) or "nothing wrong"))
    return 0 if verdict.good and trial.kills >= kills and not found else 1


if __name__ == "__main__":
    raise SystemExit(anyio.run(main, int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())))
