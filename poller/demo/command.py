"""``poller demo``: everything at once, a kill in the middle, and the proof at the end.

Kafka and the daemon are child processes that die with this one; the folder goes with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from ..errors import Unavailable, Unreachable, first
from ..model import SECOND
from ..signals import until_signal
from ..telemetry import status_json
from ..telemetry.verdict import verdict
from .accounts import ACCOUNTS, account_lines, write_secrets
from .kafka.broker import Cluster, die_with_parent
from .kafka.jars import fetch
from .kafka.reader import Reader
from .simulator.judge import Verdict, judge
from .simulator.profiles import EVERY_PROVIDER
from .simulator.server import serving
from .simulator.switches import Switches
from .simulator.truth import Published
from .simulator.vendors.routes import Providers
from .simulator.world import World
from .view import Figures, View

PUBLIC = ("sms.messages.v1", "sms.status-changes.v1", "sms.dead-letters.v1")
"""Topics that the demo reads back, with their default names."""

SETTLE_S = 60.0
"""How long the proof waits for what is still on its way."""

CONFIG = "poller.yaml"
"""The name of the configuration file, in the demo's folder."""

_TEXT = """\
kafka: {{bootstrap_servers: ["{bootstrap}"], session_timeout: 2s, partitions: 4, shards: 4}}
state: {{directory: state}}
admin: {{listen: "127.0.0.1:{port}"}}
log: {{level: info, format: json}}
defaults: {{interval: 1s, overlap: 1m, start_from: 24h, reconcile: {{every: 6h, back: 24h}}, timeout: 5s}}
accounts:
{accounts}"""


def demo(*, seconds: float, port: int, switches: Switches, keep: bool = False) -> int:
    """Run the demo; 0 when the proof holds, 1 when it does not. Raises Unavailable, KeyboardInterrupt.

    With ``keep`` its Kafka, configuration and state stay after the proof.
    """
    folder, log = Path(tempfile.mkdtemp(prefix="poller-demo-")), _log_file()
    left = False
    try:
        with View(seconds) as view:
            verdict, left = _shown(view, folder, log, seconds=seconds, port=port, switches=switches, keep=keep)
    finally:
        print(f"the daemon's log: {log}", file=sys.stderr)
        if not left:
            shutil.rmtree(folder, ignore_errors=True)
    if verdict is None:
        raise KeyboardInterrupt
    print(verdict.line)
    for name in ("missing", "stale", "duplicates", "out_of_order"):
        for key in getattr(verdict, name)[:5]:
            print(f"{name}: {key}", file=sys.stderr)
    return 0 if verdict.good else 1


def _shown(
    view: View, folder: Path, log: Path, *, seconds: float, port: int, switches: Switches, keep: bool
) -> tuple[Verdict | None, bool]:
    """The verdict, None when it was interrupted; and whether Kafka was left running."""
    with view.working("looking for Apache Kafka"):
        runtime = fetch(progress=view.say)
    kafka = Cluster(runtime, folder / "kafka", may_outlive=keep)
    with view.working(f"starting Apache Kafka {runtime.version}"):
        kafka.__enter__()
    verdict, trouble, left = None, None, False
    try:
        verdict = anyio.run(_Demo(folder, kafka, view, log, seconds=seconds, port=port, switches=switches).run)
        if keep and verdict is not None:
            kafka.leave()
            left = True
            pids = " ".join(str(node.pid) for node in kafka.nodes)
            view.say(f"Kafka runs on at {kafka.bootstrap}; the end of it: kill {pids}; rm -r {folder}")
            view.say(f"read it, as docs/consume.md says: export KAFKA={kafka.bootstrap} POLLER_CONFIG={folder / CONFIG}")
    except* Unavailable as group:
        trouble = first(group)
    finally:
        kafka.__exit__()
    if trouble is not None:
        raise trouble
    return verdict, left


