"""What is asked beside the sweeps: hints, look-ups by id, audits. They only hurry; no mark moves, and their failures are their own.

Each adapter says which chores it has (see :class:`poller.providers.Chore`); the engine gives each
a share of the rate limit and remembers between two runs what the adapter wants to know again.
"""

from __future__ import annotations

from .diff import Delta, stream_tag
from .lookups import Lookups
from .model import SECOND, Instant
from .polled import Account, Counts, Polled, cursor_of
from .providers import LOOKUP, View
from .reading import ask, learn, read_rows, scope_of, tell
from .window import Cursor

WAIT_S, WAIT_MAX_S = 15.0, 900.0
OUTAGE_FAILURES = 3
"""So many failures of the live rung in a row are trouble of the provider, not of what a deeper rung asks for."""

TRIES_MAX = 5
"""A request that fails so often in a row ends its run; the next run waits twice as long each time, up to a quarter of an hour:
an audit that waited longer would let what it looks for pass out of reach."""


def remember(account: Account, polled: Polled, interval: Instant) -> None:
    """Where single messages can be asked for: those that are not final, as the state has them."""
    if polled.lookups is not None or not any(chore.name == LOOKUP for chore in account.adapter.chores):
        return
    polled.lookups = Lookups(interval=interval, horizon=account.status_horizon)
    now, cursor = account.provider_clock.earliest(account.clock.now()), account.committer.ledger.cursor(polled.stream.id)
    looked = min(mark.complete for mark in cursor.marks) if cursor is not None else None  # the earliest: a look too many harms nothing
    for digest, seen in account.committer.ledger.waiting.pop(stream_tag(polled.stream.id), {}).items():
        polled.lookups.learn(digest, seen, now, looked=looked)


def period_s(account: Account, number: int, interval_s: float) -> float:
    """Seconds from one run to the next."""
    return account.adapter.chores[number].period / SECOND or interval_s


def wait_s(account: Account, polled: Polled, index: int, interval_s: float) -> float:
    """Seconds until a request that failed is tried again, or a new run where it failed too often."""
    number = polled.chore(index)
    if number is None:  # a backfill has no run to give up
        return backing_off(polled, index)
    tries = polled.chore_tries[index] = polled.chore_tries.get(index, 0) + 1
    if tries < TRIES_MAX:
        return WAIT_S * tries
    for kept in (polled.chore_tries, polled.chores, polled.counts):
        kept.pop(index, None)
    return backing_off(polled, index, max(period_s(account, number, interval_s), WAIT_S))


def backing_off(polled: Polled, index: int, least_s: float = 1.0) -> float:
    """Seconds until what failed is tried again: twice as long after each failure in a row."""
    failures = polled.failures[index] = polled.failures.get(index, 0) + 1
    return max(least_s, min(WAIT_MAX_S, least_s * 2.0 ** min(failures, 20)))


def recovered(polled: Polled) -> list[int]:
    """The live rung is well: what failed beside it in an outage is tried again now, not after a wait that grew with the outage."""
    outage, polled.live_failures = polled.live_failures >= OUTAGE_FAILURES, 0
    again = [index for index in polled.failures if index <= len(polled.rungs)] if outage else []  # with a backfill
    for index in again:
        del polled.failures[index]
    return again


def begin(account: Account, polled: Polled, index: int) -> bool:
    """Whether the chore has anything to ask now; then its first request is in hand."""
    number = polled.chore(index)
    assert number is not None, "only a chore begins here"
    if index in polled.chores:
        return True
    cursor, chore = account.committer.ledger.cursor(polled.stream.id), account.adapter.chores[number]
    if cursor is None:
        return False
    now, deepest = account.provider_clock.earliest(account.clock.now()), polled.rungs[-1]
    view = View(
        now=now,
        floor=cursor.floor,
        depth=deepest.reach,
        every=deepest.period,
        memo=account.committer.ledger.chore(polled.stream.id, chore.name),
        learned=cursor.memo,
        events=polled.chore_events.get(index, 0),
        message_id=polled.lookups.due(now) if chore.name == LOOKUP and polled.lookups is not None else None,
    )
    request = account.adapter.begin(chore.name, polled.stream, view)
    if request is None:
        return False
    polled.chores[index] = request
    return True


async def page(account: Account, polled: Polled, index: int) -> bool:
    """One request of a chore: what it lists becomes durable like any page, and no mark moves; True when its run is over.

    Raises ProviderError (the request stays in hand, see :func:`wait_s`) and what :meth:`Committer.submit` raises.
    """
    ledger, stream, request = account.committer.ledger, polled.stream, polled.chores[index]
    number, cursor = polled.chore(index), cursor_of(account, polled)
    assert number is not None, "only a chore is asked here"
    polled.counts.setdefault(index, Counts(account.clock.monotonic()))
    asked = ledger.meta.commit
    answer, received = await ask(account, polled, index, request)
    observations, bad, skipped, unread = read_rows(account, polled, answer, every=False)
    scope = scope_of(polled, cursor, asked, received)

    def advance(_: Delta) -> Cursor:
        return cursor_of(account, polled)

    delta = await account.committer.submit(scope, observations, bad, advance)
    delta.duplicates += unread
    learn(account, polled, answer, observations, delta)
    if answer.memo is not None:
        ledger.keep_chore(stream.id, account.adapter.chores[number].name, answer.memo)
    tell(account, polled, index, answer, cursor, delta, skipped)
    polled.chore_events[index] = polled.counts[index].events
    polled.chore_tries.pop(index, None)
    if answer.next is None:
        polled.chores.pop(index, None)
        return True
    polled.chores[index] = answer.next
    return False
