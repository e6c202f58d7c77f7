"""As much of an account as its pages need, without a vendor: what is answered is what the test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from poller.clock import SystemClock
from poller.config.forms import StartFrom
from poller.model import DAY, HOUR, SECOND
from poller.polling.client.provider_clock import ProviderClock
from poller.polling.ladder_tuning import LadderTuner
from poller.polling.page import Answer, Pages
from poller.polling.settings import AccountSettings
from poller.providers.contract import ByTime
from poller.publishing.commit import Committer
from poller.publishing.shard_state import ShardState
from poller.telemetry.facts import Telemetry
from tests.support.rows import NOW

SETTINGS = AccountSettings(
    key="stuut/a", interval=15 * SECOND, overlap=600 * SECOND, start_from=StartFrom(kind="ago", value=DAY), status_horizon=3 * DAY,
    every=6 * HOUR, back=7 * DAY, channels=frozenset({"sms", "mms"}), publish_drafts=False, rate=1.0,
)  # fmt: skip


class StoppedClock(SystemClock):
    """Both clocks, moved by hand."""

    at = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.at

    def now(self) -> int:
        """Microseconds."""
        return NOW + round(self.at * SECOND)


def vendor(provider: Any, clock: SystemClock) -> Any:
    """A client that is never asked."""
    provider_clock = ProviderClock()
    return SimpleNamespace(
        provider=provider,
        provider_clock=provider_clock,
        spacing_s=1.0,
        by_time=isinstance(provider.listing, ByTime),
        now_earliest=lambda: provider_clock.earliest(clock.now()),
        origin=lambda: provider_clock.origin(clock.now()),
        now_latest=lambda: provider_clock.latest(clock.now()),
    )


def committer_of(shard_state: ShardState, rows: Any, commit: Callable[..., Awaitable[int]], clock: SystemClock | None = None) -> Committer:
    """One whose transactions are what the test says."""
    return Committer(
        shard_state, shard=0, writer=SimpleNamespace(commit=commit), rows=rows, cluster="cluster",  # type: ignore[arg-type]
        clock=clock or SystemClock(),
        telemetry=Telemetry(version="x", level="critical", form="json"),
    )  # fmt: skip


def pages_of(shard_state: ShardState, provider: Any, rows: Any = None, clock: SystemClock | None = None) -> Pages:
    """The pages of an account; each is answered by :func:`answering`."""
    clock = clock or StoppedClock()
    facts, client = Telemetry(version="x", level="critical", form="json").account(provider.name, "a"), vendor(provider, clock)
    tuner = LadderTuner(SETTINGS, provider.listing, shard_state, facts, now=NOW)

    async def never(*_: Any, **__: Any) -> int:
        raise AssertionError("nothing is committed here")

    committer = committer_of(shard_state, rows, never, clock)
    return Pages(SETTINGS, client, tuner, committer, facts, clock)


def answering(pages: Pages, answer: Callable[[], Awaitable[Any]]) -> None:
    """What the provider answers: a page, or an error."""

    async def exchange(*_: Any) -> Answer:
        return Answer(await answer(), pages._committer.shard_state.tick(), NOW, NOW)

    pages.exchange = exchange  # type: ignore[method-assign]
