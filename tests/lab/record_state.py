"""What a release leaves behind in Kafka, and the rows that its providers listed, as data for ``tests/simulation/test_upgrade.py``.

``python -m tests.lab.record_state CHECKOUT FILE`` plays the history with the code of the first release, which lies in
the folder CHECKOUT (``git worktree add CHECKOUT ee74b04``): real Kafka, a real daemon that is killed once, simulated providers
over HTTP. Everything in the file is invented. A test must read the file for as long as that release may be upgraded from.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CHECKOUT, FILE = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
sys.path.insert(0, str(CHECKOUT))
for name in [name for name in sys.modules if name == "poller" or name.startswith("poller.")]:
    del sys.modules[name]

import anyio  # noqa: E402
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition  # noqa: E402
from poller.codec import decode_state  # noqa: E402
from poller.demo.broker import Cluster, die_with_parent  # noqa: E402
from poller.demo.jars import fetch  # noqa: E402
from poller.demo.providers import Answer, Providers  # noqa: E402
from poller.demo.server import serving  # noqa: E402
from poller.demo.shelf import Sms  # noqa: E402
from poller.demo.switches import Switches  # noqa: E402
from poller.demo.world import FONE, HEYMARKET, PROPERTIES, STUUT, THREADS, World  # noqa: E402
from poller.window import Cursor  # noqa: E402

from poller.demo import providers  # noqa: E402
from poller.demo.command import _SECRETS, ACCOUNTS  # noqa: E402

SECOND, HOUR = 1_000_000, 3_600_000_000
GONE = "thr_gone"
"""A thread that its provider does not know: the stream is in trouble, and its cursor says so."""

SHAPES_MAX = 20
"""Records of cursors in the middle of something, each of another shape, beside the newest of each key."""

CONFIG = """\
kafka: {{bootstrap_servers: ["{bootstrap}"], session_timeout: 2s, partitions: 4, shards: 4, group: upgrade}}
state: {{directory: state}}
admin: {{listen: "127.0.0.1:0"}}
log: {{level: error}}
defaults: {{interval: 500ms, overlap: auto, start_from: 6h, reconcile: {{every: 6h, back: 24h}}, timeout: 5s}}
accounts:
- name: main
  provider: heymarket
  base_url: {url}/heymarket
  credentials: {{secret_id: {{file: heymarket-id}}, secret_key: {{file: heymarket-key}}}}
  rate_limit: 8/s
- name: sydney
  provider: fonedynamics
  base_url: {url}/fonedynamics
  credentials: {{account_sid: {{file: fone-sid}}, token: {{file: fone-token}}}}
  properties: [{properties}]
  rate_limit: 2/s
- name: collections
  provider: stuut
  base_url: {url}/stuut
  credentials: {{token: {{file: stuut-token}}}}
  threads: [{threads}]
  rate_limit: 8/s
"""
SWITCHES = Switches(
    late=0.3, late_s=5.0, status_s=6.0, stuck=0.3, sticky=0.2, ties=0.2, others=0.1, limit_max=10, printed="microseconds", order="shuffled"
)  # fmt: skip


class Recorded(Providers):
    """The providers, one of which may refuse its token."""

    refuses = ""

    def _route(self, provider: str, *args: Any) -> Answer:
        if provider == self.refuses:
            return Answer(401, b'{"detail":"Not authenticated"}')
        return super()._route(provider, *args)

    def row(self, sms: Sms) -> dict[str, Any]:
        """As its list prints it now."""
        switches = self.world.switches
        draw: dict[str, Callable[[], bytes]] = {
            STUUT: lambda: self._drawn(sms, providers._stuut_row, self._zone),
            HEYMARKET: lambda: self._heymarket_rows([sms])[0],
            FONE: lambda: self._drawn(sms, providers._fone_row, switches.filter == "received", switches.texts),
        }
        return json.loads(draw[sms.provider]())


class Daemon:
    """``poller`` of the checkout as a child process."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process = self.command("run")

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """Another command beside it."""
        command = [sys.executable, "-m", "poller", *words, "--config", str(self._config)]
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT, preexec_fn=die_with_parent)

    async def end(self, how: signal.Signals) -> None:
        """End it, and wait for that."""
        self._process.send_signal(how)
        await anyio.to_thread.run_sync(self._process.wait)


