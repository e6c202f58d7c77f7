"""``poller backfill`` on a real Kafka, beside a real worker."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from poller.demo.kafka.broker import Cluster
from poller.demo.simulator.profiles import PROPERTIES, THREADS
from tests.support.trial import Trial, faults
from tests.unit.commands.test_cli import poller

STREAMS = ["heymarket/main/team", *(f"fonedynamics/sydney/{p}" for p in PROPERTIES), *(f"stuut/collections/{t}" for t in THREADS)]


@pytest.mark.anyio
async def test_the_command_asks_the_running_worker(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Every stream is backfilled by command; run twice it adds nothing; an unknown stream is refused; --dry-run asks nothing."""
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=9)
    trial.start_from = "1h"
    async with trial.providers():
        process = trial.start()
        while trial.commits() < 5:
            await anyio.sleep(0.1)

        async def command(stream: str, *more: str):  # type: ignore[no-untyped-def]
            arguments = ("backfill", "--config", str(trial.config()), stream, "--from", "24h", "--to", "10m", *more)
            return await anyio.to_thread.run_sync(lambda: poller(*arguments))

        dry = await command(STREAMS[0], "--dry-run")
        assert dry.stdout.startswith("would begin with POST /v1/messages/all"), dry
        assert (await command("heymarket/main/nobody")).returncode == 2
        first: list[subprocess.CompletedProcess[str]] = []

        async def fill(stream: str) -> None:
            first.append(await command(stream))

        async with anyio.create_task_group() as tasks:
            for stream in STREAMS:
                tasks.start_soon(fill, stream)
        assert not any(done.returncode for done in first), first
        assert sum(int(done.stdout.split()[4]) for done in first) > 30
        again = await command(STREAMS[0])
        assert again.stdout.endswith(" 0 events that had never been published\n"), again
        process.send_signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(process.wait, 25) == 0
        verdict = await trial.settle()
    assert verdict.good, verdict
    assert not faults(trial.events)
