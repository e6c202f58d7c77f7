"""Outages as an operator meets them: ``make observe``. A hostile demo's daemon on real Kafka, scraped by a real Prometheus.

Each outage is played and healed. For each it is asserted which alerts fire, what the page says and what the log says, and that all is
quiet afterwards. The alerts are those of deploy/prometheus with their waiting times made short, so that an outage lasts seconds. At the
end every expression of alerts and dashboard must have given data, and the table is printed. ``python -m tests.lab.observe.outages 401 gap``
plays only some.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import yaml

from poller.demo.accounts import account_lines, write_secrets
from poller.demo.command import Daemon
from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch
from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.server import serving
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from tests.house.test_observability import expressions

ROOT = Path(__file__).parent.parent.parent.parent
WAIT_S = 90.0
"""How long an alert, a sentence or quiet is waited for; the machine may be busy."""

FOR, WINDOW = "3s", "20s"
"""What the rules' waiting times and windows are shortened to."""

CONFIG = """\
kafka: {{bootstrap_servers: ["{bootstrap}"], session_timeout: 6s, partitions: 4, shards: 4}}
state: {{directory: state}}
admin: {{listen: "127.0.0.1:{port}"}}
log: {{level: info, format: json}}
defaults: {{interval: 1s, overlap: 1m, start_from: 24h, reconcile: {{every: 6h, back: 24h}}, timeout: 5s}}
accounts:
{accounts}"""

SCRAPES = """\
global: {{scrape_interval: 2s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
scrape_configs: [{{job_name: poller, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


@dataclass
class Outage:
    """One outage. ``page`` and ``log`` are patterns; ``log`` matches one line's event and message."""

    name: str
    begin: Callable[[Stage], None]
    end: Callable[[Stage], None]
    alerts: frozenset[str]
    page: str
    log: str
    over: str | None = None
    """What the log says when it is over."""
    said_s: float = 15.0
    """How long the log's word is waited for."""
    stays: frozenset[str] = frozenset()
    """Alerts that stay for as long as their window."""


CROWD_ROWS = 110
"""Messages of one moment: more than a page of Heymarket's holds."""


