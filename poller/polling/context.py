"""context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..clock import SystemClock
from ..coverage import ladder
from ..coverage.ladder import Rung
from ..coverage.lateness import Lateness
from ..model import Instant
from ..providers.contract import ByTime, Provider
from ..publishing.commit import Committer
from ..telemetry.account_facts import AccountFacts
from .client.provider_clock import ProviderClock
from .client.vendor import VendorClient
from .unchanged import UnchangedRows


@dataclass
class Account:
    """What every sweep of one account needs: its provider, its clients, its ladder."""

    key: str
    client: VendorClient
    committer: Committer
    facts: AccountFacts
    clock: SystemClock
    ladder: Callable[..., tuple[Rung, ...]]
    """The rungs for an ``overlap``."""
    overlap: Instant | None
    """As configured; None = learned."""
    lateness: Lateness
    floor_of: Callable[[Instant], Instant]
    status_horizon: Instant
    quietness: float
    """Depth / longest period of the ladder: what an age is divided by to give a period."""
    channels: frozenset[str]
    drafts: bool
    known: UnchangedRows = field(default_factory=UnchangedRows)
    rungs: tuple[Rung, ...] = ()
    """Today's ladder; each stream takes it over when none of its pages is in flight."""

    @property
    def provider(self) -> Provider:
        """The account's provider."""
        return self.client.provider

    @property
    def by_time(self) -> bool:
        """Whether the provider filters by time; else each sweep reads everything."""
        return isinstance(self.provider.listing, ByTime)

    @property
    def provider_clock(self) -> ProviderClock:
        """The provider's clock."""
        return self.client.provider_clock

    @property
    def slack(self) -> Instant:
        """By how much windows of neighbouring rungs lie over each other, for clocks that differ."""
        return ladder.SLACK + self.provider_clock.error

    def __post_init__(self) -> None:
        """The ladder of the overlap in force."""
        self.rungs = self.ladder(overlap=self.overlap or self.lateness.overlap)
