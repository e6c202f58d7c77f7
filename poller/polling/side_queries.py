"""What is asked beside the sweeps: hints, look-ups by id, audits. They only hurry; no mark moves, and their failures are their own.

Each provider says which side queries it has (see :class:`poller.providers.contract.SideQuery`); the engine gives each
a share of the rate limit and remembers between two runs what the provider wants to know again.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..coverage import gaps
from ..coverage.cursor import Cursor
from ..providers.contract import LOOKUP, Page, View, recalled
from .context import Account
from .page import ask, compare_page, scope_of, tell
from .streams import Counts, StreamPoll, cursor_of


def begin(account: Account, polled: StreamPoll, index: int) -> bool:
    """Whether the chore has anything to ask now; then its first request is in hand."""
    number = polled.chore(index)
    assert number is not None, "only a chore begins here"
    if index in polled.chores:
        return True
    cursor, chore = account.committer.shard_state.cursor(polled.stream.id), account.provider.side_queries[number]
    if cursor is None:
        return False
    now, deepest = account.provider_clock.earliest(account.clock.now()), polled.rungs[-1]
    view = View(
        now=now,
        floor=cursor.floor,
        depth=deepest.reach,
        every=deepest.period,
        remembered=recalled(chore.Learned, account.committer.shard_state.chore(polled.stream.id, chore.name)),
        learned=recalled(account.provider.Learned, cursor.learned),
        events=polled.chore_events.get(index, 0),
        message_id=polled.lookups.due(now) if chore.name == LOOKUP and polled.lookups is not None else None,
    )
    request = chore.begin(polled.stream, view)
    if request is None:
        return False
    polled.chores[index] = request
    return True


async def page(account: Account, polled: StreamPoll, index: int) -> bool:
    """One request of a chore: what it lists becomes durable like any page, and no mark moves; True when its run is over.

    Raises ProviderError (the request stays in hand, see :func:`wait_s`) and what :meth:`Committer.write` raises.
    """
    shard_state, stream, request = account.committer.shard_state, polled.stream, polled.chores[index]
    number, cursor = polled.chore(index), cursor_of(account, polled)
    assert number is not None, "only a chore is asked here"
    polled.counts.setdefault(index, Counts(account.clock.monotonic()))
    chore, requested_at = account.provider.side_queries[number], shard_state.tick()
    answer, received = await ask(account, polled, index, request, chore.read)
    changes, found = await compare_page(account, polled, answer, scope_of(polled, cursor, requested_at, received))
    await account.committer.write(changes, _moved(account, polled, answer))
    if answer.learned is not None:
        shard_state.keep_chore(stream.id, chore.name, answer.learned)
    tell(account, polled, index, answer, cursor, found)
    polled.chore_events[index] = polled.counts[index].events
    polled.chore_tries.pop(index, None)
    if answer.next is None:
        polled.chores.pop(index, None)
        return True
    polled.chores[index] = answer.next
    return False


def _moved(account: Account, polled: StreamPoll, answer: Page) -> Cursor:
    """The stream's cursor with the gaps that the answer reports or closes; nothing else of it moves."""
    known, now = cursor_of(account, polled), account.provider_clock.earliest(account.clock.now())
    if not known.gaps and not answer.gaps:
        return known
    return replace(known, gaps=gaps.proved(gaps.reported(known.gaps, answer.gaps, now=now, lasting=True), answer.proved))
