"""One window, page by page: choose it, ask, read, compare, make durable, and only then ask on.

A sweep lives in the stream's cursor, which moves in the same transaction as its pages; so it
survives anything, resumes where it was, and a request that failed is simply asked again.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ..coverage import backfill, gaps, ladder
from ..coverage import cursor as window
from ..coverage.cursor import Cursor, Sweep
from ..coverage.ladder import Rung
from ..errors import BadPage, CursorIgnored, EndlessPagination
from ..model import Instant
from ..providers.contract import Page, Request, Window, recalled
from .context import Account
from .page import ask, compare_page, scope_of, tell
from .streams import Counts, StreamPoll, begins_anew, cursor_of

PAGES_MAX = 200_000
"""Pages of one sweep; a provider that never comes to an end is told from a long backlog by this (ten messages a second for weeks)."""

BAD_PAGES_MAX = 3
"""So many bad answers in a row to one request, and its sweep is begun anew."""

_NOTHING = Request("GET", "/")


def in_hand(account: Account, polled: StreamPoll, index: int, cursor: Cursor) -> Sweep | None:
    """The rung's sweep in hand, or a new one; None when its window is empty and nothing has to be asked."""
    if polled.is_backfill(index):
        return _backfill_in_hand(account, polled, cursor)
    held = cursor.sweeps.get(index)
    if held is not None:
        return _resumed(account, polled, cursor, held)
    at = account.clock.now()
    earliest, latest = account.provider_clock.earliest(at), account.provider_clock.latest(at)
    chosen = window.window(polled.rungs, index, cursor, earliest=earliest, latest=latest, slack=account.slack)
    if chosen is None:
        return None
    span, handed = chosen
    rung = polled.rungs[index]
    request = _first(account, polled, cursor, span)
    return Sweep(span.since, span.until, rung.inner, rung.reach, latest, request, handed=handed)


def _backfill_in_hand(account: Account, polled: StreamPoll, cursor: Cursor) -> Sweep | None:
    """The sweep of the newest part of what was asked for that is left; None when another page has ended it meanwhile."""
    held = backfill.running(cursor)
    if held is None:
        return None
    if held.sweep is not None:
        return _resumed(account, polled, cursor, held.sweep)
    left = backfill.parts(cursor, held)
    if not left:  # the floor rose over it
        return None
    since, until = left[-1]
    now = account.provider_clock.latest(account.clock.now())
    return Sweep(since, until, 0, 0, now, _first(account, polled, cursor, Window(since, until, now)))


def _first(account: Account, polled: StreamPoll, cursor: Cursor, span: Window) -> Request:
    """The request that begins a sweep of a window."""
    return account.provider.first_page(polled.stream, span, recalled(account.provider.Learned, cursor.learned))


def _resumed(account: Account, polled: StreamPoll, cursor: Cursor, sweep: Sweep) -> Sweep:
    """A sweep in hand, with its continuation as the provider's type.

    A continuation that cannot be read (an older release wrote it) begins the sweep anew at its window: nothing is lost.
    """
    stored = sweep.request.continuation
    if not stored:
        return sweep
    continuation = recalled(account.provider.Continuation, stored)
    if continuation is None:
        return replace(sweep, request=_first(account, polled, cursor, Window(sweep.since, sweep.until, sweep.now)))
    return sweep if continuation is stored else replace(sweep, request=replace(sweep.request, continuation=continuation))


async def page(account: Account, polled: StreamPoll, index: int) -> bool:
    """Ask for and make durable one page of the rung; True when its sweep came to its end.

    Raises ProviderError (the sweep stays in hand) and what :meth:`Committer.write` raises.
    """
    shard_state, stream = account.committer.shard_state, polled.stream
    cursor = cursor_of(account, polled)
    sweep = in_hand(account, polled, index, cursor)
    counts = polled.counts.setdefault(index, Counts(account.clock.monotonic()))
    if sweep is None:
        shard_state.keep_cursor(stream.id, _passed_over(account, polled, index, cursor))
        return True
    if not polled.is_backfill(index):
        counts.longer = _longer(polled.rungs[index], sweep)
    if sweep.pages >= PAGES_MAX:
        shard_state.keep_cursor(stream.id, _without(cursor, index))
        raise EndlessPagination(f"a sweep did not end within {PAGES_MAX} pages")
    requested_at, sent = shard_state.tick(), account.clock.now()
    try:
        answer, received = await ask(account, polled, index, polled.unkept.get(index, sweep.request), account.provider.read_page)
    except BadPage:
        _answered_badly(account, polled, index)
        raise
    polled.unkept.pop(index, None)
    polled.bad_pages.pop(index, None)
    if begins_anew(account, polled):
        return False
    started = sweep.started or account.provider_clock.earliest(sent)
    after = replace(sweep, started=started, pages=sweep.pages + 1, rows=sweep.rows + answer.count)
    held = backfill.running(cursor) if polled.is_backfill(index) else None
    admitted = backfill.admitted(cursor, sweep) if held is not None else ()
    context = scope_of(polled, cursor, requested_at, received, admitted)
    changes, found = await compare_page(account, polled, answer, context, every=polled.is_backfill(index))
    moved = _advanced(account, polled, index, after, answer, found.events.total())
    await account.committer.write(changes, moved, always=held is not None or polled.begun)
    polled.begun = False
    polled.last_success = account.clock.now()
    tell(account, polled, index, answer, cursor, found)
    if answer.next is not None and _loops(polled, index, after.pages, answer.next):
        shard_state.keep_cursor(stream.id, _without(cursor_of(account, polled), index))
        polled.unkept.pop(index, None)
        raise CursorIgnored("the same page is asked for again and again")
    return answer.next is None


