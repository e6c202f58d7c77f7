"""The worker's facts: one method per fact tells the log and the metrics, so that they never disagree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from ..clock import SystemClock
from ..errors import PollerError
from ..model import Instant
from .account_facts import AccountFacts
from .kinds import told, words
from .known import TRANSACTIONS
from .log import JSON, Log
from .metrics import Exposition, Instruments
from .saying import Saying
from .snapshot import WorkerSnapshot
from .traces import Spans
from .verdict import PASSING, worker_findings

disable_created_metrics()

PASSING_SAID_S = 5.0
"""What a worker goes through (a start, a restore) is said as trouble once it lasts this long."""


class _Encode(Protocol):
    def __call__(self, registry: Any) -> bytes: ...


class Telemetry:
    """The worker's log and metrics. ``form`` is one of ``log.JSON``, ``log.CONSOLE``, ``log.ECS``."""

    def __init__(self, *, version: str, level: str = "info", form: str = JSON, worker: str = "", clock: SystemClock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._registry = CollectorRegistry()
        self._log = Log(level, form=form, version=version, worker=worker)
        self._accounts: dict[tuple[str, str], AccountFacts] = {}
        self._metrics = Instruments(self._registry)
        self._metrics.build_info.labels(version).set(1)
        self._transactions = {outcome: self._metrics.transactions.labels(outcome) for outcome in TRANSACTIONS}
        self._owned: frozenset[int] | None = None
        self._troubles = Saying(self._clock.monotonic)
        self._findings = Saying(self._clock.monotonic)
        self._passing: dict[str, float] = {}
        self.spans, self._collector = Spans(), Saying(self._clock.monotonic)

    def account(self, provider: str, name: str) -> AccountFacts:
        """The facts of one account; its series exist from now on."""
        return self._account(provider, name)

    def _account(self, provider: str, name: str) -> AccountFacts:
        key = provider, name
        if key not in self._accounts:
            now, monotonic = self._clock.now, self._clock.monotonic
            self._accounts[key] = AccountFacts(self._metrics, self._log, self.spans, provider, name, now=now, monotonic=monotonic)
        return self._accounts[key]

    def owned_since(self, provider: str, name: str) -> Instant:
        """When the account was handed to this worker."""
        return self._account(provider, name).owned_since

    def accounts(self, owned: Iterable[tuple[str, str]]) -> None:
        """The accounts that this worker owns now: the series of new ones begin, those of accounts that were handed over end."""
        wanted = set(owned)
        for key in self._accounts.keys() - wanted:
            del self._accounts[key]
            for counter in self._metrics.of_accounts():
                counter.remove_by_labels({"provider": key[0], "account": key[1]})
        for provider, name in wanted - self._accounts.keys():
            self._account(provider, name)

    def exposition(self, picture: WorkerSnapshot, accept: str = "") -> tuple[bytes, str]:
        """The metrics as of one picture, and their content type."""
        encode, kind = choose_encoder(accept)
        shown: Any = Exposition(self._registry, picture)
        return encode(shown), kind

    def started(self, *, accounts: int, shards: int, admin: str) -> None:
        """The daemon runs; ``admin`` is the address of its administration port."""
        text = f"poller runs; accounts: {accounts}, shards: {shards}, status page: http://{admin}/"
        self._log.say("info", "started", text, accounts=accounts, shards=shards, admin=admin)

    def stopping(self, reason: str) -> None:
        """A clean stop began."""
        self._log.say("info", "stopping", f"stopping because of {reason}", reason=reason)

    def stopped(self, seconds: float) -> None:
        """A clean stop ended."""
        self._log.say("info", "stopped", f"stopped within {seconds:.1f} s", seconds=round(seconds, 3))

    def shard_state(self, shard: int, state: str, reason: str | None = None) -> None:
        """A shard moved on in its life."""
        why = f" ({words(reason)})" if reason else ""
        self._log.say(
            "info", "shard_state", f"shard {shard} is {state}{why}", shard=shard, state=state, **({"reason": reason} if reason else {})
        )

    def restore_progress(self, shard: int, done: int, end: int) -> None:
        """A restore read on."""
        self._log.say("info", "restoring", f"shard {shard} has restored {done} of {end} records", shard=shard, offset=done, end=end)

    def restored(self, shard: int, records: int, seconds: float) -> None:
        """A shard's state is complete."""
        self._metrics.restore.set(seconds)
        text = f"shard {shard} is restored to offset {records} after {seconds:.1f} s"
        self._log.say("info", "restored", text, shard=shard, offset=records, seconds=round(seconds, 3))

    def transaction(self, outcome: str, seconds: float) -> None:
        """A transaction ended: committed, aborted, fenced or unknown."""
        self._transactions[outcome].inc()
        self._metrics.transaction_duration.observe(seconds)

    def owned(self, shards: frozenset[int]) -> None:
        """The group handed out shards."""
        if self._owned is not None:
            self._metrics.rebalances.inc()
        self._owned = shards
        self._log.say("info", "ownership", f"shards of this worker: {len(shards)}", shards=sorted(shards))

    def kafka_trouble(self, error: PollerError, where: str) -> None:
        """Kafka, or the cache, stands in the way."""
        if self._troubles.now(where, error.kind):
            fix = f"; fix: {error.fix}" if error.fix else ""
            text = f"{where}: {told(error.kind, str(error))}{fix}"
            self._log.say("warning", "kafka_trouble", text, where=where, kind=error.kind, what=str(error), fix=error.fix)

    def well(self, where: str) -> None:
        """That trouble is over."""
        lasted = self._troubles.over(where)
        if lasted is not None:
            self._log.say("warning", "kafka_trouble_over", f"{where}: over after {lasted:.0f} s", where=where, seconds=round(lasted))

    def watched(self, picture: WorkerSnapshot) -> None:
        """What keeps the whole worker, or a shard, from polling; to be called every second, so that silence is said too."""
        now, found = self._clock.monotonic(), {}
        for finding in worker_findings(picture):
            began = self._passing.setdefault(finding.what, now)
            if finding.trouble.kind not in PASSING or now - began >= PASSING_SAID_S:
                found[finding.what] = finding
        self._passing = {what: began for what, began in self._passing.items() if what in {f.what for f in worker_findings(picture)}}
        for what, finding in found.items():
            if self._findings.now(what, finding.trouble.kind):
                text = f"{what}: nothing is polled or published: {finding.words}; {finding.trouble.text}"
                self._log.say("warning", "kafka_trouble", text, where=what, kind=finding.trouble.kind, what=finding.trouble.text)
        for what in self._findings.all():
            if what not in found and (lasted := self._findings.over(what)) is not None:
                self._log.say("warning", "kafka_trouble_over", f"{what}: over after {lasted:.0f} s", where=what, seconds=round(lasted))

    def topics_warning(self, text: str) -> None:
        """A topic is not as it should be."""
        self._log.say("warning", "topics_warning", text)

    def configuration_warning(self, text: str, **facts: Any) -> None:
        """Something that the configuration names cannot be used now."""
        self._log.say("warning", "configuration_warning", text, **facts)

    def spans_taken(self, taken: bool) -> None:
        """The collector of spans took some, or did not; called by the thread that sends them."""
        lasted = self._collector.over("traces") if taken else None
        if lasted is not None:
            self._log.say("info", "traces_taken", f"the collector takes spans again after {lasted:.0f} s", seconds=round(lasted))
        if not taken and self._collector.now("traces", "lost"):
            text = "the collector does not take spans, which are lost; polling goes on; fix: check traces.endpoint"
            self._log.say("warning", "traces_lost", text)

    def request_unreadable(self) -> None:
        """What a command wrote for the workers cannot be read."""
        self._log.say("warning", "request_unreadable", "a request in the requests topic cannot be read")
