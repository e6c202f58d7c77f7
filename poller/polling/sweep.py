"""Sweeps: which window is read, which page is asked next, and how the cursor moves with each page that was read.

A sweep lives in its stream's cursor, which moves in the same transaction as its pages; so it survives
anything, resumes where it was, and a request that failed is simply sent again. Edge sweeps and their rests
live in memory: they show new messages while the live sweep is long, and no watermark rests on them.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ..coverage import backfill, gaps, ladder, parts
from ..coverage import cursor as coverage
from ..coverage.cursor import Cursor, Range
from ..coverage.cursor import Sweep as SweepInHand
from ..coverage.ladder import Rung
from ..errors import EndlessPagination
from ..model import SECOND, Instant
from ..providers.contract import ByTime, Page, Request, Window, recalled
from ..publishing.shard_state import ShardState
from .client.vendor import VendorClient
from .jobs import Backfill, Edge, Job, Part, Rank, Rest, Sweep, rank
from .provider_code import provider_code
from .settings import AccountSettings
from .streams import StreamPoll, in_memory

PAGES_MAX = 200_000
"""The most pages of one sweep: more than the longest backlog has (ten messages a second for weeks). A longer sweep has no end."""


class Step(Struct, frozen=True):
    """The next page of a sweep in hand."""

    cursor: Cursor
    """The stream's cursor when the page was chosen."""
    sweep: SweepInHand
    request: Request
    admitted: tuple[Range, ...] = ()
    """The ranges below the floor whose messages may be published: a backfill's."""