def _loops(polled: StreamPoll, index: int, pages: int, following: Request) -> bool:
    """Whether a sweep comes back to a request that it has made: it would never end, whatever the vendor.

    Brent's way: the request after each power of two of pages is remembered, and any cycle comes back to one of them.
    """
    made, remembered = hash(msgspec.json.encode(following)), polled.loops.get(index)
    if pages & (pages - 1) == 0:
        polled.loops[index] = made
    return pages > 1 and made == remembered


def _answered_badly(account: Account, polled: StreamPoll, index: int) -> None:
    """The same page is asked again, or a long sweep would never end; only what is answered badly again and again is begun anew."""
    polled.bad_pages[index] = polled.bad_pages.get(index, 0) + 1
    if polled.bad_pages[index] >= BAD_PAGES_MAX:
        polled.bad_pages.pop(index)
        polled.unkept.pop(index, None)
        account.committer.shard_state.keep_cursor(polled.stream.id, _without(cursor_of(account, polled), index))
        polled.note("sweep_begun_anew")


def _longer(rung: Rung, sweep: Sweep) -> float:
    """A first sweep, or one after an outage, says more of the past than of what the rung usually costs."""
    usual = rung.reach - rung.inner + rung.period + ladder.SLACK
    until = sweep.now if sweep.until is None else sweep.until
    return max(1.0, (until - sweep.since) / usual)


def _passed_over(account: Account, polled: StreamPoll, index: int, cursor: Cursor) -> Cursor:
    """A rung whose window is empty is complete without a request; a backfill of which nothing is left, as well."""
    if polled.is_backfill(index):
        return replace(cursor, backfill=cursor.backfill and replace(cursor.backfill, done=True))
    now = account.provider_clock.earliest(account.clock.now())
    return window.complete(polled.rungs, index, cursor, Sweep(now, None, 0, 0, now, _NOTHING, started=now))


def _advanced(account: Account, polled: StreamPoll, index: int, after: Sweep, answer: Page, events: int) -> Cursor:
    """The cursor once this page is durable: the sweep goes on, or the rung is complete."""
    cursor, now = cursor_of(account, polled), account.provider_clock.earliest(account.clock.now())
    if answer.learned is not None:
        cursor = replace(cursor, learned=answer.learned)
    if events:
        cursor = replace(cursor, changed=max(cursor.changed, now))
    if cursor.gaps or answer.gaps:
        cursor = replace(cursor, gaps=_gaps(cursor, after, answer, now))
    if answer.next is not None and not answer.next.resumable:
        polled.unkept[index] = answer.next
    elif answer.next is not None:
        after = replace(after, request=answer.next)
    if polled.is_backfill(index):
        return backfill.page(cursor, after, ended=answer.next is None, rows=answer.count, events=events)
    if answer.next is None:
        return window.complete(polled.rungs, index, cursor, after)
    return replace(cursor, sweeps={**cursor.sweeps, index: after})


def _gaps(cursor: Cursor, after: Sweep, answer: Page, now: Instant) -> gaps.Gaps:
    """The open gaps once this page is durable: those that it reports, without those that a sweep which ends here has proved."""
    known = gaps.reported(cursor.gaps, answer.gaps, now=now, lasting=False)
    if answer.next is None:
        known = gaps.swept(known, since=after.since, until=after.until, started=after.started)
    return gaps.above(known, cursor.floor)


def _without(cursor: Cursor, index: int) -> Cursor:
    if cursor.backfill is not None and index == len(cursor.marks):
        return replace(cursor, backfill=replace(cursor.backfill, sweep=None))
    return replace(cursor, sweeps={i: sweep for i, sweep in cursor.sweeps.items() if i != index})
