"""``poller demo``: everything at once, a kill in the middle, and the proof at the end.

Kafka and the daemon are child processes that die with this one; the folder goes with it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from ..errors import Unavailable, first
from ..model import SECOND
from ..signals import until_signal
from .accounts import ACCOUNTS, account_lines, write_secrets
from .kafka.broker import Cluster, die_with_parent
from .kafka.jars import fetch
from .kafka.reader import Reader
from .simulator.judge import Verdict, judge
from .simulator.server import serving
from .simulator.switches import Switches
from .simulator.truth import Published
from .simulator.vendors.routes import Providers
from .simulator.world import World
from .view import View

PUBLIC = ("sms.messages.v1", "sms.status-changes.v1", "sms.dead-letters.v1")
SETTLE_S = 60.0
"""How long the proof waits for what is still on its way."""

_CONFIG = """\
kafka: {{bootstrap_servers: ["{bootstrap}"], session_timeout: 2s, partitions: 4, shards: 4}}
state: {{directory: state}}
admin: {{listen: "127.0.0.1:{port}"}}
log: {{level: warning}}
defaults: {{interval: 1s, overlap: 1m, start_from: 24h, reconcile: {{every: 6h, back: 24h}}, timeout: 5s}}
accounts:
{accounts}"""


def demo(*, seconds: float, port: int, switches: Switches) -> int:
    """Run the demo; 0 when the proof holds, 1 when it does not. Raises Unavailable, KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _interrupt)
    with View() as view, tempfile.TemporaryDirectory(prefix="poller-demo-") as folder:
        runtime = fetch(progress=view.say)
        view.say(f"starting Apache Kafka {runtime.version} ...")
        with Cluster(runtime, Path(folder) / "kafka") as kafka:
            verdict, trouble = None, None
            try:
                verdict = anyio.run(_Demo(Path(folder), kafka, view, seconds=seconds, port=port, switches=switches).run)
            except* Unavailable as group:
                trouble = first(group)
        if trouble is not None:
            raise trouble
        if verdict is None:
            raise KeyboardInterrupt
    print(verdict.line)
    for name in ("missing", "stale", "duplicates", "out_of_order"):
        for key in getattr(verdict, name)[:5]:
            print(f"{name}: {key}", file=sys.stderr)
    return 0 if verdict.good else 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Daemon:
    """``poller run`` as a child process that dies with its parent."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it anew."""
        command = [sys.executable, "-m", "poller", "run", "--config", str(self._config)]
        self._process = subprocess.Popen(command, preexec_fn=die_with_parent)

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
            raise Unavailable(f"the daemon ended by itself with exit code {self._process.returncode}")


class _Demo:
    def __init__(self, folder: Path, kafka: Cluster, view: View, *, seconds: float, port: int, switches: Switches) -> None:
        self._folder, self._kafka, self._view, self._seconds = folder, kafka, view, seconds
        self._port = port or _free_port()
        self._world = World(int(time.time()), _now(), switches)
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
            daemon = Daemon(self._write(url))
            try:
                daemon.start()
                self._view.say(f"poller runs; status page at http://127.0.0.1:{self._port}/")
                return await self._show(daemon)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(daemon.stop)

    async def _show(self, daemon: Daemon) -> Verdict:
        await self._until(self._reading, 60, daemon, None)
        with Reader(self._kafka.bootstrap, PUBLIC) as reader:
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

    def _figures(self) -> dict[str, str]:
        """From the daemon's own metrics."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=1) as answer:  # loopback
                lines = answer.read().decode().splitlines()
        except OSError:
            return {"daemon": "not reachable"}
        lags = [float(line.rpartition(" ")[2]) for line in lines if line.startswith("poller_lag_seconds{")]
        known = sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("poller_rows_duplicate_total{"))
        return {"lag": f"{max(lags, default=0):.0f} s", "duplicates suppressed": f"{known:.0f}"}

    def _write(self, url: str) -> Path:
        write_secrets(self._folder)
        path = self._folder / "poller.yaml"
        accounts = account_lines(self._world.providers, url, {}, "20/s")
        path.write_text(_CONFIG.format(bootstrap=self._kafka.bootstrap, port=self._port, accounts=accounts))
        return path


def _now() -> int:
    return round(time.time() * SECOND)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]