class Faulty(Providers):
    """Simulated providers that fail as they are told: ``faults`` maps a provider's path prefix to what to answer.

    ``crowd``: how many messages of one moment Heymarket shall have with the next request.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.faults: dict[str, Callable[[str, Callable[[], Answer]], Answer]] = {}
        self.crowd = 0

    def answer(self, method: str, target: str, *given: Any) -> Answer:
        """As told, else as the provider would."""
        usual, now = super().answer, time.time_ns() // 1000
        for _ in range(self.crowd):
            self.world._message(HEYMARKET, now, now, backlog=False)
        self.crowd = 0
        fault = self.faults.get(target.split("/")[1])
        return usual(method, target, *given) if fault is None else fault(target, lambda: usual(method, target, *given))


@dataclass
class Stage:
    """Everything that runs."""

    kafka: Cluster
    providers: Faulty
    port: int
    prometheus: str
    log: Path
    said: int = 0

    def get(self, path: str) -> str:
        """From the daemon's port; what it answers, whatever the status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return ""

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus has for an expression now."""
        address = f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def firing(self) -> frozenset[str]:
        """The alerts that fire."""
        return frozenset(each["metric"]["alertname"] for each in self.query('ALERTS{alertstate="firing"}'))

    def lines(self) -> list[str]:
        """The log since the outage began: level, event and message of each line."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()[self.said :] if line.startswith("{")]
        return [f"{line['level']} {line['event']}: {line['message']}" for line in found]

    def mark(self) -> None:
        """What is said from here on belongs to what comes."""
        self.said = len(self.log.read_text().splitlines())


def answering(status: int, headers: dict[str, str] | None = None) -> Callable[[str, Callable[[], Answer]], Answer]:
    """Every request is answered with a status."""
    return lambda _, __: Answer(status, b"{}", "application/json", headers or {})


def only(part: str, status: int) -> Callable[[str, Callable[[], Answer]], Answer]:
    """Requests for one stream are answered with a status."""
    return lambda target, usual: Answer(status, b"{}", "application/json", {}) if part in target else usual()


def bad_row(_: str, usual: Callable[[], Answer]) -> Answer:
    """One row without anything, in every list."""
    found = usual()
    return found._replace(body=re.sub(rb"\[(?=\{)", b'[{"odd": 1}, ', found.body, count=1))


def fail(provider: str, fault: Callable[[str, Callable[[], Answer]], Answer]) -> Callable[[Stage], None]:
    """Let a provider fail."""
    return lambda stage: stage.providers.faults.__setitem__(provider, fault)


def heal(stage: Stage) -> None:
    """All providers answer again."""
    stage.providers.faults.clear()
    stage.providers.world.switches = replace(stage.providers.world.switches, skew_s=0.0)


def crowd(stage: Stage) -> None:
    """More messages of one moment than a page holds, and nobody says how many there are."""
    fail("heymarket", only("/count", 404))(stage)
    stage.providers.crowd = CROWD_ROWS


def skew(stage: Stage) -> None:
    """The providers' clocks are five minutes ahead."""
    stage.providers.world.switches = replace(stage.providers.world.switches, skew_s=300.0)


def kafka(act: str) -> Callable[[Stage], None]:
    """Something happens to the broker."""

    def do(stage: Stage) -> None:
        node = stage.kafka.nodes[0]
        getattr(node, act)()
        if act == "start":
            node.wait(time.monotonic() + 120)

    return do


DOWN = frozenset({"PollerKafkaDown", "PollerNotReady"})
AFTERMATH = frozenset({"PollerTransactionsFailing", "PollerRebalancing", "PollerLagHigh", "PollerAccountUnowned", "PollerNoSuccess"})
"""What an outage of Kafka may leave for as long as windows last, or raise beside what must fire."""

OUTAGES = (
    Outage("401", fail("heymarket", answering(401)), heal, frozenset({"PollerUnauthorized"}), r"credentials refused.*HTTP 401", "warning trouble: heymarket/main: credentials refused", "trouble_over: heymarket/main"),
    Outage("429", fail("heymarket", answering(429, {"retry-after": "5"})), heal, frozenset({"PollerThrottled"}), r"rate limited.*HTTP 429", "warning trouble: heymarket/main: rate limited", "trouble_over: heymarket/main", stays=frozenset({"PollerThrottled"})),
    Outage("404", fail("stuut", only("thr_1", 404)), heal, frozenset({"PollerStreamsInTrouble"}), r"not found or not ours.*stuut/collections/thr_1.*HTTP 404", "warning trouble: stuut/collections/thr_1", "trouble_over: stuut/collections/thr_1"),
    Outage("bad row", fail("fonedynamics", bad_row), heal, frozenset({"PollerDeadLetters"}), r"Healthy", "warning dead_letter: ", stays=frozenset({"PollerDeadLetters"})),
    Outage("gap", crowd, heal, frozenset({"PollerOpenGap"}), r"1 possible gap open.*heymarket/main/team", "warning gap_open: heymarket/main/team", "gap_closed: heymarket/main/team"),
    Outage("skew", skew, heal, frozenset(), r"Healthy", "warning clocks_differ: ", said_s=180.0),
    Outage("Kafka frozen", kafka("pause"), kafka("resume"), DOWN, r"Nothing is published: Kafka does not answer", "warning kafka_trouble: ", "kafka_trouble_over", stays=AFTERMATH),
    Outage("Kafka dead", kafka("kill"), kafka("start"), DOWN, r"Nothing is published: Kafka", "warning kafka_trouble: ", "kafka_trouble_over", stays=AFTERMATH),
)  # fmt: skip


def shortened() -> str:
    """The rules as they are shipped, their waits and windows short."""
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = FOR
        rule["expr"] = re.sub(r"\[\w+\]", f"[{WINDOW}]", rule["expr"])
    rules["groups"][0]["interval"] = "1s"
    return yaml.safe_dump(rules)


@contextmanager
def prometheus(folder: Path, port: int) -> Iterator[str]:
    """A Prometheus that scrapes the daemon."""
    folder.mkdir()
    (folder / "rules.yaml").write_text(shortened())
    (folder / "prometheus.yml").write_text(SCRAPES.format(port=port))
    own = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        yield f"http://127.0.0.1:{own}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Kafka, providers, the daemon and Prometheus."""
    with tempfile.TemporaryDirectory(prefix="poller-observe-") as name:
        folder, port, log = Path(name), free_port(), Path(name) / "daemon.log"
        with Cluster(fetch(progress=print), folder / "kafka") as cluster, prometheus(folder / "prometheus", port) as address:
            providers = Faulty(World(7, time.time_ns() // 1000, Switches(late=0.05)))
            async with serving(providers) as url:
                config = folder / "poller.yaml"
                write_secrets(folder)
                accounts = account_lines(providers.world.providers, url, {}, "20/s")
                config.write_text(CONFIG.format(bootstrap=cluster.bootstrap, port=port, accounts=accounts))
                daemon = Daemon(config, log)
                daemon.start()
                try:
                    yield Stage(cluster, providers, port, address, log)
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(daemon.stop)


def free_port() -> int:
    """A port that nobody listens on now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


async def until(holds: Callable[[], bool], seconds: float = WAIT_S) -> bool:
    """Whether it comes to hold in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if await anyio.to_thread.run_sync(holds):
                return True
        except OSError:
            pass  # Prometheus is starting
        await anyio.sleep(0.5)
    return False


def said(stage: Stage, wanted: str) -> bool:
    """Whether a line of the log since the mark holds a text."""
    return any(wanted in line for line in stage.lines())


def shown(stage: Stage, wanted: str) -> bool:
    """Whether the page matches, without its markup."""
    return re.search(wanted, re.sub(r"<[^>]+>|\s+", " ", stage.get("/")), re.DOTALL) is not None


async def play(stage: Stage, outage: Outage) -> list[str]:
    """Begin it, look, end it, look; what was not as it should be."""
    stage.mark()
    await anyio.to_thread.run_sync(outage.begin, stage)
    wrong = []
    if not await until(lambda: outage.alerts <= stage.firing()):
        wrong.append(f"fires {sorted(stage.firing())}, not {sorted(outage.alerts)}")
    beside = stage.firing() - outage.alerts - outage.stays
    wrong += [f"fires {sorted(beside)} as well"] if beside else []
    wrong += [] if await until(lambda: shown(stage, outage.page)) else [f"the page does not say {outage.page!r}"]
    wrong += [] if await until(lambda: said(stage, outage.log), outage.said_s) else [f"the log does not say {outage.log!r}"]
    await anyio.to_thread.run_sync(outage.end, stage)
    wrong += [] if await until(lambda: not stage.firing()) else [f"afterwards {sorted(stage.firing())} still fires"]
    wrong += [] if await until(lambda: shown(stage, "Healthy")) else ["afterwards the page does not say Healthy"]
    if outage.over is not None and not await until(lambda: said(stage, outage.over or ""), 15):
        wrong.append(f"the log does not say {outage.over!r}")
    return wrong


async def first_look_back(stage: Stage) -> list[str]:
    """A lag of hours that is none, from the daemon's start on; what was not as it should be."""
    wrong = [] if await until(lambda: shown(stage, "in the first look-back")) else ["the page does not say so"]
    if not await until(lambda: shown(stage, "Healthy") and not shown(stage, "in the first look-back") and not stage.firing(), 180):
        wrong.append(f"it never became quiet: {sorted(stage.firing())}; {stage.query('poller_open_gaps > 0')}")
    wrong += [] if stage.query("max_over_time(poller_first_look_back[10m]) == 1") else ["its gauge was never seen"]
    fired = {each["metric"]["alertname"] for each in stage.query('max_over_time(ALERTS{alertstate="firing"}[10m])')}
    return wrong + (["PollerLagHigh fired"] if "PollerLagHigh" in fired else [])


async def main(*names: str) -> int:
    """Play them all, or some; print the table."""
    found, rows = [], []
    async with staged() as stage:
        wrong = await first_look_back(stage)
        found += [f"first look-back: {each}" for each in wrong]
        rows.append(("first look-back", "no PollerLagHigh", "in the first look-back", "", "; ".join(wrong) or "as it should be"))
        for outage in OUTAGES:
            if names and outage.name not in names:
                continue
            wrong = await play(stage, outage)
            found += [f"{outage.name}: {each}" for each in wrong]
            row = (outage.name, ", ".join(sorted(outage.alerts)) or "none", outage.page, outage.log, "; ".join(wrong) or "as it should be")
            rows.append(row)
            print(" | ".join(row), flush=True)
        await until(lambda: all(seen(stage, each) for each in expressions()), 60)
        empty = [each for each in expressions() if not seen(stage, each)]
        found += [f"no data was ever there for {each}" for each in empty]
    print("\n| outage | alerts | page | log | result |\n| --- | --- | --- | --- | --- |")
    print("\n".join("| " + " | ".join(row) + " |" for row in rows))
    print("\n".join(found) or f"{len(expressions())} expressions of alerts and dashboard gave data")
    return 1 if found else 0


def seen(stage: Stage, expression: str) -> bool:
    """Whether an expression's series exist; a comparison that is false now is no lack of data."""
    bare = re.sub(r"\s*(==|!=|>|<)\s*[\d.]+(\s*\*\s*[\d.]+)*", "", expression)
    return bool(stage.query(re.sub(r"absent\(([^)]*\))?\)", r"\1", bare)))


if __name__ == "__main__":
    sys.exit(anyio.run(main, *sys.argv[1:]))
