"""One method per fact: one log line and its metrics, so that logs and metrics can never disagree.

Nothing that a provider sent ever gets here but ids of streams, counts and times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from ..errors import PollerError
from ..model import Gap
from ..times import format_rfc3339
from .event_types import TYPES
from .log import _logger
from .metrics import _Metrics, _Pictures
from .snapshot import WorkerSnapshot

disable_created_metrics()

SAID_MAX = 10_000
"""So many things are said once; then they are said again."""

OUTCOMES = ("ok", "empty", "throttled", "auth", "error")


class PageFacts(Struct, frozen=True, kw_only=True):
    """One durable page."""

    fetched: int
    duplicate: int
    rejected: dict[str, int]
    out_of_scope: int
    events: dict[str, int]
    """Published, by ``ce_type``."""
    delays_s: list[float]


class SweepFacts(Struct, frozen=True, kw_only=True):
    """One sweep that ended, well or not."""

    stream: str
    rung: str
    outcome: str
    seconds: float
    pages: int
    rows: int
    events: int


class Telemetry:
    """The worker's log and metrics."""

    def __init__(self, registry: CollectorRegistry | None = None, *, version: str, level: str = "info", json: bool | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.log = _logger(level, json=not sys.stderr.isatty() if json is None else json)
        self._accounts: dict[tuple[str, str], AccountFacts] = {}
        self._metrics = _Metrics(self.registry)
        Gauge("poller_build_info", "The running release.", ("version",), registry=self.registry).labels(version).set(1)
        for outcome in ("committed", "aborted", "fenced", "unknown"):
            self._metrics.transactions.labels(outcome)
        self._owned: frozenset[int] | None = None
        self._backoffs: dict[str, str] = {}

    def account(self, provider: str, name: str) -> AccountFacts:
        """The facts of one account; its counters exist from now on."""
        key = provider, name
        if key not in self._accounts:
            self._accounts[key] = AccountFacts(self._metrics, self.log.bind(provider=provider, account=name), provider, name)
        return self._accounts[key]

    def watch(self, snapshot: Callable[[], WorkerSnapshot]) -> None:
        """Ask for a picture at every scrape."""
        self.registry.register(_Pictures(snapshot))

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics and their content type."""
        encode, kind = choose_encoder(accept)
        return encode(self.registry), kind

    def started(self, *, accounts: int, shards: int) -> None:
        """The daemon runs."""
        self.log.info("started", accounts=accounts, shards=shards)

    def stopping(self, reason: str) -> None:
        """A clean stop began."""
        self.log.info("stopping", reason=reason)

    def stopped(self, seconds: float) -> None:
        """A clean stop ended."""
        self.log.info("stopped", seconds=round(seconds, 3))

    def shard_state(self, shard: int, state: str, reason: str | None = None) -> None:
        """A shard moved on in its life."""
        self.log.info("shard", shard=shard, state=state, **({"reason": reason} if reason else {}))

    def restore_progress(self, shard: int, done: int, end: int) -> None:
        """A restore read on."""
        self.log.info("restoring", shard=shard, offset=done, end=end)

    def restored(self, shard: int, records: int, seconds: float) -> None:
        """A shard's state is complete."""
        self._metrics.restore.set(seconds)
        self.log.info("restored", shard=shard, offset=records, seconds=round(seconds, 3))

    def transaction(self, outcome: str, seconds: float) -> None:
        """A transaction ended: committed, aborted, fenced or unknown."""
        self._metrics.transactions.labels(outcome).inc()
        self._metrics.transaction_duration.observe(seconds)

    def owned(self, shards: frozenset[int]) -> None:
        """The group handed out shards."""
        self._metrics.owned.set(len(shards))
        if self._owned is not None:
            self._metrics.rebalances.inc()
        self._owned = shards
        self.log.info("owned", shards=sorted(shards))

    def kafka_trouble(self, error: PollerError, where: str) -> None:
        """Kafka, or the cache, stands in the way; said once until it changes."""
        said = f"{error.kind}: {error}"
        if self._backoffs.get(where) != said:
            self._backoffs[where] = said
            self.log.warning("trouble", where=where, kind=error.kind, what=str(error), fix=error.fix)

    def well(self, where: str) -> None:
        """A trouble is over."""
        self._backoffs.pop(where, None)

    def note(self, what: str, **facts: Any) -> None:
        """Something an operator should read once."""
        self.log.warning(what, **facts)


CLOCKS_DIFFER_S = 60.0


class AccountFacts:
    """The facts of one account, bound once."""

    def __init__(self, metrics: _Metrics, log: Any, provider: str, name: str) -> None:
        self._metrics, self._log, self._pa, self._provider = metrics, log, (provider, name), provider
        self._polls = {outcome: metrics.polls.labels(*self._pa, outcome) for outcome in OUTCOMES}
        self._events = {kind: metrics.events.labels(*self._pa, kind) for kind in TYPES.values()}
        self._fetched = metrics.fetched.labels(*self._pa)
        self._duplicate = metrics.duplicate.labels(*self._pa)
        self._out_of_scope = metrics.out_of_scope.labels(*self._pa)
        self._late = metrics.late.labels(*self._pa)
        self._throttled = metrics.throttled.labels(*self._pa)
        self._poll_duration = metrics.poll_duration.labels(provider)
        self._request_duration = metrics.request_duration.labels(provider)
        self._delay = metrics.delay.labels(provider)
        self._late_age = metrics.late_age.labels(provider)
        self._requests: dict[str, Any] = {}
        self._said: set[tuple[str, str]] = set()
        self._clocks_differ = False

    def requested(self, code: str, seconds: float) -> None:
        """One HTTP request; ``code`` is the status, or the kind of failure."""
        if code not in self._requests:
            self._requests[code] = self._metrics.requests.labels(*self._pa, code)
        self._requests[code].inc()
        self._request_duration.observe(seconds)

    def throttled(self, seconds: float) -> None:
        """The provider made us wait."""
        self._throttled.inc(seconds)

    def page(self, page: PageFacts) -> None:
        """One page is durable."""
        self._fetched.inc(page.fetched)
        self._duplicate.inc(page.duplicate)
        if page.out_of_scope:
            self._out_of_scope.inc(page.out_of_scope)
        for kind, count in page.events.items():
            self._events[kind].inc(count)
        for reason, count in page.rejected.items():
            self._metrics.rejected.labels(*self._pa, reason).inc(count)
        for delay in page.delays_s:
            self._delay.observe(delay)

    def sweep(self, sweep: SweepFacts) -> None:
        """One sweep ended: a line where it had news."""
        self._polls[sweep.outcome].inc()
        self._poll_duration.observe(sweep.seconds)
        if sweep.outcome in ("ok", "empty"):
            say = self._log.info if sweep.events else self._log.debug
            say(
                "sweep",
                stream=sweep.stream,
                rung=sweep.rung,
                pages=sweep.pages,
                rows=sweep.rows,
                events=sweep.events,
                seconds=round(sweep.seconds, 3),
            )

    def trouble(self, stream: str, error: PollerError, wait_s: float) -> None:
        """A request failed; when it is tried again."""
        self._metrics.errors.labels(*self._pa, error.kind).inc()
        self._log.warning("trouble", stream=stream, kind=error.kind, what=str(error), next_try_s=round(wait_s, 1))

    def gap(self, stream: str, gap: Gap) -> None:
        """A range of which nobody can say that all of it was seen; said once for each range, however often it is swept again."""
        told = (stream, f"{gap.reason} {gap.since} {gap.until}")
        if told in self._said:
            return
        if len(self._said) < SAID_MAX:
            self._said.add(told)
        self._metrics.gaps.labels(*self._pa, gap.reason).inc()
        self._log.warning(
            "possible gap", stream=stream, reason=gap.reason, since=format_rfc3339(gap.since), until=format_rfc3339(gap.until)
        )

    def oddity(self, stream: str, kind: str) -> None:
        """A tolerated peculiarity; said once per stream."""
        if (stream, kind) not in self._said and len(self._said) < SAID_MAX:
            self._said.add((stream, kind))
            self._log.info("oddity", stream=stream, kind=kind)

    def stretched(self, stretch: float) -> None:
        """The look-back takes much longer than planned."""
        self._log.warning(
            "look-back stretched", stretch=round(stretch, 1), fix="raise rate_limit, lower reconcile.back, or raise reconcile.every"
        )

    def clocks(self, offset_s: float) -> None:
        """How far the provider's clock is ahead of ours; said once when they come to differ by more than a minute."""
        differ = abs(offset_s) > CLOCKS_DIFFER_S / (1 + self._clocks_differ)
        if differ and not self._clocks_differ:
            self._log.warning("clocks differ", provider_ahead_s=round(offset_s), fix="see that this host keeps time")
        self._clocks_differ = differ

    def overlap(self, seconds: float, reason: str) -> None:
        """The learned overlap changed."""
        self._log.info("overlap", seconds=round(seconds), reason=reason)

    def late(self, ages_s: list[float]) -> None:
        """Rows that had been looked for in vain."""
        self._late.inc(len(ages_s))
        for age in ages_s:
            self._late_age.observe(age)
