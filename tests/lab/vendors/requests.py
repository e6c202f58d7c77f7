"""``make vendor-requests``: what ``poller run`` asks is judged by the vendors' own OpenAPI files, and their example answers are read.

Twilio's requests go through Prism, which refuses what its file does not allow, and judges the simulated vendor's answers too. Prism 5.16
looks for a key such as ``DateSent>`` or ``filter[record_type]`` by its escaped name, and so never finds it: those it does not judge, and
Telnyx, which requires one, it refuses whatever is asked. So the keys and values of all requests are judged by the files' schemas as well.
Plivo publishes no such file.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx
import jsonschema_rs

from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch
from poller.demo.simulator.profiles import TELNYX, TWILIO
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from tests.lab.vendors.examples import TWILIO_LIST, TWILIO_ONE, judge
from tests.support.trial import Trial, now

SECONDS = 25.0
PATHS = {TWILIO: (TWILIO_LIST, TWILIO_ONE), TELNYX: ("/detail_records",)}
PREFIX = {TWILIO: "", TELNYX: "/v2"}
"""What the file's server has before its paths."""


class Operation:
    """One ``get`` of an OpenAPI file: which keys a query may have, and what their values may be."""

    def __init__(self, parameters: list[dict[str, Any]]) -> None:
        told = {each["name"]: each for each in parameters if each["in"] == "query"}
        self._schemas = {name: jsonschema_rs.validator_for(each["schema"], validate_formats=True) for name, each in told.items()}
        self._kinds = {name: each["schema"]["type"] for name, each in told.items()}
        self._required = {name for name, each in told.items() if each.get("required")}

    def wrong(self, query: list[tuple[str, str]]) -> Iterator[str]:
        """What of a query the file does not allow."""
        yield from (f"{name} is required" for name in self._required - {name for name, _ in query})
        for name, text in query:
            known = name if name in self._kinds else name.partition("[")[0]
            if known not in self._kinds or (known != name and self._kinds[known] != "object"):
                yield f"{name} is no key"
            elif not self._schemas[known].is_valid(self._value(known, name, text)):
                yield f"{name}={text}"

    def _value(self, known: str, name: str, text: str) -> Any:
        match self._kinds[known]:
            case "integer":
                return int(text) if text.isdigit() else text
            case "array":
                return [text]
            case "object":
                return {name: text}
            case _:
                return text


class Judged(Providers):
    """Simulated vendors at the root, whose requests are compared with the files."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world)
        files = {vendor: json.loads((folder / f"{vendor}.json").read_text(encoding="utf-8"))["paths"] for vendor in PATHS}
        self.operations = {
            vendor: {len(path.split("/")): Operation(files[vendor][path]["get"]["parameters"]) for path in paths}
            for vendor, paths in PATHS.items()
        }
        self.judged, self.wrong = Counter[str](), Counter[str]()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int) -> Answer:
        """The answer, whose links do not have the simulator's prefix."""
        parts = urlsplit(target)
        _, vendor, path = parts.path.split("/", 2)
        operation = self.operations[vendor][len(f"/{path}".removeprefix(PREFIX[vendor]).split("/"))]
        self.judged[vendor] += 1
        self.wrong.update(f"{vendor}: {each}" for each in operation.wrong(parse_qsl(parts.query)))
        found = super().answer(method, target, headers, body, now)
        return found._replace(body=found.body.replace(b'"/twilio/', b'"/'))


class ThroughPrism(Trial):
    """Twilio's base URL is Prism's."""

    prism = ""

    def config(self, instance: str = "worker") -> Path:
        """With the address."""
        path = super().config(instance)
        path.write_text(path.read_text().replace(f"{self.url}/{TWILIO}", self.prism))
        return path


@contextmanager
def prism(folder: Path, work: Path, upstream: str) -> Iterator[str]:
    """Prism between poller and the simulated Twilio; what it finds wrong is answered in its place, and said in its log."""
    spec = json.loads((folder / "twilio.json").read_text(encoding="utf-8"))
    spec["paths"] = {path: {"get": spec["paths"][path]["get"]} for path in PATHS[TWILIO]}
    for each in spec["paths"][TWILIO_LIST]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"].values():
        each.pop("format", None)  # the file calls its links "uri" (RFC 3986, absolute), and gives relative ones in its own examples
    (work / "twilio.json").write_text(json.dumps(spec))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        folder / "node_modules" / ".bin" / "prism",
        "proxy",
        work / "twilio.json",
        upstream,
        "--errors",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with (work / "prism.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def listening(url: str) -> None:
    """Until there is any answer."""
    async with httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(url)
            except httpx.TransportError:
                await anyio.sleep(0.2)
            else:
                return


async def main(folder: Path) -> int:
    """A worker polls both vendors for a while; 0 when nothing was found wrong, and everything was published once."""
    good = judge(folder)
    with tempfile.TemporaryDirectory() as name, Cluster(fetch(progress=print), Path(name) / "kafka") as kafka:
        work = Path(name) / "work"
        work.mkdir()
        topics = {"messages": "messages", "status": "status", "dead_letters": "dead", "state": "state"}
        trial = ThroughPrism(work, kafka.bootstrap, topics, seed=7)
        trial.world = World(
            7, now(), Switches(limit_max=40, scheduled=0.1, unsent="first"), backlog=400, per_second=8.0, providers=tuple(PATHS)
        )
        judged = Judged(trial.world, folder)
        async with trial.providers(lambda _: judged):
            with prism(folder, work, f"{trial.url}/{TWILIO}") as trial.prism:
                await listening(trial.prism)
                worker = trial.start()
                await anyio.sleep(SECONDS)
                worker.terminate()
                await anyio.to_thread.run_sync(worker.wait)
                verdict = await trial.settle(seconds=90)
        refused = [line for line in (work / "prism.log").read_text().splitlines() if "violation" in line.lower() or "UNPROCESSABLE" in line]
    print(f"requests: {dict(judged.judged)}; {sum(judged.wrong.values())} that the files do not allow {dict(judged.wrong) or ''}")
    print(f"Prism: {len(refused)} violations", *refused[:5], sep="\n")
    print(verdict.line)
    return 0 if good and verdict.good and not judged.wrong and not refused and min(judged.judged[each] for each in PATHS) > 20 else 1


if __name__ == "__main__":
    started = time.monotonic()
    code = anyio.run(main, Path(sys.argv[1]))
    print(f"{time.monotonic() - started:.0f} s")
    raise SystemExit(code)
