"""The facts of one account: one method per fact tells the log and the metrics, whose series exist from the beginning.

Nothing that a provider sent ever gets here but ids of streams, counts and times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from ..errors import PollerError
from ..model import Gap, Instant
from ..times import format_rfc3339
from .event_types import CREATED, DEAD_LETTER, TYPES
from .kinds import told
from .known import CODES, ERRORS, GAPS, OUTCOMES, REJECTED
from .log import Log
from .metrics import Instruments
from .recent import Recent
from .saying import Saying
from .traces import Spans

ODDITIES_MAX = 10_000
"""Pairs of stream and oddity that are remembered as said; beyond, oddities are only counted on the status page."""

LINES_A_MINUTE = 20
"""Troubles of one kind that one account may begin to tell of in a minute: an outage of ten thousand streams is one outage."""

CLOCKS_DIFFER_S = 60.0
"""How far apart the provider's clock and ours may be before it is said; they agree again below half of it."""


class PageFacts(Struct, frozen=True, kw_only=True):
    """One durable page."""

    fetched: int
    duplicate: int
    rejected: dict[str, int]
    """Rows that cannot be normalized, each listing, by reason."""
    out_of_scope: int
    events: dict[str, int]
    """Published, by ``ce_type``."""
    dead: Mapping[str, int] = {}
    """Dead letters published, by reason."""
    delays_s: list[float]
    """From creation to commit, of the messages that live polling found."""
    status_delays_s: list[float] = []
    """From the status's own stamp to commit, likewise."""


class SweepFacts(Struct, frozen=True, kw_only=True):
    """One sweep that ended, well or not."""

    stream: str
    rung: str
    outcome: str
    seconds: float
    pages: int
    rows: int
    events: int


class _Bound:
    """A counter by one word, its known words at 0 from the beginning."""

    def __init__(self, counter: Any, labels: tuple[str, ...], known: tuple[str, ...]) -> None:
        self._counter, self._labels = counter, labels
        self._bound = {word: counter.labels(*labels, word) for word in known}

    def inc(self, word: str, count: int = 1) -> None:
        bound = self._bound.get(word)
        if bound is None:
            bound = self._bound[word] = self._counter.labels(*self._labels, word)
        bound.inc(count)


