"""``make registry``: schemas in a real schema registry, which is away at the start, comes, goes, comes back empty; daemons are killed meanwhile.

The registry is AxonOps' (open source, Go, Confluent's API), built from its Go module. An independent reader takes the number
before each value, asks the registry for that schema, and holds the value against it; the judge of the kills does the rest.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import jsonschema_rs
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch
from tests.support.newest import wrong
from tests.support.trial import POINTS, Trial, faults

CONFIG = """\
server: {{host: 127.0.0.1, port: {port}}}
storage: {{type: memory}}
compatibility: {{default_level: BACKWARD}}
logging: {{level: warn}}
"""
WAIT_S = 6.0
"""Seconds for which nothing may be published while the registry is away at a start."""


@contextmanager
def registry(folder: Path, port: int) -> Iterator[None]:
    """A registry that knows nothing yet, for as long as the block lasts."""
    (folder / "registry.yaml").write_text(CONFIG.format(port=port))
    process = subprocess.Popen([sys.argv[1], "-config", folder / "registry.yaml"], stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def judged(bootstrap: str, topics: list[str], url: str) -> Counter[str]:
    """How many committed records of each schema there are; raises where one has no schema, another's, or does not obey it."""
    schemas: dict[int, str] = {}
    found: Counter[str] = Counter()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "judge", "isolation.level": "read_committed"})
    places = [
        TopicPartition(name, part, OFFSET_BEGINNING) for name in topics for part in consumer.list_topics(name).topics[name].partitions
    ]
    consumer.assign(places)
    while records := consumer.consume(1000, 5.0):
        for record in records:
            value, headers = record.value() or b"", dict(record.headers() or ())
            assert value[:1] == b"\0", "no schema's number"
            number = int.from_bytes(value[1:5], "big")
            if number not in schemas:
                with urllib.request.urlopen(f"{url}/schemas/ids/{number}", timeout=10) as answer:
                    schemas[number] = json.load(answer)["schema"]
            schema = json.loads(schemas[number])
            assert schema["$id"].encode() == headers["ce_dataschema"]
            jsonschema_rs.validate(schema, json.loads(value[5:]), validate_formats=True)
            found[schema["$id"]] += 1
    consumer.close()
    return found


async def committed(trial: Trial, more: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for so many more transactions of a daemon."""
    before = trial.commits()
    with anyio.fail_after(90):
        while trial.commits() < before + more:
            assert process.poll() is None, "the daemon ended"
            await anyio.sleep(0.05)


async def stopped(process: subprocess.Popen[bytes]) -> None:
    """A clean stop."""
    process.send_signal(signal.SIGTERM)
    assert await anyio.to_thread.run_sync(process.wait, 25) == 0


async def waits(trial: Trial) -> None:
    """A daemon that starts while the registry is away publishes nothing, and stops cleanly."""
    before, process = trial.commits(), trial.start()
    await anyio.sleep(WAIT_S)
    assert process.poll() is None, "the daemon ended"
    assert trial.commits() == before, "something was published without a schema"
    await stopped(process)


async def main() -> int:
    """Play it, and say what was found; 0 where all is right."""
    with tempfile.TemporaryDirectory() as name, Cluster(fetch(progress=print), Path(name) / "kafka") as kafka:
        folder = Path(name) / "work"
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        topics = {role: role for role in ("messages", "status", "dead_letters", "latest", "state")}
        trial = Trial(folder, kafka.bootstrap, topics, seed=23)
        trial.kafka = (f"schema_registry: {{url: {url}}}",)
        async with trial.providers():
            await waits(trial)
            print("without the registry nothing is published", flush=True)
            with registry(folder, port):
                for point in POINTS:
                    await trial.kill_at(point)
                process = trial.start()
                await committed(trial, 5, process)
            await committed(trial, 10, process)  # the registry is gone, and nobody misses it
            await stopped(process)
            print(f"{trial.kills} kills, and the registry went away while a daemon published", flush=True)
            await waits(trial)
            with registry(folder, port):
                verdict = await trial.settle()
                found = await anyio.to_thread.run_sync(judged, kafka.bootstrap, ["messages", "status", "latest"], url)
    mistakes = faults(trial.events + trial.latest) + wrong(trial.events, trial.latest)
    print(verdict.line)
    print(f"{trial.kills} kills; records that obey their registered schema: {dict(found)}; audit: {'; '.join(mistakes) or 'nothing wrong'}")
    return 0 if verdict.good and trial.kills and not mistakes and len(found) == 4 else 1


if __name__ == "__main__":
    raise SystemExit(anyio.run(main))
