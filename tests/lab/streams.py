"""``make streams``: the Kafka Streams example over a real Kafka, compared with what was published.

The library's own jars come from the Maven repository like Kafka's; the example's file is run as it is by a JDK's ``java``.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path

import jgo.env
import jgo.maven
import platformdirs
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import VERSION, fetch
from poller.demo.kafka.reader import Reader
from tests.kafka.test_examples import EXAMPLES, create, publish
from tests.support.newest import newest
from tests.support.story import Story

OUTPUT, JACKSON = "sms.message-states", "2.19.2"
SOURCE = EXAMPLES / "streams" / "MessageStates.java"
WAIT_S = 180.0
COMPARED = ("revision", "status", "text", "final", "delivered_at")


def jars() -> str:
    """The class path, downloaded where it is missing."""
    cache = Path(platformdirs.user_cache_dir("poller")) / f"streams-{VERSION}"
    context = jgo.maven.MavenContext(repo_cache=cache / "maven", resolver=jgo.maven.PythonResolver())
    parts = (f"org.apache.kafka:kafka-streams:{VERSION}", f"com.fasterxml.jackson.core:jackson-databind:{JACKSON}")
    endpoint = "+".join([*parts, "org.slf4j:slf4j-nop:1.7.36"])
    found = jgo.env.EnvironmentBuilder(context=context, cache_dir=cache / "environment").from_endpoint(endpoint)
    return ":".join(str(Path(jar).resolve()) for jar in found.all_jars)


def states(bootstrap: str, wanted: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """The table that the example writes, once it says what is wanted, or when the time is over."""
    found: dict[str, tuple[object, ...]] = {}
    end = time.monotonic() + WAIT_S
    with Reader(bootstrap, [OUTPUT]) as reader:
        while found != wanted and time.monotonic() < end:
            found |= {event.key: tuple(event.value.get(name) for name in COMPARED) for event in reader.poll(0.5)}
    return found


def main(folder: Path) -> int:
    """Publish a story, let the example run over it, compare."""
    story = Story(5, crash_s=None, seconds=40.0, settle_s=60.0)
    story.play()
    events = [event for event in story.published() if "dead-letter" not in event.type]
    right = {key: tuple(value.get(name) for name in COMPARED) for key, value in newest(events).items()}
    with Cluster(fetch(progress=print), folder / "kafka") as kafka:
        create(kafka.bootstrap)
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([NewTopic(OUTPUT, 4, 1)])[OUTPUT].result(30)
        publish(Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "streams"}), events)
        command = ["java", "-Xmx400m", "-Djava.io.tmpdir=" + str(folder), "-cp", jars(), str(SOURCE), kafka.bootstrap, OUTPUT]
        with subprocess.Popen(command, preexec_fn=die_with_parent) as example:
            found = states(kafka.bootstrap, right)
            example.terminate()
    same = sum(found.get(key) == value for key, value in right.items())
    print(f"Kafka Streams {VERSION}: {same} of {len(right)} messages in their newest state")
    for key in [key for key in right if found.get(key) != right[key]][:3]:
        print(json.dumps({"key": key, "found": found.get(key), "right": right[key]}))
    return int(found != right)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        raise SystemExit(main(Path(name)))