class Sweeps:
    """The sweeps of one account."""

    def __init__(self, settings: AccountSettings, client: VendorClient, shard_state: ShardState) -> None:
        self._settings, self._client, self._shard_state = settings, client, shard_state

    def cursor(self, poll: StreamPoll) -> Cursor:
        """The stream's cursor; a new stream begins with today."""
        cursor = self._shard_state.cursor(poll.stream.id)
        return self.begin(poll) if cursor is None else cursor

    def begin(self, poll: StreamPoll) -> Cursor:
        """The cursor of a stream that begins now.

        A stream that begins once more, by a clock that was learned meanwhile, keeps the lower floor and its backfill.
        """
        clock, before = self._client.provider_clock, self._shard_state.cursor(poll.stream.id)
        floor = self._settings.floor(self._client.origin())
        if before is not None:
            floor = min(floor, before.floor)
        cursor = coverage.begin(poll.rungs, floor=floor, now=self._client.now_earliest())
        cursor = replace(cursor, backfill=before and before.backfill)
        self._shard_state.keep_cursor(poll.stream.id, cursor)
        poll.begun, poll.guessed = True, None if clock.known else (clock.origin(0), clock.earliest(0))
        return cursor

    def begins_anew(self, poll: StreamPoll) -> bool:
        """Whether the first answer says that a stream begins elsewhere: then its page is asked for again.

        Until enough answers agree on the provider's clock, nothing is taken from any of them.
        """
        clock = self._client.provider_clock
        if not poll.begun or poll.guessed is None:
            return False
        if clock.undecided:
            return True
        if all(abs(now - then) <= ladder.SLACK for now, then in zip((clock.origin(0), clock.earliest(0)), poll.guessed, strict=True)):
            return False
        self.begin(poll)
        return True

    @property
    def slack(self) -> Instant:
        """By how much windows of neighbouring rungs lie over each other, for clocks that differ."""
        return ladder.SLACK + self._client.provider_clock.error

    def choose(self, poll: StreamPoll, job: Job) -> Step | None:
        """The next page of a job; None when its window is empty: then it is complete without a request.

        Raises EndlessPagination for a sweep over its limit of pages, which is begun anew.
        """
        cursor = self.cursor(poll)
        sweep = self._in_hand(poll, job, cursor)
        if sweep is None:
            self._shard_state.keep_cursor(poll.stream.id, self._passed_over(poll, job, cursor))
            return None
        if sweep.pages >= PAGES_MAX:
            self.begin_anew(poll, job)
            raise EndlessPagination(f"a sweep did not end within {PAGES_MAX} pages")
        admitted = backfill.admitted(cursor, sweep) if isinstance(job, Backfill) else ()
        return Step(cursor, sweep, poll.of(job).request or sweep.request, admitted)

    def _in_hand(self, poll: StreamPoll, job: Job, cursor: Cursor) -> SweepInHand | None:
        match job:
            case Sweep(rung):
                held = cursor.sweeps.get(rung)
                return self._resumed(poll, cursor, held) if held is not None else self._of_rung(poll, rung, cursor)
            case Part(rung):
                part = _held(cursor, job)
                return part and self._resumed(poll, cursor, part)
            case Edge():
                return poll.of(job).sweep or self._of_edge(poll, cursor)
            case Rest():
                return poll.of(job).sweep
            case _:
                return self._of_backfill(poll, cursor)

    def _of_rung(self, poll: StreamPoll, index: int, cursor: Cursor) -> SweepInHand | None:
        """A new sweep of a rung."""
        earliest, latest = self._client.now_earliest(), self._client.now_latest()
        chosen = coverage.window(poll.rungs, index, cursor, earliest=earliest, latest=latest, slack=self.slack)
        if chosen is None:
            return None
        window, handed = chosen
        rung = poll.rungs[index]
        return SweepInHand(window.since, window.until, rung.inner, rung.reach, latest, self._first(poll, window, cursor), handed=handed)

    def _of_edge(self, poll: StreamPoll, cursor: Cursor) -> SweepInHand:
        """A new sweep of what is newer than the last look at the newest messages, and a little more."""
        latest, rung = self._client.now_latest(), poll.rungs[poll.live.rung]
        unread = (self._client.provider.reached(rest.request) or 0 for rest in poll.rests())  # what lies below it, a rest reads itself
        since = max(cursor.floor, min(latest, max(min(poll.edge or latest, latest) - poll.edge_reach, *unread, 0)))
        ahead = latest + EDGE_AHEAD
        window = Window(since, None, latest) if rung.open else Window(since, ahead, ahead)
        return SweepInHand(since, window.until, rung.inner, poll.edge_reach, latest, self._first(poll, window, cursor))

    def _of_backfill(self, poll: StreamPoll, cursor: Cursor) -> SweepInHand | None:
        """The newest part of what was asked for that is left; None when another page has ended it meanwhile, or the floor rose over it."""
        held = backfill.running(cursor)
        if held is None or held.sweep is not None:
            return held and held.sweep and self._resumed(poll, cursor, held.sweep)
        left = backfill.parts(cursor, held)
        if not left:
            return None
        (since, until), now = left[-1], self._client.now_latest()
        return SweepInHand(since, until, 0, 0, now, self._first(poll, Window(since, until, now), cursor))

    def _first(self, poll: StreamPoll, window: Window, cursor: Cursor) -> Request:
        provider = self._client.provider
        with provider_code("a sweep cannot be begun"):
            return provider.first_page(poll.stream, window, recalled(provider.Learned, cursor.learned))

    def _resumed(self, poll: StreamPoll, cursor: Cursor, sweep: SweepInHand) -> SweepInHand:
        """A sweep in hand, with its continuation as the provider's type.

        A continuation that cannot be read (an older release wrote it) begins the sweep anew at its window: nothing is lost.
        """
        stored = sweep.request.continuation
        continuation = recalled(self._client.provider.Continuation, stored) if stored else stored
        if continuation is stored:
            return sweep
        if continuation is None:
            return replace(sweep, request=self._first(poll, Window(sweep.since, sweep.until, sweep.now), cursor))
        return replace(sweep, request=replace(sweep.request, continuation=continuation))

    def _passed_over(self, poll: StreamPoll, job: Job, cursor: Cursor) -> Cursor:
        """A rung whose window is empty is complete, and so is a backfill of which nothing is left."""
        if isinstance(job, Sweep):
            return coverage.complete_unasked(poll.rungs, job.rung, cursor, self._client.now_earliest())
        if isinstance(job, Backfill) and cursor.backfill is not None:
            return replace(cursor, backfill=replace(cursor.backfill, done=True))
        return cursor

    def wants(self, poll: StreamPoll, job: Job, step: Step) -> bool:
        """Whether an answer is of what the cursor still has in hand: its stream may have begun anew while the request was in flight."""
        cursor = self.cursor(poll)
        if not isinstance(job, Sweep | Part):
            held = poll.of(job).sweep
            return cursor.start == step.cursor.start and (held is None or held is step.sweep or not in_memory(job))
        same = cursor.marks[job.rung] == step.cursor.marks[job.rung]
        return same and _held(cursor, job) is _held(step.cursor, job)

    def stands_back(self, poll: StreamPoll, job: Sweep | Part) -> bool:
        """Whether a sweep has nothing to ask, because its parts are asked for instead; or a part, because there is none such."""
        cursor = self._shard_state.cursor(poll.stream.id)
        held = None if cursor is None else _held(cursor, job)
        return held is None if isinstance(job, Part) else held is not None and bool(held.parts)

    def begin_anew(self, poll: StreamPoll, job: Job) -> None:
        """The sweep in hand is given up: the next one begins where it began."""
        cursor, progress = self.cursor(poll), poll.of(job)
        progress.sweep = progress.request = None
        progress.tries = progress.astray = 0
        match job:
            case Sweep(rung):
                cursor = replace(cursor, sweeps={i: sweep for i, sweep in cursor.sweeps.items() if i != rung})
            case Part(rung, number) if (held := _held(cursor, job)) is not None:
                anew = replace(held, request=self._first(poll, Window(held.since, held.until, held.now), cursor), pages=0)
                cursor = _with(cursor, rung, parts.having(cursor.sweeps[rung], number, anew))
            case Backfill() if cursor.backfill is not None:
                cursor = replace(cursor, backfill=replace(cursor.backfill, sweep=None))
        self._shard_state.keep_cursor(poll.stream.id, cursor)

    def advanced(self, poll: StreamPoll, job: Job, step: Step, page: Page, *, sent: Instant, events: int) -> Cursor:
        """The cursor once this page is durable: the sweep goes on, or its job is complete. ``sent`` is our clock's time of the request."""
        earliest = self._client.provider_clock.earliest(sent)
        after = replace(step.sweep, started=step.sweep.started or earliest, pages=step.sweep.pages + 1, rows=step.sweep.rows + page.count)
        cursor, progress, ended = self.cursor(poll), poll.of(job), page.next is None
        progress.request = page.next if page.next is not None and not page.next.resumable else None
        if page.next is not None and page.next.resumable:
            after = replace(after, request=page.next)
        if page.learned is not None:
            cursor = replace(cursor, learned=page.learned)
        if events:
            cursor = replace(cursor, changed=max(cursor.changed, self._client.now_earliest()))
        if cursor.gaps or page.gaps:
            cursor = replace(cursor, gaps=_gaps(cursor, after, page, self._client.now_earliest()))
        if job == poll.live and after.pages == 1:
            poll.edge = max(poll.edge, after.started)
        match job:
            case Sweep(rung) if ended:
                return coverage.complete(poll.rungs, rung, cursor, after)
            case Sweep(rung):
                return _with(cursor, rung, self._cut(poll, job, cursor, after))
            case Part(rung):
                return self._part_read(poll, job, cursor, after, ended=ended)
            case Backfill():
                return backfill.page(cursor, after, ended=ended, rows=page.count, events=events)
            case _:
                progress.sweep = None if ended else after
                if ended and isinstance(job, Edge):
                    poll.edge = max(poll.edge, after.started)
                return cursor

    def _part_read(self, poll: StreamPoll, job: Part, cursor: Cursor, after: SweepInHand, *, ended: bool) -> Cursor:
        """The cursor after a page of a part: its sweep is complete with the last of its parts; one that is left alone may be cut again."""
        whole = parts.having(cursor.sweeps[job.rung], job.number, None if ended else after)
        if not whole.parts:
            return coverage.complete(poll.rungs, job.rung, cursor, whole)
        if ended or len(whole.parts) > 1:
            return _with(cursor, job.rung, whole)
        cut = self._cut(poll, job, cursor, after)
        return _with(cursor, job.rung, replace(whole, parts=cut.parts or whole.parts))

    def _cut(self, poll: StreamPoll, job: Sweep | Part, cursor: Cursor, after: SweepInHand) -> SweepInHand:
        """A sweep of what nobody has read yet goes on in parts, where it is long and its provider says exactly how far it is."""
        provider, new = self._client.provider, rank(Sweep(job.rung), poll.rungs, cursor, long=False) is Rank.COVERAGE
        exact = isinstance(provider.listing, ByTime) and provider.listing.exact and poll.of(job).request is None
        reached = provider.reached(after.request) if new and exact else None
        ranges = () if reached is None else parts.cut(after, reached)
        found = {number: self._part(poll, after, each, cursor) for number, each in enumerate(ranges)}
        return replace(after, parts=found)

    def _part(self, poll: StreamPoll, whole: SweepInHand, bounds: Range, cursor: Cursor) -> SweepInHand:
        request = self._first(poll, Window(*bounds, whole.now), cursor)
        return SweepInHand(*bounds, whole.inner, whole.reach, whole.now, request, handed=whole.handed)

    def end_edge(self, poll: StreamPoll) -> bool:
        """End an edge sweep that has come down to what the look before it has read; False where it has not, or nobody can say."""
        progress = poll.of(Edge())
        sweep = progress.sweep
        reached = None if sweep is None else self._client.provider.reached(progress.request or sweep.request)
        if sweep is None or reached is None or reached > poll.edge - EDGE_REACH_MIN:
            return False
        poll.edge, progress.sweep, progress.request = max(poll.edge, sweep.started), None, None
        return True

    def cut_edge(self, poll: StreamPoll) -> Rest:
        """End an edge sweep that has lasted an interval. What it has not read becomes a rest; the next edge sweep reads less far back.

        Where there are rests enough, the oldest makes room: the live sweep will read it.
        """
        progress, rest = poll.of(Edge()), poll.free_rest()
        poll.edge_reach = max(EDGE_REACH_MIN, poll.edge_reach // 2)
        if progress.sweep is not None:
            poll.edge = max(poll.edge, progress.sweep.started)
        poll.progress[rest] = poll.progress.pop(Edge())
        return rest


EDGE_AHEAD: Instant = 2 * SECOND
"""How far ahead of now an edge sweep ends: for whole seconds, and for clocks a little ahead. The live sweep reads what is dated later."""

EDGE_REACH_MIN: Instant = 2 * SECOND
"""How far an edge sweep reaches at least behind the last one: a ``Date`` has whole seconds, and so have the filters of providers."""


def _held(cursor: Cursor, job: Sweep | Part) -> SweepInHand | None:
    """What the cursor has in hand of a sweep, or of a part of one."""
    whole = cursor.sweeps.get(job.rung)
    return whole.parts.get(job.number) if isinstance(job, Part) and whole is not None else whole


def _with(cursor: Cursor, rung: int, sweep: SweepInHand) -> Cursor:
    return replace(cursor, sweeps={**cursor.sweeps, rung: sweep})


def _gaps(cursor: Cursor, after: SweepInHand, page: Page, now: Instant) -> gaps.Gaps:
    """The open gaps once this page is durable: those that it reports, without those that a sweep which ends here has proved."""
    known = gaps.reported(cursor.gaps, page.gaps, now=now, lasting=False)
    if page.next is None:
        known = gaps.swept(known, since=after.since, until=after.until, started=after.started)
    return gaps.above(known, cursor.floor)


def longer(rung: Rung, sweep: SweepInHand) -> float:
    """A sweep's length over the usual one of its rung, at least 1.

    A first sweep, or one after an outage, says more of the past than of what the rung usually costs.
    """
    usual = rung.reach - rung.inner + rung.period + ladder.SLACK
    until = sweep.now if sweep.until is None else sweep.until
    return max(1.0, (until - sweep.since) / usual)