def _log_file() -> Path:
    """Where the daemon's log goes; it stays, to be read after the end."""
    number, name = tempfile.mkstemp(prefix="poller-log-", suffix=".jsonl")
    os.close(number)
    return Path(name)


class Daemon:
    """``poller run`` as a child process that dies with its parent."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config, self._log = config, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it anew."""
        command = [sys.executable, "-m", "poller", "run", "--config", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)

    def kill(self) -> None:
        """As a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Cleanly, or not after the promised time."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(25)
            except subprocess.TimeoutExpired:
                self.kill()

    def check(self) -> None:
        """Raises Unavailable when it ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise Unavailable(f"the daemon ended by itself with exit code {self._process.returncode}", fix=f"read its log: {self._log}")


class _Demo:
    def __init__(self, folder: Path, kafka: Cluster, view: View, log: Path, *, seconds: float, port: int, switches: Switches) -> None:
        self._folder, self._kafka, self._view, self._log, self._seconds = folder, kafka, view, log, seconds
        self._port = port or _free_port()
        self._world = World(int(time.time()), _now(), switches, providers=EVERY_PROVIDER)
        self._events: list[Published] = []
        self._quiet = False
        """The last look found no event."""

    async def run(self) -> Verdict | None:
        """The verdict; None when it was interrupted."""
        async with until_signal():
            return await self._play()
        return None

    async def _play(self) -> Verdict:
        async with serving(Providers(self._world)) as url:
            config = self._write(url)
            daemon = Daemon(config, self._log)
            try:
                daemon.start()
                self._view.say(f"Kafka:         {self._kafka.bootstrap}")
                self._view.say(f"configuration: {config}")
                self._view.say(f"status page:   http://127.0.0.1:{self._port}/")
                self._view.say(f"read along:    poller tail --config {config} --from-beginning")
                return await self._show(daemon)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(daemon.stop)

    async def _show(self, daemon: Daemon) -> Verdict:
        await self._until(self._reading, 60, daemon, None)
        with Reader(self._kafka.bootstrap, PUBLIC) as reader:
            self._view.begin()
            await self._until(lambda: False, self._seconds / 2, daemon, reader)
            self._view.say("killing the daemon with SIGKILL, and starting it again ...")
            daemon.kill()
            daemon.start()
            await self._until(lambda: False, self._seconds / 2, daemon, reader)
            self._world.freeze(_now())
            self._quiet = False
            self._view.say("the providers fall silent; comparing what they had with what was published ...")
            await self._until(lambda: self._quiet and self._verdict().good, SETTLE_S, daemon, reader)
            return self._verdict()

    def _verdict(self) -> Verdict:
        return judge(self._world, self._events, accounts=ACCOUNTS, now=_now())

    def _reading(self) -> bool:
        """Whether the daemon has created its topics and is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1) as answer:  # loopback
                return answer.status == 200
        except OSError:
            return False

    async def _until(self, reached: Callable[[], bool], seconds: float, daemon: Daemon, reader: Reader | None) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not await anyio.to_thread.run_sync(reached):
            daemon.check()
            self._kafka.check()
            new = await anyio.to_thread.run_sync(reader.poll, 0.3) if reader is not None else []
            self._events += new
            self._quiet = not new
            self._view.update(new, await anyio.to_thread.run_sync(self._figures))
            await anyio.sleep(0.05 if reader is not None else 0.2)

    def _figures(self) -> Figures:
        """How the daemon says that it is."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/status", timeout=1) as answer:  # loopback
                return Figures(verdict(status_json.decode(answer.read())).sentence)
        except (OSError, Unreachable):
            return Figures("Starting.")

    def _write(self, url: str) -> Path:
        write_secrets(self._folder)
        path = self._folder / CONFIG
        accounts = account_lines(self._world.providers, url, {}, "20/s")
        path.write_text(_TEXT.format(bootstrap=self._kafka.bootstrap, port=self._port, accounts=accounts))
        return path


def _now() -> int:
    return round(time.time() * SECOND)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]
