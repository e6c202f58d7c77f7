"""Why streams and accounts wait, and until when; kept with the state, so that a hand-over does not forget it.

One policy serves all that fails: streams, accounts, deep rungs, backfills and side queries differ by its figures only.
"""

from __future__ import annotations

import random

from msgspec import Struct

from ..clock import SystemClock
from ..coverage import cursor as coverage
from ..errors import (
    AccountTrouble,
    BadPage,
    CursorIgnored,
    EndlessPagination,
    ProviderError,
    RateLimited,
    StreamGone,
    Unauthorized,
    Unreachable,
)
from ..model import SECOND, Instant
from ..providers.kit.answers import RETRY_AFTER_MAX_S
from ..publishing.shard_state import ShardState
from ..publishing.state_records import StoredBackoff
from ..telemetry.snapshot import Trouble

HANDED_OVER_MAX_S = 3600.0
"""The longest wait in seconds that is taken over from another worker, whose clock may have been wrong."""

WAIT_MIN_S = 0.1
"""The shortest wait in seconds."""


class Policy(Struct, frozen=True):
    """How long to wait after failures in a row: each time twice as long, up to a bound.

    A part of the wait is left to chance, so that many streams do not march in step.
    """

    first_s: float
    """Half of the wait after the first failure, in seconds."""
    most_s: float
    """The longest wait in seconds."""
    certain: float = 1.0
    """The part of the wait that is not left to chance, 0 to 1."""

    def wait_s(self, failures: int, fraction: float = 1.0) -> float:
        """Seconds until the next try after that many ``failures`` in a row; ``fraction`` in [0, 1) is the chance."""
        ceiling = min(self.most_s, self.first_s * 2.0 ** min(failures, 30))
        return max(WAIT_MIN_S, ceiling * (self.certain + (1 - self.certain) * fraction))


REFUSED = Policy(first_s=15.0, most_s=3600.0, certain=0.5)
"""For 401, 403, 404 and pages of a wrong shape: they do not become better soon."""

REQUEST = Policy(first_s=7.5, most_s=120.0)
"""For a request of a side query, which is tried again: 15 s after its first failure, then ever later."""

TRIES_MAX = 5
"""Failures in a row of one request of a side query that end its run."""

RUN_MAX_S = 900.0
"""The longest wait before a new run of a side query whose runs failed, in seconds: what a recount looks for must not pass out of its reach."""

OUTAGE_FAILURES = 3
"""Failures in a row of what speaks for a stream that mean an outage."""


def after_run(period_s: float) -> Policy:
    """The policy of a side query whose runs fail: twice its period after the first failure, then ever longer."""
    least = max(period_s, REQUEST.first_s * 2)
    return Policy(first_s=least, most_s=max(least, RUN_MAX_S))


def soon_s(interval_s: float) -> float:
    """The longest wait in seconds for what may be over at any moment: ten intervals, at least 10 s and at most 5 minutes."""
    return min(300.0, max(10.0, 10 * interval_s))


def wait_after(error: ProviderError, failures: int, *, interval_s: float, fraction: float) -> float:
    """Seconds until a stream (or account) in trouble is tried again, with full jitter where it may be over soon.

    A provider that limits the rate and says for how long is believed, up to an hour. Where it says so with another error,
    that is the shortest wait.
    """
    soon = Policy(first_s=0.5, most_s=soon_s(interval_s), certain=0.0)
    wait_s = (REFUSED if isinstance(error, Unauthorized | StreamGone | BadPage) else soon).wait_s(failures, fraction)
    if not error.wait_s or error.wait_s < 0:
        return wait_s
    told_s = min(error.wait_s, RETRY_AFTER_MAX_S)
    return told_s if isinstance(error, RateLimited) else max(told_s, wait_s)