class State:
    """What Kafka holds, read again whenever it is asked for."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def records(self, topic: str) -> list[tuple[int, bytes, bytes | None]]:
        """Every committed record of a topic: partition, key, value."""
        reader = Consumer({"bootstrap.servers": self._bootstrap, "group.id": "r", "isolation.level": "read_committed", "log_level": 0})
        found: list[tuple[int, bytes, bytes | None]] = []
        try:
            parts = sorted(reader.list_topics(topic, timeout=10).topics[topic].partitions)
            reader.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part in parts])
            while batch := reader.consume(2000, 1.0):
                found += [(each.partition() or 0, each.key() or b"", each.value()) for each in batch if each.error() is None]
        finally:
            reader.close()
        return found

    def newest(self) -> dict[tuple[int, bytes], bytes]:
        """As compaction leaves it."""
        kept: dict[tuple[int, bytes], bytes] = {}
        for shard, key, value in self.records("sms.poller-state.v1"):
            kept.pop((shard, key), None)
            if value is not None:
                kept[shard, key] = value
        return kept

    def published(self) -> set[str]:
        """Keys of messages, and bytes of dead letters."""
        keys = {key.decode() for _, key, _ in self.records("sms.messages.v1")}
        return keys | {(value or b"").decode() for _, _, value in self.records("sms.dead-letters.v1")}


def cursors(state: dict[tuple[int, bytes], bytes]) -> Iterator[tuple[str, Cursor]]:
    """By stream."""
    for (_, key), value in state.items():
        if key[:1] == b"c":
            yield key[1:].decode(), decode_state(key, value)


def shape(cursor: Cursor) -> str:
    """What a cursor is in the middle of: which fields its continuations have, what it has learned."""
    held = list(cursor.sweeps.values()) + ([cursor.backfill.sweep] if cursor.backfill and cursor.backfill.sweep else [])
    steps = sorted(
        f"{sorted(sweep.request.continuation or ())}{(sweep.request.continuation or {}).get('kind')}{sweep.handed}" for sweep in held
    )
    return json.dumps(
        [steps, sorted(cursor.learned), bool(cursor.debts), cursor.waits and cursor.waits[0], bool(cursor.backfill), bool(cursor.complete)]
    )


def below_the_floor(cursor: Cursor) -> bool:
    """Whether a backfill is under way there: what it has published since is known by a later cursor only."""
    return cursor.backfill is not None and not cursor.backfill.done and cursor.backfill.since < cursor.floor


def rich(state: dict[tuple[int, bytes], bytes]) -> list[str]:
    """What is still missing in a state that is worth keeping."""
    found = dict(cursors(state))
    kinds = {key[:1].decode() for _, key in state}
    wanted = {
        f"records of the kinds {sorted(set('mcdalbhx') - kinds)}": kinds >= set("mcdalbhx"),
        "a sweep in hand of Heymarket": any(c.sweeps for s, c in found.items() if s.startswith(HEYMARKET)),
        "a sweep in hand of Fone Dynamics": any(c.sweeps for s, c in found.items() if s.startswith(FONE)),
        "a backfill done": any(c.backfill and c.backfill.done for c in found.values()),
        "a backfill in hand": any(c.backfill and not c.backfill.done and c.backfill.sweep for c in found.values()),
        "a stream in trouble": any(c.waits for c in found.values()),
    }
    return [what for what, there in wanted.items() if not there]


async def main() -> None:
    """Play, and write the file."""
    with tempfile.TemporaryDirectory(prefix="poller-upgrade-") as folder, Cluster(fetch(progress=print), Path(folder) / "kafka") as kafka:
        await play(Path(folder), kafka)


async def play(folder: Path, kafka: Cluster) -> None:
    """The history: news, a kill, a backfill, silence, a crowd of rows that no status of changes any more, refusals, the end."""
    start = time.time_ns() // 1000
    world, state = World(7, start, SWITCHES, per_second=1.5, backlog=80), State(kafka.bootstrap)
    recorded = Recorded(world)
    async with serving(recorded) as url:
        for name, value in _SECRETS.items():
            (folder / name).write_text(value)
            (folder / name).chmod(0o600)
        config = folder / "poller.yaml"
        lists = {"properties": ", ".join(PROPERTIES), "threads": ", ".join((*THREADS, GONE))}
        config.write_text(CONFIG.format(bootstrap=kafka.bootstrap, url=url, **lists))
        daemon = Daemon(config)
        await anyio.sleep(30)
        await daemon.end(signal.SIGKILL)
        daemon = Daemon(config)
        await anyio.sleep(25)
        wanted = ("--from", text(start - 10 * HOUR), "--to", text(start - 8 * HOUR))
        done = daemon.command("backfill", "heymarket/main/team", *wanted)
        assert await anyio.to_thread.run_sync(done.wait) == 0
        world.freeze(time.time_ns() // 1000)
        await anyio.sleep(30)
        crowd(world)
        await anyio.sleep(20)
        await until_rich(daemon, config, state, recorded)
    write(recorded, state, config.read_text().replace(kafka.bootstrap, "127.0.0.1:1").replace(url, "http://127.0.0.1"))


def crowd(world: World) -> None:
    """Rows of the last minutes that turn up at once, so that sweeps have many pages. None of them changes any more."""
    now, rng = time.time_ns() // 1000, random.Random(1)
    for number in range(84):
        provider = (HEYMARKET, FONE, STUUT)[number % 3]
        created = now - round(rng.random() * 150 * SECOND)
        sms = world._message(provider, created, now, backlog=False)
        sms.visible, sms.kind, sms.away, sms.hole = created, "", (0, 0), False
    world.freeze(now)


async def until_rich(daemon: Daemon, config: Path, state: State, recorded: Recorded) -> None:
    """Stop the daemon in the middle of everything: its streams are swept, one is filled, one account is refused."""
    await daemon.end(signal.SIGTERM)
    recorded.refuses = STUUT
    for attempt in range(8):
        daemon = Daemon(config)
        backfill = ("--from", text(recorded.world.start - 5 * HOUR + attempt * SECOND), "--to", text(recorded.world.start - HOUR // 2))
        asking = daemon.command("backfill", "fonedynamics/sydney/PR1", *backfill)
        with anyio.move_on_after(30):
            while rich(await anyio.to_thread.run_sync(state.newest)):
                await anyio.sleep(0.1)
        await daemon.end(signal.SIGTERM)
        asking.kill()
        asking.wait()
        missing = rich(await anyio.to_thread.run_sync(state.newest))
        print(f"attempt {attempt}: missing {missing}")
        if not missing:
            return
    raise SystemExit("the history never came to a state worth keeping")


def write(recorded: Recorded, state: State, config: str) -> None:
    """The file. Of what the daemon has not published only what it never will: a row that it had not read yet would be news."""
    published, kept, shapes = state.published(), state.newest(), {}
    for shard, key, value in state.records("sms.poller-state.v1"):
        if key[:1] == b"c" and value is not None and not below_the_floor(cursor := decode_state(key, value)):
            shapes.setdefault((key, shape(cursor)), (shard, key, value))
    floors = {stream: cursor.floor for stream, cursor in cursors(kept)}
    recorded.answer("GET", "/none", {}, b"", time.time_ns() // 1000)
    now, rows = time.time_ns() // 1000, []
    for sms in recorded.world.all():
        account, row = f"{sms.provider}/{ACCOUNTS[sms.provider]}", recorded.row(sms)
        known = f"{account}/{sms.id}" in published or json.dumps(row) in published
        never = sms.kind in ("comment", "email") or sms.created < floors[f"{account}/{sms.stream}"] - 5 * 60 * SECOND
        if sms.shown(now) and (known or never):
            at = {"created": sms.created, "updated": sms.changed(now), "published": known}
            rows.append({"provider": sms.provider, "stream": sms.stream, **at, "row": row})
    data = {
        "release": "0.1.0, git ee74b04",
        "now": now,
        "limit": SWITCHES.limit_max,
        "config": config,
        "state": [[shard, encoded(key), encoded(value)] for (shard, key), value in kept.items()],
        "shapes": [[shard, encoded(key), encoded(value)] for shard, key, value in list(shapes.values())[:SHAPES_MAX]],
        "rows": rows,
    }
    lines = ",\n".join(f"{json.dumps(name)}: {listed(value)}" for name, value in data.items())
    FILE.write_text("{\n" + lines + "\n}\n")
    print(f"{len(kept)} records, {len(shapes)} shapes, {len(rows)} rows, {FILE.stat().st_size} bytes")


def listed(value: object) -> str:
    """A list with one line for each of its members, so that a difference is readable."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in value) + "\n]"


def encoded(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode()


def text(instant: int) -> str:
    """RFC 3339, of whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant // SECOND))


if __name__ == "__main__":
    anyio.run(main)
