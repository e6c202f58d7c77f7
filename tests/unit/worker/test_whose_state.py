"""A start is refused where the state is lost, and not where another worker has just begun it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from poller.config.load import load
from poller.errors import WrongState
from poller.kafka.connect import connection_of
from poller.publishing.state_records import Meta
from poller.telemetry.facts import Telemetry
from poller.worker import daemon
from poller.worker.daemon import _Daemon

pytestmark = pytest.mark.anyio
TEXT = """\
kafka: {bootstrap_servers: ["127.0.0.1:9"], shards: 2}
accounts: [{name: c, provider: stuut, base_url: "http://127.0.0.1:9", credentials: {token: {file: token}}, threads: [t]}]
"""


class Kafka:
    """Public topics that hold something; the state of it shows once no transaction is open on its partition."""

    def __init__(self, *, begun: bool) -> None:
        self.begun, self.settled = begun, False

    async def has_published(self, shards: Collection[int], accounts: Collection[str]) -> bool:
        """Something is there."""
        return True

    async def ends(self, shard: int) -> None:
        """Wait for the transaction that is open."""
        self.settled = True

    async def metas(self, shards: int) -> list[Meta | None]:
        """Of each shard."""
        return [Meta("poller", 2, "n", b"k" * 32) if self.begun and self.settled else None] * shards


@pytest.mark.parametrize("begun", [True, False])
async def test_a_first_transaction_beside_a_start_is_no_lost_state(begun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state was looked for before it was committed, and the public topics after."""
    (tmp_path / "poller.yaml").write_text(TEXT)
    config, nothing, kafka = load(tmp_path / "poller.yaml"), Any, Kafka(begun=begun)
    started = _Daemon(config, connection_of(config), nothing, Telemetry(version="x", level="critical", form="json"), nothing)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(daemon, "newest_metas", lambda _, shards: kafka.metas(shards))
    if begun:
        await started._whose(kafka)  # pyright: ignore[reportArgumentType]
    else:
        with pytest.raises(WrongState, match="would be published again"):
            await started._whose(kafka)  # pyright: ignore[reportArgumentType]