class AccountFacts:
    """The facts of one account. ``now`` is our wall clock, ``monotonic`` the clock that waits."""

    def __init__(
        self,
        metrics: Instruments,
        log: Log,
        spans: Spans,
        provider: str,
        name: str,
        *,
        now: Callable[[], Instant],
        monotonic: Callable[[], float],
    ) -> None:
        self.spans = spans.bound(provider=provider, account=name)
        self._log, self._now, self.key = log.bound(provider=provider, account=name), now, f"{provider}/{name}"
        self.owned_since = now()
        self.last_success: Instant | None = None
        self.last_error: Instant | None = None
        self.requests, self.messages = Recent(monotonic), Recent(monotonic)
        pa = (provider, name)
        self._polls = _Bound(metrics.polls, pa, OUTCOMES)
        self._events = _Bound(metrics.events, pa, tuple(TYPES.values()))
        self._requests = _Bound(metrics.requests, pa, CODES)
        self._rejected = _Bound(metrics.rejected, pa, REJECTED)
        self._dead = _Bound(metrics.dead_letters, pa, REJECTED)
        self._gaps = _Bound(metrics.gaps, pa, GAPS)
        self._errors = _Bound(metrics.errors, pa, ERRORS)
        self._fetched, self._duplicate = metrics.fetched.labels(*pa), metrics.duplicate.labels(*pa)
        self._out_of_scope, self._late = metrics.out_of_scope.labels(*pa), metrics.late.labels(*pa)
        self._throttled = metrics.throttled.labels(*pa)
        self._poll_duration = metrics.poll_duration.labels(provider)
        self._request_duration = metrics.request_duration.labels(provider)
        self._event_delay, self._status_delay = metrics.event_delay.labels(provider), metrics.status_delay.labels(provider)
        self._late_age = metrics.late_age.labels(provider)
        self._troubles = Saying(monotonic, LINES_A_MINUTE)
        self._oddities: set[tuple[str, str]] = set()
        self._clocks_differ = False

    def requested(self, code: str, seconds: float) -> None:
        """One HTTP request; ``code`` is the status, or the kind of failure."""
        self.requests.add()
        self._requests.inc(code)
        self._request_duration.observe(seconds)
        self.spans.ended("request", seconds, code=code)

    def throttled(self, seconds: float) -> None:
        """The provider made us wait."""
        self._throttled.inc(seconds)

    def page(self, page: PageFacts) -> None:
        """One page is durable."""
        self.last_success = self._now()
        self._fetched.inc(page.fetched)
        self._duplicate.inc(page.duplicate)
        self._out_of_scope.inc(page.out_of_scope)
        for kind, count in page.events.items():
            self._events.inc(kind, count)
        for reason, count in page.rejected.items():
            self._rejected.inc(reason, count)
        for reason, count in page.dead.items():
            self._dead.inc(reason, count)
        for delay in page.delays_s:
            self._event_delay.observe(delay)
        for delay in page.status_delays_s:
            self._status_delay.observe(delay)
        if created := page.events.get(CREATED):
            self.messages.add(created)

    def dead_letters(self, stream: str, reasons: Mapping[str, int]) -> None:
        """Rows of a stream were published as dead letters: one line for each reason."""
        for reason, count in reasons.items():
            self._log.say(
                "warning",
                "dead_letter",
                f"{count} of the rows of {stream} cannot be normalized ({reason}); published as dead letters",
                stream=stream,
                reason=reason,
                count=count,
                type=DEAD_LETTER,
            )

    def sweep(self, sweep: SweepFacts) -> None:
        """One sweep ended: a line where it had news."""
        self._polls.inc(sweep.outcome)
        self._poll_duration.observe(sweep.seconds)
        if sweep.outcome in ("ok", "empty"):
            self._log.say(
                "info" if sweep.events else "debug",
                "sweep",
                f"{sweep.stream}: {sweep.events} events of {sweep.rows} rows",
                stream=sweep.stream,
                rung=sweep.rung,
                pages=sweep.pages,
                rows=sweep.rows,
                events=sweep.events,
                seconds=round(sweep.seconds, 3),
            )

    def trouble(self, stream: str, error: PollerError, wait_s: float, job: str = "") -> None:
        """A request failed; when it is tried again. ``stream`` is its stream, or the account's key for a trouble of all its streams.

        ``job``: what alone waits for it; "" = the whole stream.
        """
        self.last_error = self._now()
        self._errors.inc(error.kind)
        where = _called(stream, job)
        if self._troubles.now(where, error.kind):
            self._log.say(
                "warning",
                "trouble",
                f"{where}: {told(error.kind, str(error))}; tried again in {wait_s:.0f} s",
                stream=stream,
                kind=error.kind,
                what=str(error),
                next_try_s=round(wait_s, 1),
                **({"job": job} if job else {}),
            )

    def well(self, stream: str) -> None:
        """A request of the stream, and so of the account, succeeded."""
        self.over(stream)
        self.over(self.key)

    def over(self, stream: str, job: str = "") -> None:
        """A trouble that was told of is over, if there was one."""
        where = _called(stream, job)
        lasted = self._troubles.over(where)
        if lasted is not None:
            text, named = f"{where} is polled again after {lasted:.0f} s", {"job": job} if job else {}
            self._log.say("info", "trouble_over", text, stream=stream, seconds=round(lasted), **named)

    def gap(self, stream: str, gap: Gap) -> None:
        """A range opened of which nobody can say that all of it was seen."""
        self._gaps.inc(gap.reason)
        since, until = format_rfc3339(gap.since), format_rfc3339(gap.until)
        self._log.say(
            "warning",
            "gap_open",
            f"{stream}: messages from {since} to {until} cannot be proved complete ({gap.reason})",
            stream=stream,
            reason=gap.reason,
            since=since,
            until=until,
        )

    def gap_closed(self, stream: str, reason: str, since: Instant, until: Instant, *, proved: bool) -> None:
        """An open range was proved complete, or went out of scope."""
        why = "is proved complete" if proved else "is below the floor, where nothing is looked for any more"
        span = format_rfc3339(since), format_rfc3339(until)
        self._log.say(
            "warning",
            "gap_closed",
            f"{stream}: the possible gap from {span[0]} to {span[1]} {why}",
            stream=stream,
            reason=reason,
            since=span[0],
            until=span[1],
            proved=proved,
        )

    def oddity(self, stream: str, kind: str) -> None:
        """A tolerated peculiarity; said once per stream."""
        if (stream, kind) not in self._oddities and len(self._oddities) < ODDITIES_MAX:
            self._oddities.add((stream, kind))
            self._log.say("info", "oddity", f"{stream}: {kind.replace('_', ' ')}", stream=stream, kind=kind)

    def stretched(self, stretch: float, *, over: bool = False) -> None:
        """The look-back takes much longer than planned, or no longer does."""
        if over:
            self._log.say("info", "lookback_on_plan", f"the look-back of {self.key} is near its plan again", stretch=round(stretch, 1))
            return
        fix = "raise rate_limit, lower reconcile.back, or raise reconcile.every"
        text = f"the look-back of {self.key} takes {stretch:.1f} times its planned time; {fix}"
        self._log.say("warning", "lookback_stretched", text, stretch=round(stretch, 1), fix=fix)

    def names(self, problem: str | None) -> None:
        """What is wrong with a file of names, or that it is good again; until then the last good list is polled."""
        if problem is None:
            self._log.say("info", "names_good", f"the file of names of {self.key} is good again")
        else:
            self._log.say("warning", "names_unusable", f"{problem} ({self.key}); the last good list is polled", what=problem)

    def clocks(self, offset_s: float) -> None:
        """How far the provider's clock is ahead of ours; said when they come to differ by more than a minute, and when they agree again."""
        differ = abs(offset_s) > CLOCKS_DIFFER_S / (1 + self._clocks_differ)
        if differ and not self._clocks_differ:
            text = f"the clock of {self.key} is {offset_s:+.0f} s from this host's; see that this host keeps time"
            self._log.say("warning", "clocks_differ", text, provider_ahead_s=round(offset_s), fix="see that this host keeps time")
        elif self._clocks_differ and not differ:
            self._log.say("info", "clocks_agree", f"the clock of {self.key} agrees with this host's", provider_ahead_s=round(offset_s))
        self._clocks_differ = differ

    def overlap(self, seconds: float, reason: str) -> None:
        """The learned overlap changed."""
        self._log.say(
            "info", "overlap", f"the overlap of {self.key} is {seconds:.0f} s now: {reason}", seconds=round(seconds), reason=reason
        )

    def late(self, ages_s: list[float]) -> None:
        """Rows that had been looked for in vain."""
        self._late.inc(len(ages_s))
        for age in ages_s:
            self._late_age.observe(age)


def _called(stream: str, job: str) -> str:
    """What people call a job of a stream, or the whole of it."""
    return f"{stream} ({job})" if job else stream
