"""Why streams and accounts wait, and until when; kept with the state, so that a hand-over does not forget it."""

from __future__ import annotations

import random

from msgspec import Struct

from . import window
from .clock import SystemClock
from .codec import Waits
from .errors import ProviderError, RateLimited, Unauthorized
from .ledger import Ledger
from .model import SECOND, Instant
from .pacing import wait_after

HANDED_OVER_MAX_S = 3600.0


class Trouble(Struct):
    """Why a stream or an account waits."""

    kind: str
    failures: int
    since: Instant
    until: float
    """Monotonic seconds of the next try."""


class Troubles:
    """Of one account: its own, and those of its streams."""

    def __init__(self, ledger: Ledger, account_key: str, clock: SystemClock, interval_s: float) -> None:
        self._ledger, self._key, self._clock, self._interval_s = ledger, account_key, clock, interval_s
        self._random = random.Random(account_key)
        self._streams: dict[str, Trouble] = {}
        waits = ledger.waits(account_key)
        self.account = None if waits is None else self._handed_over(waits)

    def take_over(self, stream_id: str) -> None:
        """What the last owner knew of a stream's trouble."""
        cursor = self._ledger.cursor(stream_id)
        if cursor is not None and cursor.waits is not None:
            self._streams[stream_id] = self._handed_over(Waits(*cursor.waits))

    def of(self, stream_id: str) -> Trouble | None:
        """The stream's own trouble."""
        return self._streams.get(stream_id)

    def forget(self, stream_id: str) -> None:
        """The stream is no longer polled."""
        self._streams.pop(stream_id, None)

    def failed(self, stream_id: str, error: ProviderError) -> tuple[Trouble, float]:
        """Note a trouble of the stream, or of the whole account; with the seconds to wait."""
        whole = isinstance(error, RateLimited | Unauthorized)
        old = self.account if whole else self._streams.get(stream_id)
        failures = old.failures + 1 if old is not None and old.kind == error.kind else 1
        wait = wait_after(error, failures, interval_s=self._interval_s, fraction=self._random.random())
        since = old.since if old is not None and failures > 1 else self._clock.now()
        trouble = Trouble(error.kind, failures, since, self._clock.monotonic() + wait)
        until = self._clock.now() + round(wait * SECOND)
        if whole:
            self.account = trouble
            self._ledger.keep_waits(self._key, Waits(error.kind, failures, until))
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

    def _handed_over(self, waits: Waits) -> Trouble:
        now = self._clock.now()
        left = min(HANDED_OVER_MAX_S, max(0.0, (waits.until - now) / SECOND))
        return Trouble(waits.kind, waits.failures, now, self._clock.monotonic() + left)
