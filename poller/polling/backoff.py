"""Why streams and accounts wait, and until when; kept with the state, so that a hand-over does not forget it."""

from __future__ import annotations

import random

from msgspec import Struct

from ..clock import SystemClock
from ..coverage import cursor as window
from ..errors import AccountTrouble, BadPage, ProviderError, RateLimited, StreamGone, Unauthorized
from ..model import SECOND, Instant
from ..providers.kit.answers import RETRY_AFTER_MAX_S
from ..publishing.shard_state import ShardState
from ..publishing.state_records import StoredBackoff

HANDED_OVER_MAX_S = 3600.0


class Backoff(Struct):
    """Why a stream or an account waits."""

    kind: str
    failures: int
    since: Instant
    until: float
    """Monotonic seconds of the next try."""
    text: str = ""
    """What the last error said; unknown after a hand-over."""
    code: int | None = None
    """The HTTP status of the last answer, where there was one."""


class Backoffs:
    """Of one account: its own, and those of its streams."""

    def __init__(self, shard_state: ShardState, account_key: str, clock: SystemClock, interval_s: float) -> None:
        self._ledger, self._key, self._clock, self._interval_s = shard_state, account_key, clock, interval_s
        self._random = random.Random(account_key)
        self._streams: dict[str, Backoff] = {}
        waits = shard_state.waits(account_key)
        self.account = None if waits is None else self._handed_over(waits)

    def take_over(self, stream_id: str) -> None:
        """What the last owner knew of a stream's trouble."""
        cursor = self._ledger.cursor(stream_id)
        if cursor is not None and cursor.waits is not None:
            self._streams[stream_id] = self._handed_over(StoredBackoff(*cursor.waits))

    def of(self, stream_id: str) -> Backoff | None:
        """The stream's own trouble."""
        return self._streams.get(stream_id)

    def forget(self, stream_id: str) -> None:
        """The stream is no longer polled."""
        self._streams.pop(stream_id, None)

    def failed(self, stream_id: str, error: ProviderError) -> tuple[Backoff, float]:
        """Note a trouble of the stream, or of the whole account; with the seconds to wait."""
        whole = isinstance(error, AccountTrouble)
        old = self.account if whole else self._streams.get(stream_id)
        failures = old.failures + 1 if old is not None and old.kind == error.kind else 1
        wait = wait_after(error, failures, interval_s=self._interval_s, fraction=self._random.random())
        since = old.since if old is not None and failures > 1 else self._clock.now()
        trouble = Backoff(error.kind, failures, since, self._clock.monotonic() + wait, str(error), error.code)
        until = self._clock.now() + round(wait * SECOND)
        if whole:
            self.account = trouble
            self._ledger.keep_waits(self._key, StoredBackoff(error.kind, failures, until))
            return trouble, wait
        self._streams[stream_id] = trouble
        cursor = self._ledger.cursor(stream_id)
        if cursor is not None:
            self._ledger.keep_cursor(stream_id, window.waiting(cursor, (error.kind, failures, until)))
        return trouble, wait

    def over(self, stream_id: str) -> None:
        """A page of the stream is durable: it is not in trouble, and neither is its account, unless that was said while the page was in flight."""
        if self.account is not None and self.account.until <= self._clock.monotonic():
            self.account = None
            self._ledger.keep_waits(self._key, None)
        if self._streams.pop(stream_id, None) is not None:
            cursor = self._ledger.cursor(stream_id)
            if cursor is not None and cursor.waits is not None:
                self._ledger.keep_cursor(stream_id, window.waiting(cursor, None))

    def _handed_over(self, waits: StoredBackoff) -> Backoff:
        now = self._clock.now()
        left = min(HANDED_OVER_MAX_S, max(0.0, (waits.until - now) / SECOND))
        return Backoff(waits.kind, waits.failures, now, self._clock.monotonic() + left)


WAIT_S, WAIT_MAX_S = 15.0, 900.0


OUTAGE_FAILURES = 3
"""So many failures of the live rung in a row are trouble of the provider, not of what a deeper rung asks for."""


TRIES_MAX = 5
"""A request that fails so often in a row ends its run; the next run waits twice as long each time, up to a quarter of an hour:
an audit that waited longer would let what it looks for pass out of reach."""


FIRST_WAIT_S = 0.5


RETRY_MAX_S = 300.0


REFUSED_FIRST_S = 15.0


REFUSED_MAX_S = 3600.0
"""After 401, 403, 404 or a page of wrong shape: tried again at most so late."""


def wait_after(error: ProviderError, failures: int, *, interval_s: float, fraction: float) -> float:
    """Seconds until a stream (or account) in trouble is tried again.

    Exponential with full jitter (``fraction`` in [0, 1)); what cannot get better soon starts
    slower and goes up to an hour. A provider that says when is believed, within an hour.
    """
    refused = isinstance(error, Unauthorized | StreamGone | BadPage)
    first = REFUSED_FIRST_S if refused else FIRST_WAIT_S
    cap = REFUSED_MAX_S if refused else min(RETRY_MAX_S, max(10.0, 10 * interval_s))
    ceiling = min(cap, first * 2.0 ** min(failures, 30))
    wait_s = ceiling * (0.5 + fraction / 2) if refused else max(0.1, ceiling * fraction)
    if not error.wait_s or error.wait_s < 0:
        return wait_s
    told_s = min(error.wait_s, RETRY_AFTER_MAX_S)
    return told_s if isinstance(error, RateLimited) else max(told_s, wait_s)