def wait_of_walk(error: ProviderError, failures: int, *, interval_s: float, most_s: float = REFUSED.most_s) -> float:
    """Seconds until a walk that does not get on is tried again, at most ``most_s``: at once, the first time that it only stands at a page.

    The token of the page may have been refused by chance, and does not live for ever. A provider that says when is believed.
    """
    policy = REFUSED
    if isinstance(error, Unreachable):
        policy = Policy(first_s=0.5, most_s=soon_s(interval_s))
    elif not isinstance(error, CursorIgnored | EndlessPagination):
        policy = Policy(first_s=interval_s / 4, most_s=REFUSED.most_s)
    wait_s = WAIT_MIN_S if failures == 1 and policy is not REFUSED else policy.wait_s(failures)
    return max(min(wait_s, most_s), min(error.wait_s or 0.0, RETRY_AFTER_MAX_S))


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

    def trouble(self, now: float) -> Trouble:
        """This, for outsiders; ``now`` is in monotonic seconds."""
        wait_s = max(0.0, self.until - now)
        return Trouble(kind=self.kind, text=self.text, code=self.code, since=self.since, next_try_s=wait_s, failures=self.failures)


class Backoffs:
    """Why one account waits, and why each of its streams does."""

    def __init__(self, shard_state: ShardState, account_key: str, clock: SystemClock, interval_s: float) -> None:
        self._shard_state, self._key, self._clock, self._interval_s = shard_state, account_key, clock, interval_s
        self._random = random.Random(account_key)
        self._streams: dict[str, Backoff] = {}
        stored = shard_state.waits(account_key)
        self.account = None if stored is None else self._handed_over(stored)

    def take_over(self, stream_id: str) -> None:
        """Go on waiting for a stream as the last owner did."""
        cursor = self._shard_state.cursor(stream_id)
        if cursor is not None and cursor.waits is not None:
            self._streams[stream_id] = self._handed_over(StoredBackoff(*cursor.waits))

    def of(self, stream_id: str) -> Backoff | None:
        """The stream's own trouble."""
        return self._streams.get(stream_id)

    def forget(self, stream_id: str) -> None:
        """The stream is no longer polled."""
        self._streams.pop(stream_id, None)

    def try_account_now(self) -> None:
        """What the account waited for is there."""
        if self.account is not None:
            self.account.until = 0.0

    def failed(self, stream_id: str, error: ProviderError) -> tuple[Backoff, float]:
        """Note a trouble of the stream, or of the whole account; with the seconds to wait."""
        whole = isinstance(error, AccountTrouble)
        old = self.account if whole else self._streams.get(stream_id)
        now = self._clock.monotonic()
        again = old is not None and old.kind == error.kind
        failures = old.failures + (old.until <= now) if old is not None and again else 1  # what fails in flight together fails once
        wait = wait_after(error, failures, interval_s=self._interval_s, fraction=self._random.random())
        since = old.since if old is not None and failures > 1 else self._clock.now()
        trouble = Backoff(error.kind, failures, since, now + wait, str(error), error.code)
        until = self._clock.now() + round(wait * SECOND)
        if whole:
            self.account = trouble
            self._shard_state.keep_waits(self._key, StoredBackoff(error.kind, failures, until))
            return trouble, wait
        self._streams[stream_id] = trouble
        cursor = self._shard_state.cursor(stream_id)
        if cursor is not None:
            self._shard_state.keep_cursor(stream_id, coverage.waiting(cursor, (error.kind, failures, until)))
        return trouble, wait

    def over(self, stream_id: str) -> None:
        """A page of the stream was answered: neither it nor its account is in trouble, unless that was said while the page was in flight."""
        if self.account is not None and self.account.until <= self._clock.monotonic():
            self.account = None
            self._shard_state.keep_waits(self._key, None)
        trouble = self._streams.get(stream_id)
        if trouble is not None and trouble.until <= self._clock.monotonic():
            del self._streams[stream_id]
            cursor = self._shard_state.cursor(stream_id)
            if cursor is not None and cursor.waits is not None:
                self._shard_state.keep_cursor(stream_id, coverage.waiting(cursor, None))

    def _handed_over(self, stored: StoredBackoff) -> Backoff:
        now = self._clock.now()
        left = min(HANDED_OVER_MAX_S, max(0.0, (stored.until - now) / SECOND))
        return Backoff(stored.kind, stored.failures, now, self._clock.monotonic() + left)
